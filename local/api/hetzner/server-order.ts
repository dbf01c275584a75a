import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { findByIdOrName, hostName, id, idOrName, labels, orNull } from '../input';
import type { PrimaryIpRecord, State, VolumeRecord } from '../state';
import { images, locationNamed, locations, serverTypes, type Image, type ServerType } from './catalogue';
import { whyNotAvailable } from './catalogue-routes';
import { firewallsFor } from './firewalls';
import { existing, refuseTakenName } from './kind';
import { refuseFull } from './placement-groups';
import { refuseElsewhere } from './primary-ips';
import { privateAddress } from './private-addresses';
import { refuseAttach } from './volumes';

const MOST_USER_DATA = 32 * 1024;

export const userData = z
  .string()
  .refine((text) => Buffer.byteLength(text) <= MOST_USER_DATA, `longer than ${MOST_USER_DATA} bytes`);

export const serverOrder = z.strictObject({
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

/** Finds all that an order refers to. @throws ApiError for the first thing that cannot be had. */
export function checkOrder(given: z.infer<typeof serverOrder>, cloud: Cloud) {
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

type PublicNet = z.infer<typeof serverOrder>['public_net'];

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
