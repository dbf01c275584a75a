import { existsSync, readdirSync } from 'node:fs';
import type { Machine } from '../api/machine-driver';
import { inNamespace, isOurs, machineNamespace, privateNamespace, type Place } from './place';
import { run } from './run';

/** The router that every machine has before it, at the address that the service gives its own. */
export const routerAddress = '172.31.1.1';
export const metadataAddress = '169.254.169.254';
/** Port of the stack's own package repository, on the router. */
export const repositoryPort = 8180;
/** Where machines find it; apt goes there without the package cache. */
export const packageRepositoryUri = `http://${routerAddress}:${repositoryPort}`;
/** Where the operator's programs come from, as machines see them. */
export const operatorAddress = '198.51.100.1';
const operatorAddress6 = '2001:db8:ffff:ffff::1';

const hasIpv6 = (): boolean => existsSync('/proc/net/if_inet6');

/** Several `ip` commands at once, in a network namespace. */
const ip = (namespace: string, commands: readonly string[]): Promise<string> =>
  run(['ip', '-n', namespace, '-batch', '-'], `${commands.join('\n')}\n`);

function namespaces(): string[] {
  return existsSync('/run/netns') ? readdirSync('/run/netns') : [];
}

async function addRouter(namespace: string): Promise<void> {
  await run(['ip', 'netns', 'add', namespace]);
  await ip(namespace, ['link set lo up']);
  const settings = [
    'ipv4/ip_forward=1',
    'ipv4/conf/all/rp_filter=0',
    ...(hasIpv6() ? ['ipv6/conf/all/forwarding=1'] : []),
  ];
  const script = 'for one in "$@"; do echo "${one#*=}" >"/proc/sys/net/${one%=*}"; done';
  await run(inNamespace(namespace, ['sh', '-ec', script, 'sh', ...settings]));
}

/** Makes the outside: a network namespace with the router, the metadata address and the operator's address. */
export async function makeOutside(place: Place): Promise<void> {
  await addRouter(place.gateway);
  await ip(place.gateway, [
    ...[routerAddress, metadataAddress, operatorAddress].map((address) => `addr add ${address}/32 dev lo`),
    ...(hasIpv6() ? [`addr add ${operatorAddress6}/128 dev lo nodad`] : []),
  ]);
}

/** Removes every network namespace of a place; their interfaces and rules go with them. */
export async function removeNamespaces(place: Place): Promise<void> {
  for (const name of namespaces().filter((one) => isOurs(place, one)))
    await run(['ip', 'netns', 'del', name]);
}

/** Name of the outer end of a machine's public interface, in the gateway's namespace. */
export const publicLink = (id: number): string => `p${id}`;

/** The whole network of a machine: its namespace, its public interface if it has one, its private ones. */
export async function connect(place: Place, machine: Machine): Promise<void> {
  const namespace = machineNamespace(place, machine.id);
  if (!namespaces().includes(namespace)) {
    await run(['ip', 'netns', 'add', namespace]);
    await ip(namespace, ['link set lo up']);
  }
  await connectPublic(place, machine, namespace);
  await connectPrivate(place, machine, namespace);
}

/** The end of a link is removed by removing the other one, so that nothing waits for a namespace to go. */
async function removeLink(namespace: string, link: string): Promise<void> {
  await run(['ip', '-n', namespace, 'link', 'del', link]).catch(() => undefined);
}

async function links(namespace: string): Promise<string[]> {
  const shown = JSON.parse(await run(['ip', '-n', namespace, '-json', 'link', 'show'])) as {
    ifname: string;
  }[];
  return shown.map(({ ifname }) => ifname);
}

async function connectPublic(place: Place, machine: Machine, namespace: string): Promise<void> {
  const link = publicLink(machine.id);
  const { publicIpv4, publicIpv6 } = machine;
  const ipv6 = hasIpv6() ? publicIpv6 : null;
  const there = (await links(place.gateway)).includes(link);
  if (publicIpv4 === null && ipv6 === null) {
    if (there) await removeLink(place.gateway, link);
    return;
  }
  if (!there) {
    await ip(place.gateway, [
      `link add ${link} type veth peer name eth0 netns ${namespace}`,
      ...(hasIpv6() ? [`addr add fe80::1/64 dev ${link} nodad`] : []),
      `link set ${link} up`,
    ]);
  } else {
    await ip(place.gateway, [`route flush dev ${link}`]);
  }
  await ip(place.gateway, [
    ...(publicIpv4 ? [`route replace ${publicIpv4}/32 dev ${link} src ${operatorAddress}`] : []),
    ...(ipv6 ? [`route replace ${ipv6} dev ${link} src ${operatorAddress6}`] : []),
  ]);
}

/** The first address of a network is its router's. */
export function firstAddress(ipRange: string): string {
  const octets = ipRange.split('/')[0]!.split('.').map(Number);
  octets[3]! += 1;
  return octets.join('.');
}

/** MTU of the service's private networks. */
const privateMtu = 1450;

async function connectPrivate(place: Place, machine: Machine, namespace: string): Promise<void> {
  const routers = namespaces().filter((one) => one.startsWith(`${place.gateway}-n`));
  const link = `v${machine.id}`;
  for (const router of routers) {
    const stays = machine.privateNetworks.some((at) => privateNamespace(place, at.network) === router);
    if (!stays) await removeLink(router, link);
  }
  for (const [index, at] of machine.privateNetworks.entries()) {
    const router = privateNamespace(place, at.network);
    const gateway = firstAddress(at.ipRange);
    if (!namespaces().includes(router)) {
      await addRouter(router);
      await ip(router, [`addr add ${gateway}/32 dev lo`]);
    }
    if (!(await links(router)).includes(link)) {
      // The names that the service's network cards have.
      const inner = `enp${7 + index}s0`;
      await ip(router, [
        `link add ${link} mtu ${privateMtu} type veth peer name ${inner} address ${at.macAddress} mtu ${privateMtu} netns ${namespace}`,
        `link set ${link} up`,
      ]);
      // The service's images do this by DHCP; the machine's own network service leaves the interface alone.
      await ip(namespace, [
        `link set ${inner} up`,
        `addr add ${at.ip}/32 dev ${inner}`,
        `route add ${gateway}/32 dev ${inner} src ${at.ip}`,
        `route add ${at.ipRange} via ${gateway} dev ${inner} src ${at.ip}`,
      ]);
    }
    await ip(
      router,
      [at.ip, ...at.aliasIps].map((address) => `route replace ${address}/32 dev ${link}`),
    );
  }
}

/** Takes a machine off every network. */
export async function disconnect(place: Place, id: number): Promise<void> {
  await removeLink(place.gateway, publicLink(id));
  for (const router of namespaces().filter((one) => one.startsWith(`${place.gateway}-n`))) {
    await removeLink(router, `v${id}`);
  }
  const namespace = machineNamespace(place, id);
  if (namespaces().includes(namespace)) await run(['ip', 'netns', 'del', namespace]);
}
