import { parseRange, toAddress, toNumber, type Range } from '../addresses';
import { ApiError } from '../errors';
import type { NetworkRecord, State } from '../state';

/** The first address of the whole network, whatever the subnet. */
export function gatewayOf(network: NetworkRecord): number {
  return parseRange(network.ipRange)!.first + 1;
}

export const within = (ip: string, range: Range) => toNumber(ip) >= range.first && toNumber(ip) <= range.last;

/**
 * Chooses a server's address in a network, or checks the one asked for: within a subnet of the server's network
 * zone, not the gateway, not an end of the subnet, not taken.
 *
 * @param wantedRange the subnet to choose from, by its range
 * @throws ApiError `no_subnet_available`, `ip_not_available`
 */
export function privateAddress(
  network: NetworkRecord,
  zone: string,
  state: State,
  wantedIp?: string,
  wantedRange?: string,
): string {
  const subnets = network.subnets
    .filter((one) => one.networkZone === zone && (wantedRange === undefined || one.ipRange === wantedRange))
    .map((one) => parseRange(one.ipRange)!);
  const holding = wantedIp === undefined ? subnets : subnets.filter((range) => within(wantedIp, range));
  if (holding.length === 0) {
    const what = wantedRange ?? wantedIp;
    throw new ApiError(
      'no_subnet_available',
      `network ${network.id} has no subnet ${what ? `with ${what} ` : ''}in network zone ${zone}`,
    );
  }

  const taken = new Set([gatewayOf(network)]);
  for (const server of state.servers) {
    for (const at of server.networks.filter((one) => one.network === network.id)) {
      for (const ip of [at.ip, ...at.aliasIps]) taken.add(toNumber(ip));
    }
  }
  const free = (ip: number) =>
    !taken.has(ip) && !holding.some((range) => ip === range.first || ip === range.last);
  if (wantedIp !== undefined) {
    if (free(toNumber(wantedIp))) return wantedIp;
    throw new ApiError('ip_not_available', `IP ${wantedIp} is not available in network ${network.id}`);
  }
  for (const range of holding) {
    for (let ip = range.first; ip <= range.last; ip++) {
      if (free(ip)) return toAddress(ip);
    }
  }
  throw new ApiError(
    'no_subnet_available',
    `network ${network.id} has no address left in network zone ${zone}`,
  );
}
