import { isIP } from 'node:net';
import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError } from '../errors';
import { labels, parseBody } from '../input';
import type { Routes } from '../routes';
import type { State, ZoneRecord } from '../state';
import { actionView } from '../actions';
import {
  began,
  newRecord,
  refuseProtected,
  refuseTakenName,
  serveKind,
  serveProtection,
  wanted,
  type Kind,
} from './kind';
import { newRrset, rrsetInput, ttl } from './rrset-input';

const name = z
  .string()
  .max(253)
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/,
    'not a domain in lower case without a final dot, e.g. example.org',
  );

const nameserver = z.strictObject({
  address: z.string().refine((text) => isIP(text) !== 0, 'not an IP address'),
  port: z.number().int().min(1).max(65_535).default(53),
});

const create = z.strictObject({
  name,
  mode: z.enum(['primary', 'secondary']),
  ttl: ttl.optional(),
  labels: labels.optional(),
  primary_nameservers: z.array(nameserver).optional(),
  rrsets: z.array(rrsetInput).optional(),
});
const changeTtl = z.strictObject({ ttl });

const NAMESERVERS = ['hydrogen.ns.hetzner.com.', 'oxygen.ns.hetzner.com.', 'helium.ns.hetzner.de.'];

/** A zone is named by id or by its domain. */
export function zoneKind(state: State): Kind<ZoneRecord> & { type: 'zone' } {
  return {
    plural: 'zones',
    type: 'zone',
    records: state.zones,
    name: null,
    view: zoneView,
    filters: { mode: (zone, modes) => modes.includes(zone.mode) },
    find: (text) => state.zones.find((zone) => zone.name === text),
  };
}

/** DNS zones. Nothing resolves them here. */
export function zoneRoutes(routes: Routes, cloud: Cloud): void {
  const { actions } = cloud;
  const { state } = cloud.store;
  const kind = zoneKind(state);
  serveKind<ZoneRecord>(routes, cloud, kind);
  const at = (zone: ZoneRecord) => [{ type: 'zone' as const, id: zone.id }];

  const created = actions.define<object>('zone/create', { command: 'create_zone' });
  routes.post('/zones', ({ body }) => {
    const given = parseBody(create, body);
    refuseTakenName(state.zones, 'zone', given.name);
    const zone: ZoneRecord = {
      ...newRecord(cloud, given),
      mode: given.mode,
      ttl: given.ttl ?? 3600,
      primaryNameservers: given.primary_nameservers ?? [],
      rrsets: given.mode === 'primary' ? ownRrsets() : [],
      protection: { delete: false },
    };
    for (const one of given.rrsets ?? []) zone.rrsets.push(newRrset(zone, one));
    state.zones.add(zone);
    return { status: 201, body: { zone: zoneView(zone), action: actionView(created(at(zone), {})) } };
  });

  const deleted = actions.define<{ zone: number }>('zone/delete', {
    command: 'delete_zone',
    apply: (args) => state.zones.delete(args.zone),
  });
  routes.delete('/zones/:id', (call) => {
    const zone = wanted(kind, call);
    refuseProtected('zone', zone);
    if (zone.rrsets.some(({ protection }) => protection.change)) {
      throw new ApiError('protected', `zone ${zone.id} holds a protected record set`);
    }
    return began(deleted(at(zone), { zone: zone.id }));
  });

  serveProtection(routes, cloud, kind);

  const ttlChanged = actions.define<{ zone: number; ttl: number }>('zone/change_ttl', {
    command: 'change_ttl',
    apply: (args) => {
      const zone = state.zones.get(args.zone);
      if (zone) zone.ttl = args.ttl;
    },
  });
  routes.post('/zones/:id/actions/change_ttl', (call) => {
    const zone = wanted(kind, call);
    return began(ttlChanged(at(zone), { zone: zone.id, ...parseBody(changeTtl, call.body) }));
  });
}

function ownRrsets(): ZoneRecord['rrsets'] {
  const soa = `${NAMESERVERS[0]} dns.hetzner.com. 2026010100 86400 10800 3600000 3600`;
  const rrset = (type: string, values: string[]) => ({
    name: '@',
    type,
    ttl: type === 'SOA' ? null : 3600,
    labels: {},
    records: values.map((value) => ({ value })),
    protection: { change: false },
  });
  return [rrset('SOA', [soa]), rrset('NS', NAMESERVERS)];
}

function zoneView(zone: ZoneRecord) {
  return {
    id: zone.id,
    name: zone.name,
    labels: zone.labels,
    created: zone.created,
    mode: zone.mode,
    ttl: zone.ttl,
    primary_nameservers: zone.primaryNameservers,
    protection: zone.protection,
    authoritative_nameservers: {
      assigned: NAMESERVERS,
      delegated: [],
      delegation_last_check: zone.created,
      delegation_status: 'unknown',
    },
    registrar: 'unknown',
    status: 'ok',
    record_count: zone.rrsets.reduce((sum, { records }) => sum + records.length, 0),
  };
}
