import { isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { State } from './state';

/** An IPv4 range; addresses are whole numbers, both ends belong to it. */
export interface Range {
  first: number;
  last: number;
  prefix: number;
}

/** Reads an IPv4 range in CIDR notation; undefined when it is none or has host bits set. */
export function parseRange(text: string): Range | undefined {
  if (!isCidr(text) || !ipaddr.IPv4.isValidCIDRFourPartDecimal(text)) return undefined;
  const [address, prefix] = ipaddr.IPv4.parseCIDR(text);
  const first = toNumber(address.toString());
  return { first, last: first + 2 ** (32 - prefix) - 1, prefix };
}

/** Whether text is an IPv4 or IPv6 network in CIDR notation, without host bits. */
export function isCidr(text: string): boolean {
  const [address = ''] = text.split('/');
  if (isIP(address) === 0 || !ipaddr.isValidCIDR(text)) return false;
  const network = isIPv4(address)
    ? ipaddr.IPv4.networkAddressFromCIDR(text)
    : ipaddr.IPv6.networkAddressFromCIDR(text);
  return ipaddr.parse(address).toString() === network.toString();
}

export function toNumber(address: string): number {
  return ipaddr.IPv4.parse(address)
    .toByteArray()
    .reduce((sum, byte) => sum * 256 + byte, 0);
}

export function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
}

export const contains = (outer: Range, inner: Range) =>
  outer.first <= inner.first && inner.last <= outer.last;
export const overlap = (a: Range, b: Range) => a.first <= b.last && b.first <= a.last;

/** Whether an address lies in a network, of either family. */
export function inNetwork(address: string, network: string): boolean {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.parse(address);
  const [base, prefix] = ipaddr.parseCIDR(network);
  return parsed.kind() === base.kind() && parsed.match(base, prefix);
}

/**
 * The next public address. IPv4 from 198.18.0.0/15, which is set aside for benchmarks (RFC 2544), IPv6 a /64 of
 * the documentation prefix 2001:db8::/32 (RFC 3849): none of them is anybody's. An address that was given back
 * is not given again before the range is used up.
 */
export function nextPublicIp(state: State, type: 'ipv4' | 'ipv6'): string {
  if (type === 'ipv6') return `2001:db8:${(++state.counters.ipv6 % 0x10000).toString(16)}::/64`;
  const range = { first: toNumber('198.18.0.0'), size: 2 ** 17 };
  const taken = new Set([...state.primaryIps].map((ip) => ip.ip));
  for (;;) {
    const offset = ++state.counters.ipv4 % range.size;
    const address = toAddress(range.first + offset);
    // The ends of each /24 look like network and broadcast addresses to people and to some software.
    if (offset % 256 !== 0 && offset % 256 !== 255 && !taken.has(address)) return address;
  }
}
