import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { actionView } from '../actions';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { findByIdOrName, hostName, id, idOrName, labels, orNull, parseBody } from '../input';
import type { Routes } from '../routes';
import type { PrimaryIpRecord, ServerRecord, State, VolumeRecord } from '../state';
import { images, locationNamed, locations, serverTypes, type Image, type ServerType } from './catalogue';
import { whyNotAvailable } from './catalogue-routes';
import { firewallsFor } from './firewalls';
import {
  began,
  existing,
  newRecord,
  refuseProtected,
  refuseTakenName,
  serveKind,
  wanted,
  type Kind,
} from './kind';
import { machineOf } from './machine';
import { privateAddress } from './networks';
import { refuseFull } from './placement-groups';
import { addPrimaryIp, refuseElsewhere } from './primary-ips';
import { attach } from './server-networks';
import { serverStatus, serverView } from './server-view';
import { refuseAttach } from './volumes';

const MOST_USER_DATA = 32 * 1024;

export const userData = z
  .string()
  .refine((text) => Buffer.byteLength(text) <= MOST_USER_DATA, `longer than ${MOST_USER_DATA} bytes`);

const create = z.strictObject({
  name: hostName,
  server_type: idOrName,
  image: idOrName,
  location: idOrName.optional(),
  ssh_keys: z.array(idOrName).optional(),
  user_data: userData.optional(),
  start_after_create: z.boolean().default(true),
  labels: labels.optional(),
  automount: z.boolean().optional(),
  volumes: z.array(id).default([]),
  networks: z.array(id).default([]),
  firewalls: z.array(z.strictObject({ firewall: id })).default([]),
  placement_group: orNull(id),
  public_net: z
    .strictObject({
      enable_ipv4: z.boolean().default(true),
      enable_ipv6: z.boolean().default(true),
      ipv4: orNull(id),
      ipv6: orNull(id),
    })
    .prefault({}),
});

/** What the routes of servers share, in this module and its neighbours. */
export function serverKind({ store, actions, driver }: Cloud): Kind<ServerRecord> {
  const { state } = store;
  return {
    plural: 'servers',
    type: 'server',
    records: state.servers,
    name: hostName,
    view: (server) => serverView(server, state, actions),
    filters: { status: (server, statuses) => statuses.includes(serverStatus(server, actions)) },
    change: (server) => {
      // Labels may have brought it under another firewall, or out of one.
      void driver.firewallChanged(machineOf(server, state));
    },
  };
}

/** Servers: create, change, delete. What is done to one that is there is in `server-actions`. */
export function serverRoutes(routes: Routes, cloud: Cloud): void {
  const { actions, driver } = cloud;
  const { state } = cloud.store;
  const kind = serverKind(cloud);
  serveKind<ServerRecord>(routes, cloud, kind);

  const created = actions.define<{ server: number; start: boolean }>('server/create', {
    command: 'create_server',
    drive: async (args) => {
      const server = state.servers.get(args.server);
      if (!server) return;
      await driver.create(machineOf(server, state));
      if (args.start) await driver.powerOn(machineOf(server, state));
    },
    apply: (args) => {
      const server = state.servers.get(args.server);
      if (server && args.start) server.status = 'running';
    },
  });
  // The service reports the start as an action of its own, which ends with the creation.
  const started = actions.define<object>('server/created_started', { command: 'start_server' });

  routes.post('/servers', ({ body }) => {
    const given = parseBody(create, body);
    const order = checkOrder(given, cloud);

    const server: ServerRecord = {
      ...newRecord(cloud, given),
      status: 'off',
      serverType: order.type.name,
      image: order.image.id,
      location: order.location,
      primaryDiskSize: order.type.disk,
      userData: given.user_data ?? '',
      sshKeys: order.sshKeys,
      placementGroup: given.placement_group ?? null,
      firewalls: order.firewalls,
      networks: [],
      backupWindow: null,
      protection: { delete: false, rebuild: false },
    };
    // The last check: networks may overlap one another.
    for (const network of order.networks) attach(server, network, state);
    state.servers.add(server);
    for (const [type, ip] of order.publicIps) {
      const own = ip ?? addPrimaryIp(cloud, { ...ownIp(cloud, type), location: server.location });
      own.autoDelete = ip ? ip.autoDelete : true;
      own.assignee = server.id;
    }
    for (const volume of order.volumes) volume.server = server.id;

    const action = created([{ type: 'server', id: server.id }], {
      server: server.id,
      start: given.start_after_create,
    });
    const next = given.start_after_create ? [started([{ type: 'server', id: server.id }], {}, action)] : [];
    return {
      status: 201,
      body: {
        server: kind.view(server),
        action: actionView(action),
        next_actions: next.map(actionView),
        root_password: rootPassword(server),
      },
    };
  });

  const deleted = actions.define<{ server: number }>('server/delete', {
    command: 'delete_server',
    drive: async (args) => {
      const server = state.servers.get(args.server);
      if (server) await driver.delete(machineOf(server, state));
    },
    apply: (args) => {
      for (const volume of state.volumes) if (volume.server === args.server) volume.server = null;
      for (const ip of state.primaryIps.filter(({ assignee }) => assignee === args.server)) {
        ip.assignee = null;
        if (ip.autoDelete) state.primaryIps.delete(ip.id);
      }
      state.servers.delete(args.server);
    },
  });
  routes.delete('/servers/:id', (call) => {
    const server = wanted(kind, call);
    refuseProtected('server', server);
    actions.refuseWhileRunning('server', server.id);
    return { ...began(deleted([{ type: 'server', id: server.id }], { server: server.id })), status: 200 };
  });
}

/** A password is made only for a server without SSH keys. */
export function rootPassword(server: ServerRecord): string | null {
  return server.sshKeys.length > 0 ? null : randomBytes(15).toString('base64url');
}

/** Finds all that an order refers to. @throws ApiError for the first thing that cannot be had. */
function checkOrder(given: z.infer<typeof create>, cloud: Cloud) {
  const { state } = cloud.store;
  refuseTakenName(state.servers, 'server', given.name);
  if (state.servers.size >= cloud.limits.servers) {
    throw new ApiError('resource_limit_exceeded', `server limit of ${cloud.limits.servers} exceeded`);
  }
  const type = findByIdOrName(serverTypes, given.server_type);
  if (!type) throw invalidInput('server_type', `'${given.server_type}' is no server type, e.g. cx33`);
  const location = orderLocation(given.location, type, state);
  refuseUnavailable(type, location, state);
  const image = fittingImage(given.image, type);
  const sshKeys = (given.ssh_keys ?? []).map((wantedKey) => {
    const key = findByIdOrName(state.sshKeys, wantedKey);
    if (!key) throw new ApiError('not_found', `SSH key '${wantedKey}' not found`);
    return key.publicKey;
  });
  const firewalls = firewallsFor(
    given.firewalls.map(({ firewall }) => firewall),
    state,
  );
  if (given.placement_group !== undefined) {
    refuseFull(existing(state.placementGroups, 'placement group', given.placement_group), state);
  }
  const publicIps = orderedIps(given.public_net, location, state);
  if (firewalls.length > 0 && publicIps.length === 0) {
    throw new ApiError('private_net_only_server', 'a firewall needs a server with a public interface');
  }
  const newIps = publicIps.filter(([, ip]) => ip === undefined).length;
  if (state.primaryIps.size + newIps > cloud.limits.primaryIps) {
    throw new ApiError('resource_limit_exceeded', `primary IP limit of ${cloud.limits.primaryIps} exceeded`);
  }
  const networks = [...new Set(given.networks)].map((one) => existing(state.networks, 'network', one));
  for (const network of networks) privateAddress(network, locationNamed(location).network_zone, state);
  if (publicIps.length === 0 && networks.length === 0 && given.start_after_create) {
    throw invalidInput('public_net', 'a server needs a public or a private network to start');
  }
  const volumes = given.volumes.map((one): VolumeRecord => {
    const volume = existing(state.volumes, 'volume', one);
    refuseAttach(volume, location);
    return volume;
  });
  return {
    type,
    location,
    image,
    sshKeys,
    firewalls,
    publicIps,
    networks,
    volumes,
  };
}

function orderLocation(wantedLocation: string | number | undefined, type: ServerType, state: State): string {
  if (wantedLocation === undefined) {
    return type.locations.find((name) => !whyNotAvailable(type, name, state)) ?? type.locations[0]!;
  }
  const location = findByIdOrName(locations, wantedLocation);
  if (!location) throw invalidInput('location', `'${wantedLocation}' is no location, e.g. fsn1`);
  return location.name;
}

/** @throws ApiError when the type cannot be had in this location now */
export function refuseUnavailable(type: ServerType, location: string, state: State): void {
  switch (whyNotAvailable(type, location, state)) {
    case 'unsupported':
      throw invalidInput(
        'location',
        `unsupported location for server type: ${type.name} is not sold in ${location}`,
      );
    case 'deprecated':
      throw new ApiError('invalid_server_type', `server type ${type.name} is deprecated in ${location}`);
    case 'sold out':
      throw new ApiError(
        'resource_unavailable',
        `error during placement: no ${type.name} is left in ${location}`,
      );
  }
}

/** @throws ApiError `invalid_input` for an unknown image or one for another architecture */
export function fittingImage(
  wantedImage: string | number,
  type: Pick<ServerType, 'name' | 'architecture'>,
): Image {
  const fitting = images.filter(({ architecture }) => architecture === type.architecture);
  const image = findByIdOrName(fitting, wantedImage);
  if (image) return image;
  const other = findByIdOrName(images, wantedImage);
  throw invalidInput(
    'image',
    other
      ? `image ${other.name} is for ${other.architecture}, server type ${type.name} is ${type.architecture}`
      : `'${wantedImage}' is no image, e.g. debian-13`,
  );
}

type PublicNet = z.infer<typeof create>['public_net'];

/** For each wanted family the primary IP that was named, or undefined for a new one. */
function orderedIps(net: PublicNet, location: string, state: State) {
  return (['ipv4', 'ipv6'] as const).flatMap((type): ['ipv4' | 'ipv6', PrimaryIpRecord | undefined][] => {
    const named = net[type];
    if (!net[`enable_${type}`]) {
      if (named !== undefined)
        throw invalidInput(`public_net.${type}`, `given although enable_${type} is false`);
      return [];
    }
    if (named === undefined) return [[type, undefined]];
    const ip = existing(state.primaryIps, 'primary IP', named);
    if (ip.type !== type)
      throw new ApiError('primary_ip_version_mismatch', `primary IP ${ip.id} is ${ip.type}`);
    if (ip.assignee !== null) {
      throw new ApiError(
        'primary_ip_assigned',
        `primary IP ${ip.id} is already assigned to server ${ip.assignee}`,
      );
    }
    refuseElsewhere(ip, location);
    return [[type, ip]];
  });
}

function ownIp(cloud: Cloud, type: 'ipv4' | 'ipv6') {
  const record = newRecord(cloud, { name: '' });
  return { ...record, name: `primary_ip-${record.id}`, type };
}
