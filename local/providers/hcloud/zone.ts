/** DNS zones and their record sets. */
import { flag, list, notSimulated, number, object, required, set, text } from '../properties';
import { resourceFor } from '../resource';
import type { HetznerClient } from './client';
import { labels } from './labels';

interface ApiZone {
  id: number;
  name: string;
  mode: string;
  ttl: number;
  labels: Record<string, string>;
  protection: { delete: boolean };
  authoritative_nameservers?: { assigned?: string[] };
  registrar?: string;
}

const zoneState = (zone: ApiZone) => ({
  name: zone.name,
  mode: zone.mode,
  ttl: zone.ttl,
  labels: zone.labels,
  deleteProtection: zone.protection.delete,
  authoritativeNameservers: { assigneds: zone.authoritative_nameservers?.assigned ?? [] },
  registrar: zone.registrar ?? '',
});

const findZone = async (client: HetznerClient, id: string): Promise<ApiZone | undefined> =>
  (await client.find<{ zone: ApiZone }>(`/zones/${id}`))?.zone;

export const zone = resourceFor<HetznerClient>()({
  inputs: {
    deleteProtection: flag({ default: false }),
    labels: labels(),
    mode: required(text({ replaces: true, oneOf: ['primary'] })),
    name: text({ replaces: true }),
    primaryNameservers: notSimulated('the local cloud serves primary zones only'),
    ttl: number({ computed: true }),
  },
  outputs: { authoritativeNameservers: object({ assigneds: list(text()) }), registrar: text() },
  reports: 'reasons',
  autoName: true,
  async create({ client, inputs }) {
    const answer = await client.request<{ zone: ApiZone }>('POST', '/zones', {
      name: inputs.name,
      mode: inputs.mode,
      ...(inputs.ttl && { ttl: inputs.ttl }),
      ...(inputs.labels && { labels: inputs.labels }),
    });
    await client.finish(answer as object);
    const id = String(answer.zone.id);
    if (inputs.deleteProtection)
      await client.act('POST', `/zones/${id}/actions/change_protection`, { delete: true });
    return { id, state: zoneState((await findZone(client, id)) ?? answer.zone) };
  },
  async read({ client, id }) {
    const found = await findZone(client, id);
    return found && { id: String(found.id), state: zoneState(found) };
  },
  async update({ client, id, inputs, changed }) {
    if (changed.has('labels')) await client.request('PUT', `/zones/${id}`, { labels: inputs.labels ?? {} });
    if (changed.has('ttl')) await client.act('POST', `/zones/${id}/actions/change_ttl`, { ttl: inputs.ttl });
    if (changed.has('deleteProtection')) {
      await client.act('POST', `/zones/${id}/actions/change_protection`, {
        delete: inputs.deleteProtection ?? false,
      });
    }
    const found = await findZone(client, id);
    return found ? zoneState(found) : {};
  },
  async delete({ client, id }) {
    await client.remove(`/zones/${id}`, ['locked']);
  },
});

interface ApiRrset {
  id: string;
  name: string;
  type: string;
  ttl: number | null;
  labels: Record<string, string>;
  protection: { change: boolean };
  records: { value: string; comment?: string | null }[];
}

const rrsetState = (rrset: ApiRrset) => ({
  name: rrset.name,
  type: rrset.type,
  ttl: rrset.ttl ?? undefined,
  labels: rrset.labels,
  changeProtection: rrset.protection.change,
  records: rrset.records.map(({ value, comment }) => ({ value, comment: comment ?? undefined })),
});

const record = object({ comment: text(), value: required(text()) });

const pathOf = (zoneName: string, name: string, type: string): string =>
  `/zones/${encodeURIComponent(zoneName)}/rrsets/${encodeURIComponent(name)}/${encodeURIComponent(type)}`;

const findRrset = async (client: HetznerClient, path: string): Promise<ApiRrset | undefined> =>
  (await client.find<{ rrset: ApiRrset }>(path))?.rrset;

export const zoneRrset = resourceFor<HetznerClient>()({
  inputs: {
    changeProtection: flag({ default: false }),
    labels: labels(),
    name: text({ replaces: true }),
    records: required(set(record)),
    ttl: number(),
    type: required(text({ replaces: true })),
    zone: required(text({ replaces: true })),
  },
  outputs: {},
  reports: 'reasons',
  autoName: true,
  async create({ client, inputs }) {
    const answer = await client.request<{ rrset: ApiRrset }>(
      'POST',
      `/zones/${encodeURIComponent(inputs.zone)}/rrsets`,
      {
        name: inputs.name,
        type: inputs.type,
        records: inputs.records,
        ...(inputs.ttl && { ttl: inputs.ttl }),
        ...(inputs.labels && { labels: inputs.labels }),
      },
    );
    await client.finish(answer as object);
    const path = pathOf(inputs.zone, answer.rrset.name, inputs.type);
    if (inputs.changeProtection)
      await client.act('POST', `${path}/actions/change_protection`, { change: true });
    return { id: answer.rrset.id, state: rrsetState((await findRrset(client, path)) ?? answer.rrset) };
  },
  async read({ client, id, state }) {
    // An import names the zone as well: <zone>/<name>/<type>.
    const parts = id.split('/');
    const type = parts.pop() ?? '';
    const name = parts.pop() ?? '';
    const zoneName = state.zone ?? parts.pop();
    if (!zoneName || !name)
      throw new Error(`id ${JSON.stringify(id)} is not <zone>/<name>/<type>; for example example.org/meet/A`);
    const found = await findRrset(client, pathOf(zoneName, name, type));
    return found && { id: found.id, state: { ...rrsetState(found), zone: zoneName } };
  },
  async update({ client, inputs, changed }) {
    const path = pathOf(inputs.zone, inputs.name ?? '', inputs.type);
    if (changed.has('labels')) await client.request('PUT', path, { labels: inputs.labels ?? {} });
    if (changed.has('ttl'))
      await client.act('POST', `${path}/actions/change_ttl`, { ttl: inputs.ttl ?? null });
    if (changed.has('records')) {
      await client.act('POST', `${path}/actions/set_records`, { records: inputs.records });
    }
    if (changed.has('changeProtection')) {
      await client.act('POST', `${path}/actions/change_protection`, {
        change: inputs.changeProtection ?? false,
      });
    }
    const found = await findRrset(client, path);
    return found ? rrsetState(found) : {};
  },
  async delete({ client, state }) {
    await client.remove(pathOf(state.zone, state.name ?? '', state.type), ['locked']);
  },
});
