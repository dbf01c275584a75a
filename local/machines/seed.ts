import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../api/machine-driver';
import { routerAddress } from './network';

/** How a machine's first boot knows its name, keys and addresses. JSON is YAML. */
function metaData(machine: Machine, instanceId: string): string {
  return JSON.stringify({
    'instance-id': instanceId,
    'local-hostname': machine.name,
    'public-keys': machine.sshKeys,
  });
}

function networkConfig({ publicIpv4, publicIpv6 }: Machine): string {
  if (publicIpv4 === null && publicIpv6 === null) return JSON.stringify({ version: 2, ethernets: {} });
  return JSON.stringify({
    version: 2,
    ethernets: {
      eth0: {
        addresses: [
          ...(publicIpv4 ? [`${publicIpv4}/32`] : []),
          ...(publicIpv6 ? [firstOf(publicIpv6)] : []),
        ],
        // Otherwise Debian 12 waits for a router's advertisement that nobody sends.
        'accept-ra': false,
        routes: [
          ...(publicIpv4 ? [{ to: 'default', via: routerAddress, 'on-link': true }] : []),
          ...(publicIpv6 ? [{ to: '::/0', via: 'fe80::1', 'on-link': true }] : []),
        ],
        nameservers: { addresses: [routerAddress] },
      },
    },
  });
}

/** `2001:db8:1::/64` → `2001:db8:1::1/64`, the address that the service's images take. */
const firstOf = (network: string): string => network.replace('::/', '::1/');

/**
 * Writes the NoCloud seed of a machine's first boot onto its disk. User data stays the very bytes that were sent.
 *
 * @param disk the folder that the machine's root is written to
 */
export function writeSeed(disk: string, machine: Machine, instanceId: string): void {
  const seed = join(disk, 'var/lib/cloud/seed/nocloud');
  // These folders hide those of the image, so they are made with the same modes.
  mkdirSync(seed, { recursive: true, mode: 0o755 });
  const files = {
    'meta-data': metaData(machine, instanceId),
    'network-config': networkConfig(machine),
    'user-data': machine.userData,
    'vendor-data': '',
  };
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(seed, name), content, { mode: 0o600 });
}
