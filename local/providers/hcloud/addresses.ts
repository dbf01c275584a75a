/** Public addresses that outlive a server, and the names that addresses resolve to. */
import { flag, notSimulated, number, required, text } from '../properties';
import { resourceFor } from '../resource';
import type { HetznerClient } from './client';
import { labels } from './labels';

interface DnsPointer {
  ip: string;
  dns_ptr: string;
}

interface ApiPrimaryIp {
  id: number;
  name: string;
  type: string;
  ip: string;
  labels: Record<string, string>;
  assignee_id: number | null;
  assignee_type: string;
  auto_delete: boolean;
  location?: { name: string };
  protection: { delete: boolean };
  dns_ptr: DnsPointer[];
}

const primaryIpState = (ip: ApiPrimaryIp) => ({
  name: ip.name,
  type: ip.type,
  labels: ip.labels,
  autoDelete: ip.auto_delete,
  location: ip.location?.name,
  assigneeId: ip.assignee_id ?? undefined,
  assigneeType: ip.assignee_type,
  deleteProtection: ip.protection.delete,
  ipAddress: ip.ip.replace(/\/\d+$/, ''),
  ipNetwork: ip.ip.includes('/') ? ip.ip : '',
});

const findPrimaryIp = async (client: HetznerClient, id: string | number): Promise<ApiPrimaryIp | undefined> =>
  (await client.find<{ primary_ip: ApiPrimaryIp }>(`/primary_ips/${id}`))?.primary_ip;

export const primaryIp = resourceFor<HetznerClient>()({
  inputs: {
    assigneeId: number({ computed: true }),
    assigneeType: text({ computed: true, oneOf: ['server'] }),
    autoDelete: flag({ default: false }),
    datacenter: notSimulated('it left the API in July 2026; use location'),
    deleteProtection: flag({ default: false }),
    labels: labels(),
    location: text({ replaces: true, computed: true }),
    name: text(),
    type: required(text({ replaces: true, oneOf: ['ipv4', 'ipv6'] })),
  },
  outputs: { ipAddress: text(), ipNetwork: text() },
  reports: 'reasons',
  autoName: true,
  async create({ client, inputs, log }) {
    if (inputs.assigneeType && !inputs.assigneeId) {
      log.warn('assigneeType is not needed without assigneeId; leave it out');
    }
    const answer = await client.request<{ primary_ip: ApiPrimaryIp }>('POST', '/primary_ips', {
      name: inputs.name,
      type: inputs.type,
      auto_delete: inputs.autoDelete ?? false,
      ...(inputs.labels && { labels: inputs.labels }),
      ...(inputs.location && { location: inputs.location }),
      ...(inputs.assigneeId && {
        assignee_id: inputs.assigneeId,
        assignee_type: inputs.assigneeType ?? 'server',
      }),
    });
    await client.finish(answer as object);
    const id = String(answer.primary_ip.id);
    if (inputs.deleteProtection) {
      await client.act('POST', `/primary_ips/${id}/actions/change_protection`, { delete: true });
    }
    return {
      id,
      state: { ...primaryIpState(answer.primary_ip), deleteProtection: inputs.deleteProtection ?? false },
    };
  },
  async read({ client, id }) {
    const found = await findPrimaryIp(client, id);
    return found && { state: primaryIpState(found) };
  },
  async update({ client, id, inputs, state, changed }) {
    if (changed.has('name') || changed.has('labels') || changed.has('autoDelete')) {
      await client.request('PUT', `/primary_ips/${id}`, {
        ...(changed.has('name') && { name: inputs.name }),
        ...(changed.has('labels') && { labels: inputs.labels ?? {} }),
        ...(changed.has('autoDelete') && { auto_delete: inputs.autoDelete ?? false }),
      });
    }
    if (changed.has('assigneeId')) {
      if (state.assigneeId) await client.act('POST', `/primary_ips/${id}/actions/unassign`);
      if (inputs.assigneeId) {
        await client.act('POST', `/primary_ips/${id}/actions/assign`, {
          assignee_id: inputs.assigneeId,
          assignee_type: inputs.assigneeType ?? 'server',
        });
      }
    }
    if (changed.has('deleteProtection')) {
      await client.act('POST', `/primary_ips/${id}/actions/change_protection`, {
        delete: inputs.deleteProtection ?? false,
      });
    }
    const found = await findPrimaryIp(client, id);
    return found ? primaryIpState(found) : {};
  },
  async delete({ client, id }) {
    await client.remove(`/primary_ips/${id}`, ['locked']);
  },
});

/** What a reverse DNS entry can belong to: the letter in its id, the input, the path, the key of the answer. */
const owners = [
  { letter: 'p', input: 'primaryIpId', path: 'primary_ips', key: 'primary_ip' },
  { letter: 's', input: 'serverId', path: 'servers', key: 'server' },
] as const;

type Owner = (typeof owners)[number];

interface ApiServerAddresses {
  public_net: {
    ipv4: { ip: string; dns_ptr: string } | null;
    ipv6: { ip: string; dns_ptr: DnsPointer[] } | null;
  };
}

function ownerOf(ids: { primaryIpId?: number; serverId?: number }): { owner: Owner; id: number } {
  for (const owner of owners) {
    const id = ids[owner.input];
    if (id !== undefined) return { owner, id };
  }
  throw new Error('a reverse DNS entry needs a primaryIpId or a serverId');
}

async function findPointer(
  client: HetznerClient,
  owner: Owner,
  id: number,
  ip: string,
): Promise<string | undefined> {
  const answer = await client.find<Record<string, unknown>>(`/${owner.path}/${id}`);
  if (!answer) return undefined;
  let pointers: DnsPointer[];
  if (owner.key === 'primary_ip') {
    pointers = (answer.primary_ip as ApiPrimaryIp).dns_ptr;
  } else {
    const { ipv4, ipv6 } = (answer.server as ApiServerAddresses).public_net;
    pointers = [...(ipv4 ? [ipv4] : []), ...(ipv6?.dns_ptr ?? [])];
  }
  return pointers.find((pointer) => pointer.ip === ip)?.dns_ptr;
}

async function setPointer(client: HetznerClient, owner: Owner, id: number, ip: string, name: string | null) {
  await client.act('POST', `/${owner.path}/${id}/actions/change_dns_ptr`, { ip, dns_ptr: name }, ['locked']);
}

export const rdns = resourceFor<HetznerClient>()({
  inputs: {
    dnsPtr: required(text()),
    floatingIpId: notSimulated('the local cloud has no floating IPs'),
    ipAddress: required(text({ replaces: true })),
    loadBalancerId: notSimulated('the local cloud has no load balancers'),
    primaryIpId: number({ replaces: true }),
    serverId: number({ replaces: true }),
  },
  outputs: {},
  reports: 'reasons',
  check: ({ primaryIpId, serverId }) =>
    (primaryIpId === undefined) === (serverId === undefined)
      ? [{ property: 'primaryIpId', reason: 'exactly one of primaryIpId and serverId must be set' }]
      : [],
  async create({ client, inputs }) {
    const { owner, id } = ownerOf(inputs);
    await setPointer(client, owner, id, inputs.ipAddress, inputs.dnsPtr);
    return { id: `${owner.letter}-${id}-${inputs.ipAddress}`, state: {} };
  },
  async read({ client, id }) {
    const match = /^([a-z])-(\d+)-(.+)$/.exec(id);
    const owner = owners.find((item) => item.letter === match?.[1]);
    if (!match || !owner) {
      throw new Error(
        `id ${JSON.stringify(id)} is not p-<primary IP id>-<address> or s-<server id>-<address>`,
      );
    }
    const [number, ip] = [Number(match[2]), match[3] ?? ''];
    const dnsPtr = await findPointer(client, owner, number, ip);
    return dnsPtr === undefined ? undefined : { state: { dnsPtr, ipAddress: ip, [owner.input]: number } };
  },
  async update({ client, inputs }) {
    const { owner, id } = ownerOf(inputs);
    await setPointer(client, owner, id, inputs.ipAddress, inputs.dnsPtr);
    return {};
  },
  async delete({ client, state }) {
    const { owner, id } = ownerOf(state);
    if ((await findPointer(client, owner, id, state.ipAddress)) === undefined) return;
    await setPointer(client, owner, id, state.ipAddress, null);
  },
});
