/** Block storage and its place at a server. */
import { flag, number, required, text, type Values } from '../properties';
import { Unfinished, resourceFor } from '../resource';
import type { HetznerClient } from './client';
import { labels } from './labels';

interface ApiVolume {
  id: number;
  name: string;
  size: number;
  server: number | null;
  location: { name: string };
  labels: Record<string, string>;
  linux_device: string;
  protection: { delete: boolean };
}

const inputs = {
  automount: flag(),
  deleteProtection: flag({ default: false }),
  format: text({ oneOf: ['ext4', 'xfs'] }),
  labels: labels(),
  location: text({ replaces: true, computed: true }),
  name: text(),
  serverId: number({ computed: true }),
  size: required(number()),
};

const stateOf = (volume: ApiVolume) => ({
  name: volume.name,
  size: volume.size,
  serverId: volume.server ?? undefined,
  location: volume.location.name,
  labels: volume.labels,
  linuxDevice: volume.linux_device,
  deleteProtection: volume.protection.delete,
});

const findVolume = async (client: HetznerClient, id: string | number): Promise<ApiVolume | undefined> =>
  (await client.find<{ volume: ApiVolume }>(`/volumes/${id}`))?.volume;

async function attach(
  client: HetznerClient,
  id: string | number,
  wanted: { serverId?: number; automount?: boolean },
) {
  await client.act(
    'POST',
    `/volumes/${id}/actions/attach`,
    { server: wanted.serverId, ...(wanted.automount !== undefined && { automount: wanted.automount }) },
    ['locked'],
  );
}

const detach = (client: HetznerClient, id: string | number): Promise<void> =>
  client.act('POST', `/volumes/${id}/actions/detach`, undefined, ['locked']);

function placeOf({ location, serverId }: Partial<Values<typeof inputs>>) {
  return (location === undefined) === (serverId === undefined)
    ? [{ property: 'location', reason: 'exactly one of location and serverId must be set' }]
    : [];
}

export const volume = resourceFor<HetznerClient>()({
  inputs,
  outputs: { linuxDevice: text() },
  reports: 'details',
  autoName: true,
  deletesFirstWhenNamed: true,
  check: placeOf,
  async create({ client, inputs: wanted }) {
    const answer = await client.request<{ volume: ApiVolume }>('POST', '/volumes', {
      name: wanted.name,
      size: wanted.size,
      ...(wanted.labels && { labels: wanted.labels }),
      ...(wanted.format && { format: wanted.format }),
      ...(wanted.automount !== undefined && { automount: wanted.automount }),
      ...(wanted.serverId ? { server: wanted.serverId } : { location: wanted.location }),
    });
    const id = String(answer.volume.id);
    try {
      await client.finish(answer as object);
      if (wanted.deleteProtection)
        await client.act('POST', `/volumes/${id}/actions/change_protection`, { delete: true });
      return { id, state: stateOf((await findVolume(client, id)) ?? answer.volume) };
    } catch (error) {
      throw new Unfinished(id, stateOf(answer.volume), error);
    }
  },
  async read({ client, id }) {
    const found = await findVolume(client, id);
    return found && { state: stateOf(found) };
  },
  async update({ client, id, inputs: wanted, state, changed }) {
    if (changed.has('name') || changed.has('labels')) {
      await client.request('PUT', `/volumes/${id}`, {
        ...(changed.has('name') && { name: wanted.name }),
        ...(changed.has('labels') && { labels: wanted.labels ?? {} }),
      });
    }
    if (changed.has('serverId')) {
      if (state.serverId) await detach(client, id);
      if (wanted.serverId) await attach(client, id, wanted);
    }
    if (changed.has('size')) await client.act('POST', `/volumes/${id}/actions/resize`, { size: wanted.size });
    if (changed.has('deleteProtection')) {
      await client.act('POST', `/volumes/${id}/actions/change_protection`, {
        delete: wanted.deleteProtection ?? false,
      });
    }
    const found = await findVolume(client, id);
    return found ? stateOf(found) : {};
  },
  async delete({ client, id }) {
    const found = await findVolume(client, id);
    if (!found) return;
    if (found.server) await detach(client, id);
    await client.remove(`/volumes/${id}`, ['locked']);
  },
});

export const volumeAttachment = resourceFor<HetznerClient>()({
  inputs: {
    automount: flag(),
    serverId: required(number({ replaces: true })),
    volumeId: required(number({ replaces: true })),
  },
  outputs: {},
  reports: 'details',
  async create({ client, inputs: wanted }) {
    await attach(client, wanted.volumeId, wanted);
    return { id: String(wanted.volumeId), state: {} };
  },
  async read({ client, id }) {
    const found = await findVolume(client, id);
    return found?.server ? { state: { volumeId: found.id, serverId: found.server } } : undefined;
  },
  update: () => Promise.resolve({}),
  async delete({ client, id }) {
    if ((await findVolume(client, id))?.server) await detach(client, id);
  },
});
