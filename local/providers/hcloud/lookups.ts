/** The provider's functions: lookups that a program makes. */
import { flag, list, number, text } from '../properties';
import { functionFor } from '../resource';
import type { Value, ValueMap } from '../values';
import type { HetznerClient } from './client';
import { stateOf, type ApiServer } from './server';

const lookup = functionFor<HetznerClient>();

interface ApiLocation {
  id: number;
  name: string;
  description: string;
  country: string;
  city: string;
  latitude: number;
  longitude: number;
  network_zone: string;
}

interface Deprecation {
  announced: string;
  unavailable_after: string;
}

interface ApiServerType {
  id: number;
  name: string;
  description: string;
  category?: string | null;
  cores: number;
  memory: number;
  disk: number;
  architecture: string;
  cpu_type: string;
  storage_type: string;
  deprecation?: Deprecation | null;
  locations?: {
    id: number;
    name: string;
    available?: boolean;
    recommended?: boolean;
    deprecation?: Deprecation | null;
  }[];
}

interface ApiImage {
  id: number;
  name: string | null;
  type: string;
  status: string;
  description: string;
  architecture: string;
  created: string | null;
  deprecated: string | null;
  labels: Record<string, string>;
  os_flavor: string;
  os_version: string | null;
  rapid_deploy: boolean;
}

const deprecationOf = (deprecation: Deprecation | null | undefined) => ({
  isDeprecated: Boolean(deprecation),
  deprecationAnnounced: deprecation?.announced ?? '',
  unavailableAfter: deprecation?.unavailable_after ?? '',
});

const describeLocation = (location: ApiLocation): ValueMap => ({
  id: location.id,
  name: location.name,
  description: location.description,
  country: location.country,
  city: location.city,
  latitude: location.latitude,
  longitude: location.longitude,
  networkZone: location.network_zone,
});

const describeServerType = (type: ApiServerType): ValueMap => ({
  id: type.id,
  name: type.name,
  description: type.description,
  category: type.category ?? '',
  cores: type.cores,
  memory: type.memory,
  disk: type.disk,
  architecture: type.architecture,
  cpuType: type.cpu_type,
  storageType: type.storage_type,
  includedTraffic: 0,
  ...deprecationOf(type.deprecation),
  locations: (type.locations ?? []).map((location) => ({
    id: location.id,
    name: location.name,
    available: location.available ?? true,
    recommended: location.recommended ?? false,
    ...deprecationOf(location.deprecation),
  })),
});

const describeImage = (image: ApiImage): ValueMap => ({
  id: image.id,
  name: image.name ?? '',
  type: image.type,
  description: image.description,
  architecture: image.architecture,
  created: image.created ?? '',
  deprecated: image.deprecated ?? '',
  labels: image.labels,
  osFlavor: image.os_flavor,
  osVersion: image.os_version ?? '',
  rapidDeploy: image.rapid_deploy,
});

function describeServer(server: ApiServer): ValueMap {
  return {
    ...stateOf(server),
    id: server.id,
    datacenter: '',
    iso: '',
    rescue: '',
    networks: server.private_net.map((item) => ({
      networkId: item.network,
      ip: item.ip,
      aliasIps: item.alias_ips,
      macAddress: item.mac_address,
    })),
  };
}

/** The one item with this id or name. */
async function one<T extends { id: number }>(
  client: HetznerClient,
  path: string,
  kind: string,
  what: string,
  by: { id?: number; name?: string },
): Promise<T> {
  const query: Record<string, string> = by.name === undefined ? {} : { name: by.name };
  const found = (await client.list<T>(path, kind, query)).find(
    (item) => by.id === undefined || item.id === by.id,
  );
  if (!found)
    throw new Error(`no ${what} found with ${by.id === undefined ? `name ${by.name}` : `id ${by.id}`}`);
  return found;
}

async function serversBy(
  client: HetznerClient,
  selector: string | undefined,
  statuses: string[] | undefined,
): Promise<ApiServer[]> {
  const servers = await client.list<ApiServer>(
    '/servers',
    'servers',
    selector ? { label_selector: selector } : {},
  );
  return servers.filter((server) => !statuses?.length || statuses.includes(server.status));
}

const names = (items: { name: string }[]): Value => items.map((item) => item.name);
const descriptions = (items: { description: string }[]): Value => items.map((item) => item.description);
const ids = (items: { id: number }[]): Value => items.map((item) => String(item.id));

/** A list as the real provider names it: an id of its own is part of every answer. */
const answerId = (inputs: object): string => Buffer.from(JSON.stringify(inputs)).toString('base64url');

export const lookups = {
  'hcloud:index/getServers:getServers': lookup({
    inputs: { withSelector: text(), withStatuses: list(text()) },
    async call(client, inputs) {
      const servers = await serversBy(client, inputs.withSelector, inputs.withStatuses);
      return { ...inputs, id: answerId(inputs), servers: servers.map(describeServer) };
    },
  }),
  'hcloud:index/getServer:getServer': lookup({
    inputs: { id: number(), name: text(), withSelector: text(), withStatuses: list(text()) },
    async call(client, inputs) {
      const servers = (await serversBy(client, inputs.withSelector, inputs.withStatuses)).filter(
        (item) =>
          (inputs.id === undefined || item.id === inputs.id) &&
          (inputs.name === undefined || item.name === inputs.name),
      );
      const [server] = servers;
      if (!server || servers.length > 1) {
        throw new Error(`${server ? 'more than one' : 'no'} server found with ${JSON.stringify(inputs)}`);
      }
      return { ...inputs, ...describeServer(server) };
    },
  }),
  'hcloud:index/getServerType:getServerType': lookup({
    inputs: { id: number(), name: text() },
    call: async (client, inputs) =>
      describeServerType(
        await one<ApiServerType>(client, '/server_types', 'server_types', 'server type', inputs),
      ),
  }),
  'hcloud:index/getServerTypes:getServerTypes': lookup({
    inputs: {},
    async call(client, inputs) {
      const types = await client.list<ApiServerType>('/server_types', 'server_types');
      return {
        id: answerId(inputs),
        names: names(types),
        descriptions: descriptions(types),
        serverTypeIds: ids(types),
        serverTypes: types.map(describeServerType),
      };
    },
  }),
  'hcloud:index/getLocation:getLocation': lookup({
    inputs: { id: number(), name: text() },
    call: async (client, inputs) =>
      describeLocation(await one<ApiLocation>(client, '/locations', 'locations', 'location', inputs)),
  }),
  'hcloud:index/getLocations:getLocations': lookup({
    inputs: {},
    async call(client, inputs) {
      const locations = await client.list<ApiLocation>('/locations', 'locations');
      return {
        id: answerId(inputs),
        names: names(locations),
        descriptions: descriptions(locations),
        locationIds: ids(locations),
        locations: locations.map(describeLocation),
      };
    },
  }),
  'hcloud:index/getImage:getImage': lookup({
    inputs: {
      id: number(),
      name: text(),
      includeDeprecated: flag(),
      mostRecent: flag(),
      withArchitecture: text(),
      withSelector: text(),
      withStatuses: list(text()),
    },
    async call(client, inputs) {
      const images = await client.list<ApiImage>('/images', 'images', {
        ...(inputs.name && { name: inputs.name }),
        ...(inputs.withSelector && { label_selector: inputs.withSelector }),
        ...(inputs.id === undefined && { architecture: inputs.withArchitecture ?? 'x86' }),
        ...(inputs.includeDeprecated && { include_deprecated: 'true' }),
      });
      const fitting = images
        .filter((image) => inputs.id === undefined || image.id === inputs.id)
        .filter((image) => !inputs.withStatuses?.length || inputs.withStatuses.includes(image.status))
        .sort((a, b) => (b.created ?? '').localeCompare(a.created ?? ''));
      const [image] = fitting;
      if (!image) throw new Error(`no image found with ${JSON.stringify(inputs)}`);
      if (fitting.length > 1 && !inputs.mostRecent) {
        throw new Error(
          `more than one image found with ${JSON.stringify(inputs)}; narrow it, or set mostRecent`,
        );
      }
      return { ...inputs, ...describeImage(image) };
    },
  }),
};
