import { z } from 'zod';
import { contains, overlap, parseRange, toAddress, type Range } from '../addresses';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { labels, name, parseBody } from '../input';
import type { Routes } from '../routes';
import type { NetworkRecord, State } from '../state';
import { networkZones } from './catalogue';
import {
  began,
  newRecord,
  refuseProtected,
  refuseTakenName,
  serveKind,
  serveProtection,
  wanted,
} from './kind';
import { gatewayOf, within } from './private-addresses';

const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].map((text) => parseRange(text)!);

const range = z
  .string()
  .refine((text) => parseRange(text) !== undefined, 'not an IPv4 range, e.g. 10.10.0.0/16');

const subnet = z.strictObject({
  type: z.enum(['cloud', 'server']),
  ip_range: range.optional(),
  network_zone: z.enum(networkZones),
});

const create = z.strictObject({
  name,
  ip_range: range
    .refine((text) => {
      const given = parseRange(text);
      return given === undefined || privateRanges.some((one) => contains(one, given));
    }, 'not a private range (RFC 1918), e.g. 10.10.0.0/16')
    .refine((text) => (parseRange(text)?.prefix ?? 0) <= 24, 'smaller than /24'),
  subnets: z.array(subnet).max(50).optional(),
  labels: labels.optional(),
  expose_routes_to_vswitch: z.boolean().optional(),
});

const deleteSubnet = z.strictObject({ ip_range: range });

/** Private networks and their subnets. */
export function networkRoutes(routes: Routes, cloud: Cloud): void {
  const { state } = cloud.store;
  const kind = {
    plural: 'networks',
    type: 'network' as const,
    records: state.networks,
    view: (network: NetworkRecord) => networkView(network, state),
    changeable: { expose_routes_to_vswitch: z.boolean().optional() },
    change: (network: NetworkRecord, fields: { expose_routes_to_vswitch?: boolean }) => {
      network.exposeRoutesToVswitch = fields.expose_routes_to_vswitch ?? network.exposeRoutesToVswitch;
    },
    refuseDelete: (network: NetworkRecord) => {
      refuseProtected('network', network);
      const servers = attachedTo(network, state);
      if (servers.length > 0) {
        throw new ApiError(
          'resource_in_use',
          `network ${network.id} is in use by server ${servers.join(', ')}`,
        );
      }
    },
  };
  serveKind<NetworkRecord>(routes, cloud, kind);

  routes.post('/networks', ({ body }) => {
    const given = parseBody(create, body);
    refuseTakenName(state.networks, 'network', given.name);
    const network: NetworkRecord = {
      ...newRecord(cloud, given),
      ipRange: given.ip_range,
      subnets: [],
      exposeRoutesToVswitch: given.expose_routes_to_vswitch ?? false,
      protection: { delete: false },
    };
    for (const one of given.subnets ?? []) network.subnets.push(newSubnet(network, one));
    state.networks.add(network);
    return { status: 201, body: { network: networkView(network, state) } };
  });

  const addSubnet = cloud.actions.define<{ network: number; subnet: z.infer<typeof subnet> }>(
    'network/add_subnet',
    {
      command: 'add_subnet',
      apply: (args) => {
        const network = state.networks.get(args.network);
        network?.subnets.push(newSubnet(network, args.subnet));
      },
    },
  );
  routes.post('/networks/:id/actions/add_subnet', (call) => {
    const network = wanted(kind, call);
    const given = parseBody(subnet, call.body);
    cloud.actions.refuseWhileRunning('network', network.id, 'conflict');
    newSubnet(network, given);
    return began(addSubnet([{ type: 'network', id: network.id }], { network: network.id, subnet: given }));
  });

  const removeSubnet = cloud.actions.define<{ network: number; ipRange: string }>('network/delete_subnet', {
    command: 'delete_subnet',
    apply: (args) => {
      const network = state.networks.get(args.network);
      if (!network) return;
      refuseSubnetInUse(network, args.ipRange, state);
      network.subnets = network.subnets.filter((one) => one.ipRange !== args.ipRange);
    },
  });
  routes.post('/networks/:id/actions/delete_subnet', (call) => {
    const network = wanted(kind, call);
    const { ip_range } = parseBody(deleteSubnet, call.body);
    cloud.actions.refuseWhileRunning('network', network.id, 'conflict');
    if (!network.subnets.some((one) => one.ipRange === ip_range)) {
      throw new ApiError('not_found', `network ${network.id} has no subnet ${ip_range}`);
    }
    refuseSubnetInUse(network, ip_range, state);
    return began(
      removeSubnet([{ type: 'network', id: network.id }], { network: network.id, ipRange: ip_range }),
    );
  });

  serveProtection(routes, cloud, kind);
}

function networkView(network: NetworkRecord, state: State) {
  return {
    id: network.id,
    name: network.name,
    labels: network.labels,
    created: network.created,
    ip_range: network.ipRange,
    subnets: network.subnets.map((one) => ({
      type: one.type,
      ip_range: one.ipRange,
      network_zone: one.networkZone,
      gateway: toAddress(gatewayOf(network)),
      vswitch_id: null,
    })),
    routes: [],
    servers: attachedTo(network, state),
    load_balancers: [],
    protection: network.protection,
    expose_routes_to_vswitch: network.exposeRoutesToVswitch,
  };
}

function attachedTo(network: NetworkRecord, state: State): number[] {
  return state.servers
    .filter((server) => server.networks.some((at) => at.network === network.id))
    .map(({ id }) => id);
}

function newSubnet(network: NetworkRecord, given: z.infer<typeof subnet>): NetworkRecord['subnets'][number] {
  const whole = parseRange(network.ipRange)!;
  const taken = network.subnets.map((one) => parseRange(one.ipRange)!);
  const ipRange = given.ip_range ?? firstFree24(whole, taken);
  const wantedRange = parseRange(ipRange)!;
  if (!contains(whole, wantedRange)) {
    throw invalidInput('ip_range', `${ipRange} is not within the network's range ${network.ipRange}`);
  }
  if (taken.some((other) => overlap(other, wantedRange))) {
    throw invalidInput('ip_range', `${ipRange} overlaps with another subnet of network ${network.id}`);
  }
  return { type: given.type, ipRange, networkZone: given.network_zone };
}

function firstFree24(whole: Range, taken: Range[]): string {
  for (let first = whole.first; first <= whole.last; first += 256) {
    const candidate = { first, last: first + 255, prefix: 24 };
    if (!taken.some((other) => overlap(other, candidate))) return `${toAddress(first)}/24`;
  }
  throw invalidInput('ip_range', 'no /24 is left in the network');
}

function refuseSubnetInUse(network: NetworkRecord, ipRange: string, state: State): void {
  const range = parseRange(ipRange)!;
  const user = state.servers.find((server) =>
    server.networks.some((at) => at.network === network.id && within(at.ip, range)),
  );
  if (user) throw new ApiError('resource_in_use', `subnet ${ipRange} is in use by server ${user.id}`);
}
