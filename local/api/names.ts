import { isIP } from 'node:net';
import type { Name } from './machine-driver';
import type { State } from './state';

const absolute = (record: string, zone: string): string => (record === '@' ? zone : `${record}.${zone}`);

/** The A and AAAA records of all zones, Hetzner's and Cloudflare's, in the order of their names. */
export function addressRecords(state: State): Name[] {
  const hetzner = [...state.zones].flatMap(({ name: zone, rrsets }) =>
    rrsets.flatMap(({ name, records }) =>
      records.map(({ value }) => ({ name: absolute(name, zone), address: value })),
    ),
  );
  const cloudflare = [...state.cloudflareRecords].map(({ name, content }) => ({ name, address: content }));
  return [...hetzner, ...cloudflare]
    .filter(({ address }) => isIP(address) !== 0)
    .sort((a, b) => a.name.localeCompare(b.name) || a.address.localeCompare(b.address));
}
