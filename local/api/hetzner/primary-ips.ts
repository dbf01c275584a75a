import { z } from 'zod';
import { nextPublicIp } from '../addresses';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { findByIdOrName, id, idOrName, labels, name, orNull, parseBody } from '../input';
import type { Routes } from '../routes';
import type { PrimaryIpRecord, ServerRecord, State } from '../state';
import { actionView } from '../actions';
import { locationNamed, locations } from './catalogue';
import {
  began,
  existing,
  newRecord,
  refuseProtected,
  refuseTakenName,
  serveKind,
  serveProtection,
  wanted,
} from './kind';
import { machineOf } from './machine';
import { defaultDnsPtr } from './reverse-dns';

const create = z.strictObject({
  name,
  type: z.enum(['ipv4', 'ipv6']),
  location: idOrName.optional(),
  assignee_type: z.literal('server').optional(),
  assignee_id: orNull(id),
  auto_delete: z.boolean().optional(),
  labels: labels.optional(),
});
const assign = z.strictObject({ assignee_id: id, assignee_type: z.literal('server') });

/** Primary IPs: public addresses that can outlive their server. */
export function primaryIpRoutes(routes: Routes, cloud: Cloud): void {
  const { state } = cloud.store;
  const records = state.primaryIps;
  const kind = {
    plural: 'primary_ips',
    type: 'primary_ip' as const,
    records,
    view: primaryIpView,
    filters: { ip: (ip: PrimaryIpRecord, addresses: string[]) => addresses.includes(ip.ip) },
    changeable: { auto_delete: z.boolean().optional() },
    change: (ip: PrimaryIpRecord, fields: { auto_delete?: boolean }) => {
      ip.autoDelete = fields.auto_delete ?? ip.autoDelete;
    },
    refuseDelete: (ip: PrimaryIpRecord) => {
      refuseProtected('primary IP', ip);
      if (ip.assignee !== null) {
        throw new ApiError(
          'must_be_unassigned',
          `primary IP ${ip.id} is still assigned to server ${ip.assignee}`,
        );
      }
    },
  };
  serveKind<PrimaryIpRecord>(routes, cloud, kind);

  const settle = async (args: { server: number }) => {
    const server = state.servers.get(args.server);
    if (server) await cloud.driver.networksChanged(machineOf(server, state));
  };
  const moved = cloud.actions.define<{ ip: number; server: number }>('primary_ip/assign', {
    command: 'assign_primary_ip',
    settle,
    apply: (args) => {
      const ip = records.get(args.ip);
      if (ip) ip.assignee = args.server;
    },
  });
  const left = cloud.actions.define<{ ip: number; server: number }>('primary_ip/unassign', {
    command: 'unassign_primary_ip',
    settle,
    apply: (args) => {
      const ip = records.get(args.ip);
      if (ip) ip.assignee = null;
    },
  });
  const onServer = (serverId: number, ip: PrimaryIpRecord) => [
    { type: 'server', id: serverId } as const,
    { type: 'primary_ip', id: ip.id } as const,
  ];

  routes.post('/primary_ips', ({ body }) => {
    const given = parseBody(create, body);
    refuseTakenName(records, 'primary IP', given.name);
    const server =
      given.assignee_id === undefined ? undefined : existing(state.servers, 'server', given.assignee_id);
    const location = server
      ? locationNamed(server.location)
      : findByIdOrName(
          locations,
          given.location ?? fail('location', 'needed without an assignee, e.g. fsn1'),
        );
    if (!location) throw invalidInput('location', `'${given.location}' is no location, e.g. fsn1`);
    if (server) refuseAssign(server, given.type, cloud);
    const ip = addPrimaryIp(cloud, { ...newRecord(cloud, given), type: given.type, location: location.name });
    ip.autoDelete = given.auto_delete ?? false;
    const action = server && moved(onServer(server.id, ip), { ip: ip.id, server: server.id });
    return {
      status: 201,
      body: { primary_ip: primaryIpView(ip), action: action ? actionView(action) : null },
    };
  });

  routes.post('/primary_ips/:id/actions/assign', (call) => {
    const ip = wanted(kind, call);
    const { assignee_id } = parseBody(assign, call.body);
    const server = existing(state.servers, 'server', assignee_id);
    if (ip.assignee !== null) {
      throw new ApiError(
        'primary_ip_already_assigned',
        `primary IP ${ip.id} is assigned to server ${ip.assignee}`,
      );
    }
    refuseAssign(server, ip.type, cloud);
    refuseElsewhere(ip, server.location);
    return began(moved(onServer(server.id, ip), { ip: ip.id, server: server.id }));
  });

  routes.post('/primary_ips/:id/actions/unassign', (call) => {
    const ip = wanted(kind, call);
    if (ip.assignee === null) throw invalidInput('id', `primary IP ${ip.id} is not assigned`);
    const server = existing(state.servers, 'server', ip.assignee);
    refuseRunning(server, cloud);
    return began(left(onServer(server.id, ip), { ip: ip.id, server: server.id }));
  });

  serveProtection(routes, cloud, kind);
}

export function primaryIpView(ip: PrimaryIpRecord) {
  return {
    id: ip.id,
    name: ip.name,
    labels: ip.labels,
    created: ip.created,
    type: ip.type,
    ip: ip.ip,
    dns_ptr: ip.dnsPtr,
    assignee_id: ip.assignee,
    assignee_type: 'server',
    auto_delete: ip.autoDelete,
    blocked: false,
    location: locationNamed(ip.location),
    protection: ip.protection,
  };
}

/** Adds a new, unassigned address. @throws ApiError `resource_limit_exceeded` */
export function addPrimaryIp(
  cloud: Cloud,
  given: Pick<PrimaryIpRecord, 'id' | 'name' | 'labels' | 'created' | 'type' | 'location'>,
): PrimaryIpRecord {
  const { state } = cloud.store;
  if (state.primaryIps.size >= cloud.limits.primaryIps) {
    throw new ApiError('resource_limit_exceeded', `primary IP limit of ${cloud.limits.primaryIps} exceeded`);
  }
  const ip: PrimaryIpRecord = {
    ...given,
    ip: nextPublicIp(state, given.type),
    dnsPtr: [],
    assignee: null,
    autoDelete: false,
    protection: { delete: false },
  };
  const dnsPtr = defaultDnsPtr(ip);
  if (dnsPtr !== null) ip.dnsPtr = [{ ip: ip.ip, dns_ptr: dnsPtr }];
  return state.primaryIps.add(ip);
}

/** @throws ApiError `primary_ip_datacenter_mismatch` (the code kept its old name) */
export function refuseElsewhere(ip: PrimaryIpRecord, location: string): void {
  if (ip.location !== location) {
    throw new ApiError(
      'primary_ip_datacenter_mismatch',
      `primary IP ${ip.id} is in ${ip.location}, not ${location}`,
    );
  }
}

function refuseRunning(server: ServerRecord, cloud: Cloud): void {
  cloud.actions.refuseWhileRunning('server', server.id);
  if (server.status !== 'off') {
    throw new ApiError('server_not_stopped', `server ${server.id} is running, but must be powered off`);
  }
}

function refuseAssign(server: ServerRecord, type: 'ipv4' | 'ipv6', cloud: Cloud): void {
  refuseRunning(server, cloud);
  if (publicIp(server, type, cloud.store.state)) {
    throw new ApiError(`server_has_${type}`, `server ${server.id} has an ${type} address already`);
  }
}

export function publicIp(
  server: ServerRecord,
  type: 'ipv4' | 'ipv6',
  state: State,
): PrimaryIpRecord | undefined {
  return state.primaryIps.find((ip) => ip.type === type && ip.assignee === server.id);
}

function fail(field: string, message: string): never {
  throw invalidInput(field, message);
}
