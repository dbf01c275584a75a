/** Private networks, their subnets, and a server's place in them. */
import { flag, notSimulated, number, required, set, text } from '../properties';
import { resourceFor } from '../resource';
import type { HetznerClient } from './client';
import { labels } from './labels';
import { busy, type ApiServer } from './server';

interface ApiNetwork {
  id: number;
  name: string;
  ip_range: string;
  labels: Record<string, string>;
  subnets: { type: string; ip_range: string; network_zone: string; gateway: string }[];
  protection: { delete: boolean };
  expose_routes_to_vswitch: boolean;
}

const networkState = (network: ApiNetwork) => ({
  name: network.name,
  ipRange: network.ip_range,
  labels: network.labels,
  deleteProtection: network.protection.delete,
  exposeRoutesToVswitch: network.expose_routes_to_vswitch,
});

const findNetwork = async (client: HetznerClient, id: string | number): Promise<ApiNetwork | undefined> =>
  (await client.find<{ network: ApiNetwork }>(`/networks/${id}`))?.network;

export const network = resourceFor<HetznerClient>()({
  inputs: {
    deleteProtection: flag({ default: false }),
    exposeRoutesToVswitch: flag({ default: false }),
    ipRange: required(text({ replaces: true })),
    labels: labels(),
    name: text(),
  },
  outputs: {},
  reports: 'details',
  autoName: true,
  deletesFirstWhenNamed: true,
  async create({ client, inputs }) {
    const answer = await client.request<{ network: ApiNetwork }>('POST', '/networks', {
      name: inputs.name,
      ip_range: inputs.ipRange,
      expose_routes_to_vswitch: inputs.exposeRoutesToVswitch ?? false,
      ...(inputs.labels && { labels: inputs.labels }),
    });
    const id = String(answer.network.id);
    if (inputs.deleteProtection)
      await client.act('POST', `/networks/${id}/actions/change_protection`, { delete: true });
    return {
      id,
      state: { ...networkState(answer.network), deleteProtection: inputs.deleteProtection ?? false },
    };
  },
  async read({ client, id }) {
    const found = await findNetwork(client, id);
    return found && { state: networkState(found) };
  },
  async update({ client, id, inputs, changed }) {
    if (changed.has('name') || changed.has('labels') || changed.has('exposeRoutesToVswitch')) {
      await client.request('PUT', `/networks/${id}`, {
        ...(changed.has('name') && { name: inputs.name }),
        ...(changed.has('labels') && { labels: inputs.labels ?? {} }),
        ...(changed.has('exposeRoutesToVswitch') && {
          expose_routes_to_vswitch: inputs.exposeRoutesToVswitch ?? false,
        }),
      });
    }
    if (changed.has('deleteProtection')) {
      await client.act('POST', `/networks/${id}/actions/change_protection`, {
        delete: inputs.deleteProtection ?? false,
      });
    }
    const found = await findNetwork(client, id);
    return found ? networkState(found) : {};
  },
  async delete({ client, id }) {
    await client.remove(`/networks/${id}`, ['locked', 'resource_in_use']);
  },
});

/** `<network>-<range>`, such as `12-10.10.0.0/16`. */
function splitSubnetId(id: string): { networkId: number; range: string } {
  const match = /^(\d+)-(.+)$/.exec(id);
  if (!match)
    throw new Error(
      `subnet id ${JSON.stringify(id)} is not <network id>-<range>; for example 12-10.10.0.0/16`,
    );
  return { networkId: Number(match[1]), range: match[2] ?? '' };
}

async function findSubnet(client: HetznerClient, networkId: number, range: string) {
  const subnet = (await findNetwork(client, networkId))?.subnets.find((item) => item.ip_range === range);
  return (
    subnet && {
      networkId,
      type: subnet.type,
      ipRange: subnet.ip_range,
      networkZone: subnet.network_zone,
      gateway: subnet.gateway,
    }
  );
}

export const networkSubnet = resourceFor<HetznerClient>()({
  inputs: {
    ipRange: required(text({ replaces: true })),
    networkId: required(number({ replaces: true })),
    networkZone: required(text({ replaces: true })),
    type: required(text({ replaces: true, oneOf: ['cloud', 'server', 'vswitch'] })),
    vswitchId: notSimulated('the local cloud has no dedicated servers and so no vSwitch'),
  },
  outputs: { gateway: text() },
  reports: 'details',
  async create({ client, inputs }) {
    await client.act(
      'POST',
      `/networks/${inputs.networkId}/actions/add_subnet`,
      { type: inputs.type, ip_range: inputs.ipRange, network_zone: inputs.networkZone },
      ['locked'],
    );
    return {
      id: `${inputs.networkId}-${inputs.ipRange}`,
      state: (await findSubnet(client, inputs.networkId, inputs.ipRange)) ?? {},
    };
  },
  async read({ client, id }) {
    const { networkId, range } = splitSubnetId(id);
    const found = await findSubnet(client, networkId, range);
    return found && { state: found };
  },
  async delete({ client, id }) {
    const { networkId, range } = splitSubnetId(id);
    if (!(await findSubnet(client, networkId, range))) return;
    await client.act('POST', `/networks/${networkId}/actions/delete_subnet`, { ip_range: range }, [
      'locked',
      'resource_in_use',
      'service_error',
    ]);
  },
});

async function findAttachment(client: HetznerClient, serverId: number, networkId: number) {
  const server = (await client.find<{ server: ApiServer }>(`/servers/${serverId}`))?.server;
  const attached = server?.private_net.find((item) => item.network === networkId);
  return (
    attached && {
      serverId,
      networkId,
      ip: attached.ip,
      aliasIps: attached.alias_ips,
      macAddress: attached.mac_address,
    }
  );
}

/** `<server>-<network>`. */
function splitAttachmentId(id: string): [number, number] {
  const match = /^(\d+)-(\d+)$/.exec(id);
  if (!match) throw new Error(`id ${JSON.stringify(id)} is not <server id>-<network id>; for example 42-12`);
  return [Number(match[1]), Number(match[2])];
}

export const serverNetwork = resourceFor<HetznerClient>()({
  inputs: {
    aliasIps: set(text(), { computed: true }),
    ip: text({ replaces: true, computed: true }),
    networkId: number({ replaces: true, computed: true }),
    serverId: required(number({ replaces: true })),
    subnetId: text({ replaces: true }),
  },
  outputs: { macAddress: text() },
  reports: 'reasons',
  check: ({ networkId, subnetId }) =>
    (networkId === undefined) === (subnetId === undefined)
      ? [{ property: 'networkId', reason: 'exactly one of networkId and subnetId must be set' }]
      : [],
  async create({ client, inputs }) {
    const networkId = inputs.networkId ?? splitSubnetId(inputs.subnetId ?? '').networkId;
    await client.act(
      'POST',
      `/servers/${inputs.serverId}/actions/attach_to_network`,
      {
        network: networkId,
        ...(inputs.ip && { ip: inputs.ip }),
        ...(inputs.aliasIps?.length && { alias_ips: inputs.aliasIps }),
      },
      busy,
    );
    return {
      id: `${inputs.serverId}-${networkId}`,
      state: (await findAttachment(client, inputs.serverId, networkId)) ?? { networkId },
    };
  },
  async read({ client, id }) {
    const found = await findAttachment(client, ...splitAttachmentId(id));
    return found && { state: found };
  },
  async update({ client, id, inputs }) {
    const [serverId, networkId] = splitAttachmentId(id);
    await client.act(
      'POST',
      `/servers/${serverId}/actions/change_alias_ips`,
      { network: networkId, alias_ips: inputs.aliasIps ?? [] },
      busy,
    );
    return (await findAttachment(client, serverId, networkId)) ?? {};
  },
  async delete({ client, id }) {
    const [serverId, networkId] = splitAttachmentId(id);
    if (!(await findAttachment(client, serverId, networkId))) return;
    await client.act(
      'POST',
      `/servers/${serverId}/actions/detach_from_network`,
      { network: networkId },
      busy,
    );
  },
});
