import type { Machine } from '../api/machine-driver';
import { metadataAddress, publicLink, routerAddress } from './network';

type Rule = NonNullable<Machine['firewallRules']>[number];

/** What of a machine the firewall of the outside needs to know. */
export type Protected = Pick<Machine, 'id' | 'publicIpv4' | 'publicIpv6' | 'firewallRules'>;

/** Conditions for the addresses of one family; undefined where the list has none of it. */
function addresses(
  family: 'ip' | 'ip6',
  side: 'saddr' | 'daddr',
  cidrs: readonly string[],
): string | undefined {
  const own = cidrs.filter((cidr) => cidr.includes(':') === (family === 'ip6'));
  if (own.length === 0) return undefined;
  if (own.some((cidr) => cidr.endsWith('/0'))) return `meta nfproto ${family === 'ip' ? 'ipv4' : 'ipv6'}`;
  return `${family} ${side} { ${own.join(', ')} }`;
}

function match({ protocol, port }: Rule): string {
  if (protocol === 'icmp') return 'meta l4proto { icmp, ipv6-icmp }';
  if ((protocol === 'tcp' || protocol === 'udp') && port !== null && port !== 'any') {
    return `${protocol} dport ${port}`;
  }
  return `meta l4proto ${protocol}`;
}

function chain(name: string, rules: readonly Rule[]): string[] {
  const lines = rules.flatMap((rule) => {
    const [side, cidrs] =
      rule.direction === 'in'
        ? (['saddr', rule.source_ips] as const)
        : (['daddr', rule.destination_ips] as const);
    return (['ip', 'ip6'] as const)
      .map((family) => addresses(family, side, cidrs))
      .filter((condition) => condition !== undefined)
      .map((condition) => `${condition} ${match(rule)} return`);
  });
  return [`chain ${name} {`, ...lines, 'drop', '}'];
}

/** Only a machine's own addresses come from its public side. */
function ownAddresses({ id, publicIpv4, publicIpv6 }: Protected): string[] {
  const from = `iifname "${publicLink(id)}"`;
  return [
    publicIpv4 ? `${from} ip saddr != ${publicIpv4} drop` : `${from} meta nfproto ipv4 drop`,
    publicIpv6
      ? `${from} ip6 saddr != { ${publicIpv6}, fe80::/10, :: } drop`
      : `${from} meta nfproto ipv6 ip6 saddr != { fe80::/10, :: } drop`,
  ];
}

/**
 * The service's firewalls for all machines, as one nftables file that replaces what was there in one step. They stand
 * in the namespace of the outside, so they see the public side only. As at the service: stateful; without a firewall
 * everything passes; with one, incoming traffic needs a rule, and outgoing needs one as soon as there is any for it.
 */
export function cloudFirewall(machines: readonly Protected[]): string {
  const chains: string[] = [];
  const [into, outOf]: [string[], string[]] = [[], []];
  for (const { id, firewallRules } of machines) {
    if (firewallRules === null) continue;
    const of = (direction: Rule['direction']) => firewallRules.filter((rule) => rule.direction === direction);
    chains.push(...chain(`in_${id}`, of('in')));
    into.push(`oifname "${publicLink(id)}" jump in_${id}`);
    if (of('out').length > 0) {
      chains.push(...chain(`out_${id}`, of('out')));
      outOf.push(`iifname "${publicLink(id)}" jump out_${id}`);
    }
  }
  const known = [
    'ct state established,related accept',
    'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept',
  ];
  return [
    'table inet cloud',
    'delete table inet cloud',
    'table inet cloud {',
    ...chains,
    'chain spoofed {',
    ...machines.flatMap(ownAddresses),
    '}',
    'chain input {',
    'type filter hook input priority filter; policy accept;',
    'jump spoofed',
    ...known,
    // Names, metadata and packages are the service's own.
    `ip daddr { ${routerAddress}, ${metadataAddress} } accept`,
    ...outOf,
    '}',
    'chain forward {',
    'type filter hook forward priority filter; policy accept;',
    'jump spoofed',
    ...known,
    ...outOf,
    ...into,
    '}',
    'chain output {',
    'type filter hook output priority filter; policy accept;',
    ...known,
    ...into,
    '}',
    '}',
    '',
  ].join('\n');
}
