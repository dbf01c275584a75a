import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { overlap, parseRange } from '../addresses';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { id, parseBody } from '../input';
import type { Routes } from '../routes';
import type { NetworkAttachment, NetworkRecord, ServerRecord, State } from '../state';
import { locationNamed } from './catalogue';
import { began, existing, wanted } from './kind';
import { machineOf } from './machine';
import { privateAddress } from './private-addresses';

const ip = z.string().refine((text) => isIPv4(text), 'not an IPv4 address, e.g. 10.10.1.1');
const attachBody = z.strictObject({
  network: id,
  ip: ip.nullish(),
  ip_range: z.string().nullish(),
  alias_ips: z.array(ip).max(5).default([]),
});
const detachBody = z.strictObject({ network: id });
const aliasBody = z.strictObject({ network: id, alias_ips: z.array(ip).max(5) });

type Attach = z.infer<typeof attachBody>;

/** A server's private networks. */
export function serverNetworkRoutes(routes: Routes, cloud: Cloud): void {
  const { actions, driver } = cloud;
  const { state } = cloud.store;
  const kind = { records: state.servers, type: 'server' as const };
  const unlocked = (call: Parameters<typeof wanted>[1]) => {
    const server = wanted(kind, call);
    actions.refuseWhileRunning('server', server.id);
    return server;
  };
  const settle = async (args: { server: number }) => {
    const server = state.servers.get(args.server);
    if (server) await driver.networksChanged(machineOf(server, state));
  };
  const resources = (server: ServerRecord, network: number) => [
    { type: 'server', id: server.id } as const,
    { type: 'network', id: network } as const,
  ];

  const attached = actions.define<Attach & { server: number }>('server/attach_to_network', {
    command: 'attach_to_network',
    settle,
    apply: (args) => {
      const server = state.servers.get(args.server);
      if (server) attach(server, existing(state.networks, 'network', args.network), state, args);
    },
  });
  routes.post('/servers/:id/actions/attach_to_network', (call) => {
    const server = unlocked(call);
    const given = parseBody(attachBody, call.body);
    checkAttach(server, existing(state.networks, 'network', given.network), state, given);
    return began(attached(resources(server, given.network), { ...given, server: server.id }));
  });

  const detached = actions.define<{ server: number; network: number }>('server/detach_from_network', {
    command: 'detach_from_network',
    settle,
    apply: (args) => {
      const server = state.servers.get(args.server);
      if (server) server.networks = server.networks.filter((at) => at.network !== args.network);
    },
  });
  routes.post('/servers/:id/actions/detach_from_network', (call) => {
    const server = unlocked(call);
    const { network } = parseBody(detachBody, call.body);
    attachment(server, network);
    return began(detached(resources(server, network), { server: server.id, network }));
  });

  const aliased = actions.define<{ server: number; network: number; aliasIps: string[] }>(
    'server/change_alias_ips',
    {
      command: 'change_alias_ips',
      settle,
      apply: (args) => {
        const server = state.servers.get(args.server);
        if (server) attachment(server, args.network).aliasIps = args.aliasIps;
      },
    },
  );
  routes.post('/servers/:id/actions/change_alias_ips', (call) => {
    const server = unlocked(call);
    const { network, alias_ips: aliasIps } = parseBody(aliasBody, call.body);
    const at = attachment(server, network);
    const fresh = aliasIps.filter((one) => !at.aliasIps.includes(one));
    for (const one of fresh) checkAddress(server, existing(state.networks, 'network', network), state, one);
    return began(aliased(resources(server, network), { server: server.id, network, aliasIps }));
  });
}

/** @throws ApiError `invalid_input` when the server is not in the network */
function attachment(server: ServerRecord, network: number): NetworkAttachment {
  const at = server.networks.find((one) => one.network === network);
  if (!at) throw invalidInput('network', `server ${server.id} is not attached to network ${network}`);
  return at;
}

function checkAddress(
  server: ServerRecord,
  network: NetworkRecord,
  state: State,
  wantedIp?: string,
  range?: string,
) {
  return privateAddress(network, locationNamed(server.location).network_zone, state, wantedIp, range);
}

/** @throws ApiError when the server cannot have this address in this network */
function checkAttach(
  server: ServerRecord,
  network: NetworkRecord,
  state: State,
  given: Partial<Attach>,
): string {
  if (server.networks.some((at) => at.network === network.id)) {
    throw new ApiError(
      'server_already_attached',
      `server ${server.id} is already attached to network ${network.id}`,
    );
  }
  const range = parseRange(network.ipRange)!;
  const other = server.networks.find((at) =>
    overlap(parseRange(state.networks.get(at.network)!.ipRange)!, range),
  );
  if (other)
    throw new ApiError('networks_overlap', `network ${network.id} overlaps with network ${other.network}`);
  for (const alias of given.alias_ips ?? []) checkAddress(server, network, state, alias);
  return checkAddress(server, network, state, given.ip ?? undefined, given.ip_range ?? undefined);
}

/** Puts a server into a network, at the address asked for or the first free one. @throws ApiError */
export function attach(
  server: ServerRecord,
  network: NetworkRecord,
  state: State,
  given: Partial<Attach> = {},
): void {
  const ip = checkAttach(server, network, state, given);
  const macAddress = `86:00:00${server.id.toString(16).padStart(6, '0').slice(-6).replace(/../g, ':$&')}`;
  server.networks.push({ network: network.id, ip, aliasIps: given.alias_ips ?? [], macAddress });
}
