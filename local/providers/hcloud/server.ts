/** Servers. Behaviour follows the real provider, its traps included: see the comments at each. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { flag, list, notSimulated, number, object, required, set, text, type Values } from '../properties';
import { Unfinished, resourceFor } from '../resource';
import type { HetznerClient } from './client';
import { labels } from './labels';

/** What the API says of a server, as far as it is read here. */
export interface ApiServer {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  server_type: { name: string };
  image: { id: number; name: string | null } | null;
  location?: { name: string };
  public_net: {
    ipv4: { id: number; ip: string } | null;
    ipv6: { id: number; ip: string } | null;
    firewalls?: { id: number; status: string }[];
  };
  private_net: { network: number; ip: string; alias_ips: string[]; mac_address: string }[];
  placement_group: { id: number } | null;
  protection: { delete: boolean; rebuild: boolean };
  backup_window: string | null;
  primary_disk_size: number;
}

interface ServerType {
  name: string;
  architecture: string;
}

/** What the state keeps of user data: nobody can read it back, and a refresh sees no drift. */
function userDataSum(userData: string): string {
  return createHash('sha1').update(userData).digest('base64');
}

const publicNet = object({
  ipv4Enabled: flag({ default: true }),
  ipv4: number({ computed: true }),
  ipv6Enabled: flag({ default: true }),
  ipv6: number({ computed: true }),
});

const network = object({
  networkId: number(),
  subnetId: text(),
  ip: text({ computed: true }),
  aliasIps: set(text(), { computed: true }),
  macAddress: text({ computed: true }),
});

const inputs = {
  allowDeprecatedImages: flag({ default: false }),
  backups: flag({ default: false }),
  datacenter: notSimulated('it left the API in July 2026; use location'),
  deleteProtection: flag({ default: false }),
  firewallIds: set(number(), { computed: true }),
  ignoreRemoteFirewallIds: flag({ default: false }),
  image: required(text({ replaces: true })),
  iso: notSimulated('the local cloud has no ISO images'),
  keepDisk: flag({ default: false }),
  labels: labels(),
  location: text({ replaces: true, computed: true }),
  name: text(),
  networks: set(network, { computed: true }),
  placementGroupId: number(),
  publicNets: set(publicNet, { computed: true }),
  rebuildProtection: flag({ default: false }),
  rescue: notSimulated('the local cloud has no rescue system'),
  serverType: required(text()),
  shutdownBeforeDeletion: flag({ default: false }),
  sshKeys: list(text(), { replaces: true }),
  userData: text({
    replaces: true,
    stored: userDataSum,
    check: (userData: string) =>
      Buffer.byteLength(userData) > 32 * 1024
        ? `user data is ${Buffer.byteLength(userData)} bytes, at most 32768 are taken`
        : undefined,
  }),
};

const outputs = {
  backupWindow: text(),
  ipv4Address: text(),
  ipv6Address: text(),
  ipv6Network: text(),
  primaryDiskSize: number(),
  status: text(),
};

type Inputs = Values<typeof inputs>;
type State = Inputs & Values<typeof outputs>;

/** The part of the state that the service decides. */
export function stateOf(server: ApiServer): Partial<State> {
  const { ipv4, ipv6 } = server.public_net;
  const range = ipv6?.ip ?? '';
  return {
    name: server.name,
    serverType: server.server_type.name,
    location: server.location?.name,
    labels: server.labels,
    status: server.status,
    image: server.image ? (server.image.name ?? String(server.image.id)) : undefined,
    backups: Boolean(server.backup_window),
    backupWindow: server.backup_window ?? '',
    ipv4Address: ipv4?.ip ?? '',
    ipv6Network: range,
    // The provider names the first address of the /64 as the server's own.
    ipv6Address: range.replace(/\/\d+$/, '').replace(/::$/, '::1'),
    firewallIds: (server.public_net.firewalls ?? []).map((firewall) => firewall.id).sort((a, b) => a - b),
    placementGroupId: server.placement_group?.id,
    deleteProtection: server.protection.delete,
    rebuildProtection: server.protection.rebuild,
    primaryDiskSize: server.primary_disk_size,
  };
}

/** How the program put it, where the service puts it otherwise. Blocks that the program gave are compared with reality; blocks that it did not give stay out of the state. */
function blocksOf(server: ApiServer, given: Partial<Inputs>): Partial<State> {
  const { ipv4, ipv6 } = server.public_net;
  const named = given.publicNets?.[0];
  const byNumber = server.image !== null && given.image === String(server.image.id);
  return {
    // The program may have named the image by number.
    ...(byNumber && { image: given.image }),
    ...(named && {
      publicNets: [
        {
          ipv4Enabled: ipv4 !== null,
          ipv4: named.ipv4 === undefined ? undefined : ipv4?.id,
          ipv6Enabled: ipv6 !== null,
          ipv6: named.ipv6 === undefined ? undefined : ipv6?.id,
        },
      ],
    }),
    ...(given.networks && {
      networks: given.networks.flatMap((wanted) => {
        const attached = server.private_net.find((item) => item.network === networkIdOf(wanted));
        if (!attached) return [];
        return [
          {
            ...wanted,
            ip: wanted.ip && attached.ip,
            aliasIps: wanted.aliasIps && attached.alias_ips,
          },
        ];
      }),
    }),
  };
}

function networkIdOf(block: { networkId?: number; subnetId?: string }): number {
  return block.networkId ?? Number(block.subnetId?.split('-')[0]);
}

async function findImage(client: HetznerClient, nameOrId: string, serverType: string): Promise<number> {
  const [type] = await client.list<ServerType>('/server_types', 'server_types', { name: serverType });
  if (!type) throw new Error(`server type ${serverType} not found`);
  if (/^\d+$/.test(nameOrId)) {
    const found = await client.find<{ image: { id: number } }>(`/images/${nameOrId}`);
    if (found) return found.image.id;
  }
  const [image] = await client.list<{ id: number }>('/images', 'images', {
    name: nameOrId,
    architecture: type.architecture,
    include_deprecated: 'true',
  });
  if (!image) throw new Error(`image ${nameOrId} for architecture ${type.architecture} not found`);
  return image.id;
}

async function findSshKey(client: HetznerClient, nameOrId: string): Promise<number> {
  if (/^\d+$/.test(nameOrId)) {
    const found = await client.find<{ ssh_key: { id: number } }>(`/ssh_keys/${nameOrId}`);
    if (found) return found.ssh_key.id;
  }
  const [key] = await client.list<{ id: number }>('/ssh_keys', 'ssh_keys', { name: nameOrId });
  if (!key) throw new Error(`SSH key not found: ${nameOrId}`);
  return key.id;
}

async function readServer(client: HetznerClient, id: string): Promise<ApiServer> {
  return (await client.get<{ server: ApiServer }>(`/servers/${id}`)).server;
}

/** Attaching and detaching meet servers that are busy: the real provider tries again. */
export const busy = ['locked', 'service_error', 'no_subnet_available'];

async function attach(
  client: HetznerClient,
  id: string,
  block: NonNullable<Inputs['networks']>[number],
): Promise<void> {
  await client.act(
    'POST',
    `/servers/${id}/actions/attach_to_network`,
    { network: networkIdOf(block), ip: block.ip, alias_ips: block.aliasIps },
    busy,
  );
}

async function power(client: HetznerClient, id: string, command: 'poweron' | 'poweroff'): Promise<void> {
  await client.act('POST', `/servers/${id}/actions/${command}`);
}

/** Binds the server to exactly these firewalls. */
async function bindFirewalls(
  client: HetznerClient,
  id: string,
  server: ApiServer,
  wanted: number[],
): Promise<void> {
  const bound = (server.public_net.firewalls ?? []).map((firewall) => firewall.id);
  const resource = { type: 'server', server: { id: Number(id) } };
  for (const firewall of bound.filter((item) => !wanted.includes(item))) {
    await client.act('POST', `/firewalls/${firewall}/actions/remove_from_resources`, {
      remove_from: [resource],
    });
  }
  for (const firewall of wanted.filter((item) => !bound.includes(item))) {
    await client.act('POST', `/firewalls/${firewall}/actions/apply_to_resources`, { apply_to: [resource] });
  }
}

/** Changes public addresses. The service only does so while the server is off, hence an outage. */
async function changePublicNet(
  client: HetznerClient,
  id: string,
  server: ApiServer,
  wanted: Inputs,
): Promise<void> {
  const block = wanted.publicNets?.[0];
  await power(client, id, 'poweroff');
  try {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const enabled = block?.[`${family}Enabled`] ?? true;
      const asked = block?.[family];
      const has = server.public_net[family]?.id;
      if (!enabled && asked) {
        throw new Error(
          `publicNets: ${family}Enabled is false and ${family} is ${asked}; leave one of them out`,
        );
      }
      if (has && (!enabled || (asked && asked !== has))) {
        await client.act('POST', `/primary_ips/${has}/actions/unassign`);
      }
      if (enabled && asked && asked !== has) {
        await client.act('POST', `/primary_ips/${asked}/actions/assign`, {
          assignee_id: Number(id),
          assignee_type: 'server',
        });
      } else if (enabled && !asked && !has) {
        await client.act('POST', '/primary_ips', {
          name: `primary_ip-${server.name}-${family}`,
          type: family,
          assignee_id: Number(id),
          assignee_type: 'server',
          auto_delete: true,
        });
      }
    }
  } finally {
    await power(client, id, 'poweron');
  }
}

async function changeNetworks(
  client: HetznerClient,
  id: string,
  server: ApiServer,
  wanted: Inputs,
): Promise<void> {
  const blocks = new Map((wanted.networks ?? []).map((block) => [networkIdOf(block), block]));
  for (const attached of server.private_net) {
    const block = blocks.get(attached.network);
    const kept = block && (!block.ip || block.ip === attached.ip);
    if (!kept) {
      await client.act(
        'POST',
        `/servers/${id}/actions/detach_from_network`,
        { network: attached.network },
        busy,
      );
    } else {
      blocks.delete(attached.network);
      const aliases = block.aliasIps;
      if (aliases && [...aliases].sort().join() !== [...attached.alias_ips].sort().join()) {
        await client.act('POST', `/servers/${id}/actions/change_alias_ips`, {
          network: attached.network,
          alias_ips: aliases,
        });
      }
    }
  }
  for (const block of blocks.values()) await attach(client, id, block);
}

async function protect(client: HetznerClient, id: string, wanted: Inputs): Promise<void> {
  await client.act('POST', `/servers/${id}/actions/change_protection`, {
    delete: wanted.deleteProtection ?? false,
    rebuild: wanted.rebuildProtection ?? false,
  });
}

/** Waits up to 30 s for the operating system to go down, as the real provider does: far too short for a recording. */
async function shutDown(client: HetznerClient, id: string, signal: AbortSignal): Promise<void> {
  await client.act('POST', `/servers/${id}/actions/shutdown`);
  for (let waited = 0; waited < 30_000; waited += 500) {
    if ((await readServer(client, id)).status === 'off') return;
    await sleep(500, undefined, { signal });
  }
}

export const server = resourceFor<HetznerClient>()({
  inputs,
  outputs,
  reports: 'details',
  autoName: true,
  deletesFirstWhenNamed: true,
  check: ({ deleteProtection, rebuildProtection }) =>
    typeof deleteProtection === 'boolean' &&
    typeof rebuildProtection === 'boolean' &&
    deleteProtection !== rebuildProtection
      ? [
          {
            property: 'rebuildProtection',
            reason: `deleteProtection and rebuildProtection must be equal; got ${deleteProtection} and ${rebuildProtection}`,
          },
        ]
      : [],

  async create({ client, inputs: wanted }) {
    const image = await findImage(client, wanted.image, wanted.serverType);
    const keys = await Promise.all((wanted.sshKeys ?? []).map((key) => findSshKey(client, key)));
    const net = wanted.publicNets?.[0];
    const enabled = (family: 'ipv4' | 'ipv6'): boolean =>
      Boolean(net?.[family]) || (net?.[`${family}Enabled`] ?? true);
    const isPublic = enabled('ipv4') || enabled('ipv6');
    const answer = await client.request<{ server: ApiServer }>('POST', '/servers', {
      name: wanted.name,
      server_type: wanted.serverType,
      image,
      ...(keys.length > 0 && { ssh_keys: keys }),
      ...(wanted.location && { location: wanted.location }),
      ...(wanted.userData && { user_data: wanted.userData }),
      ...(wanted.labels && { labels: wanted.labels }),
      ...(wanted.firewallIds?.length && { firewalls: wanted.firewallIds.map((firewall) => ({ firewall })) }),
      ...(wanted.placementGroupId && { placement_group: wanted.placementGroupId }),
      ...(net && {
        public_net: {
          enable_ipv4: enabled('ipv4'),
          enable_ipv6: enabled('ipv6'),
          ...(net.ipv4 && { ipv4: net.ipv4 }),
          ...(net.ipv6 && { ipv6: net.ipv6 }),
        },
      }),
      // Without any address a server must be attached to a network before it starts.
      ...(!isPublic && { start_after_create: false }),
    });
    const id = String(answer.server.id);
    try {
      await client.finish(answer as object);
      for (const block of wanted.networks ?? []) await attach(client, id, block);
      if (!isPublic && wanted.networks?.length) await power(client, id, 'poweron');
      if (wanted.backups) await client.act('POST', `/servers/${id}/actions/enable_backup`);
      if (wanted.deleteProtection || wanted.rebuildProtection) await protect(client, id, wanted);
      const made = await readServer(client, id);
      return { id, state: { ...stateOf(made), ...blocksOf(made, wanted) } };
    } catch (error) {
      // The server exists and costs money: it must be in the state although something is missing.
      const seen = await readServer(client, id).catch(() => answer.server);
      throw new Unfinished(id, { ...stateOf(seen), ...blocksOf(seen, wanted) }, error);
    }
  },

  async read({ client, id, inputs: given }) {
    const found = await client.find<{ server: ApiServer }>(`/servers/${id}`);
    if (!found) return undefined;
    return { state: { ...stateOf(found.server), ...blocksOf(found.server, given) } };
  },

  async update({ client, id, inputs: wanted, changed }) {
    const now = await readServer(client, id);
    if (changed.has('name') || changed.has('labels')) {
      await client.request('PUT', `/servers/${id}`, {
        ...(changed.has('name') && { name: wanted.name }),
        ...(changed.has('labels') && { labels: wanted.labels ?? {} }),
      });
    }
    if (changed.has('serverType')) {
      if (now.status === 'running') await power(client, id, 'poweroff');
      await client.act('POST', `/servers/${id}/actions/change_type`, {
        server_type: wanted.serverType,
        upgrade_disk: !wanted.keepDisk,
      });
      // The real provider does not power on again; nor does this one.
    }
    if (changed.has('backups')) {
      await client.act('POST', `/servers/${id}/actions/${wanted.backups ? 'enable' : 'disable'}_backup`);
    }
    if (changed.has('networks')) await changeNetworks(client, id, now, wanted);
    if (changed.has('firewallIds')) await bindFirewalls(client, id, now, wanted.firewallIds ?? []);
    if (changed.has('publicNets')) await changePublicNet(client, id, now, wanted);
    if (changed.has('placementGroupId')) {
      if (now.placement_group) await client.act('POST', `/servers/${id}/actions/remove_from_placement_group`);
      if (wanted.placementGroupId) {
        await client.act('POST', `/servers/${id}/actions/add_to_placement_group`, {
          placement_group: wanted.placementGroupId,
        });
      }
    }
    if (changed.has('deleteProtection') || changed.has('rebuildProtection'))
      await protect(client, id, wanted);
    const after = await readServer(client, id);
    return { ...stateOf(after), ...blocksOf(after, wanted) };
  },

  async delete({ client, id, state, signal }) {
    if (state.shutdownBeforeDeletion && (await client.find(`/servers/${id}`)))
      await shutDown(client, id, signal);
    await client.remove(`/servers/${id}`);
  },
});
