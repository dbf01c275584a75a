import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError } from '../errors';
import { parseBody } from '../input';
import type { Routes } from '../routes';
import type { CloudflareZoneRecord, State } from '../state';
import { envelope, isHexId, pageOf } from './envelope';

const domain = z.string().regex(/^([a-z0-9-]+\.)+[a-z][a-z0-9-]*[a-z0-9]$/, 'not a domain, e.g. example.org');
const hexId = z.string().refine(isHexId, 'not 32 hexadecimal digits');
const create = z.strictObject({
  name: domain,
  account: z.strictObject({ id: hexId }).optional(),
  type: z.enum(['full', 'partial']).optional(),
});

const LOCAL_ACCOUNT = '0'.repeat(32);

/** Zones: looked up by name or id; made by hand, or by the first record that names an unknown one. */
export function zoneRoutes(routes: Routes, { store: { state } }: Cloud): void {
  routes.get('/zones', ({ query }) => {
    const fits = (zone: CloudflareZoneRecord) =>
      (!query.has('name') || zone.name === query.get('name')) &&
      (!query.has('account.id') || zone.account === query.get('account.id'));
    return pageOf(state.cloudflareZones.filter(fits), query, zoneView);
  });
  routes.get('/zones/:zone', ({ params }) => envelope(zoneView(zoneWithId(state, params.zone))));
  routes.post('/zones', ({ body }) => {
    const given = parseBody(create, body);
    if (state.cloudflareZones.find(({ name }) => name === given.name)) {
      throw new ApiError('uniqueness_error', `${given.name} already exists`, { number: 1061 });
    }
    return envelope(
      zoneView(addZone(state, randomUUID().replaceAll('-', ''), given.name, given.account?.id)),
    );
  });
  routes.delete('/zones/:zone', ({ params }) => {
    const { id } = zoneWithId(state, params.zone);
    for (const record of state.cloudflareRecords.filter(({ zone }) => zone === id)) {
      state.cloudflareRecords.delete(record.id);
    }
    state.cloudflareZones.delete(id);
    return envelope({ id });
  });
}

export function zoneWithId(state: State, id = ''): CloudflareZoneRecord {
  const zone = state.cloudflareZones.get(id);
  if (!zone) throw new ApiError('not_found', `no zone with id '${id}': perhaps the identifier is wrong`);
  return zone;
}

/**
 * The zone of a record that is to be made. A local program has only the id of a zone that exists at Cloudflare, so
 * an unknown id becomes a zone here, of the domain that ends the record's name.
 */
export function zoneForRecord(state: State, id: string, recordName: string): CloudflareZoneRecord {
  const zone = state.cloudflareZones.get(id);
  if (zone) return zone;
  const domainName = recordName.toLowerCase().split('.').slice(-2).join('.');
  if (!isHexId(id) || !domain.safeParse(domainName).success) return zoneWithId(state, id);
  return addZone(state, id, domainName);
}

function addZone(state: State, id: string, name: string, account = LOCAL_ACCOUNT): CloudflareZoneRecord {
  return state.cloudflareZones.add({ id, name, account, created: new Date().toISOString() });
}

function zoneView(zone: CloudflareZoneRecord) {
  return {
    id: zone.id,
    name: zone.name,
    status: 'active',
    paused: false,
    type: 'full',
    development_mode: 0,
    name_servers: ['ns1.cloud.invalid', 'ns2.cloud.invalid'],
    original_name_servers: [],
    original_registrar: null,
    original_dnshost: null,
    created_on: zone.created,
    modified_on: zone.created,
    activated_on: zone.created,
    meta: {},
    owner: { id: null, name: null, type: 'user' },
    account: { id: zone.account, name: 'local' },
    permissions: ['#dns_records:edit', '#dns_records:read', '#zone:read'],
    plan: { id: 'free', name: 'Free Website' },
  };
}
