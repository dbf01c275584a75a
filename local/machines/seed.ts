import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../api/machine-driver';
import { routerAddress } from './network';

/** How a machine's first boot knows its name, keys and addresses. JSON is YAML. */
function metaData(machine: Machine): string {
  return JSON.stringify({
    // The service's own, a rebuild does not change it: the fresh disk makes cloud-init begin anew.
    'instance-id': String(machine.id),
    'local-hostname': machine.name,
    'public-keys': machine.sshKeys,
    ...(machine.publicIpv4 && { 'public-ipv4': machine.publicIpv4 }),
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
        // The router is reached without a network of its own: see the image's 10-cloud-init-eth0.network.d.
        routes: publicIpv4 ? [{ to: '0.0.0.0/0', via: routerAddress }] : [],
        // Debian 12 makes ::/64 of a route to ::/0.
        ...(publicIpv6 && { gateway6: 'fe80::1' }),
        nameservers: { addresses: [routerAddress] },
      },
    },
  });
}

/** `2001:db8:1::/64` → `2001:db8:1::1/64`, the address that the service's images take. */
const firstOf = (network: string): string => network.replace('::/', '::1/');

/** What the service's images have on top of Debian's own, in a folder that mirrors the machine. */
const imageFiles = join(__dirname, 'image');

/**
 * Writes what a disk has before its first boot: the files of the image and the NoCloud seed. User data stays the very
 * bytes that were sent.
 *
 * @param disk the folder that the machine's root is written to, empty
 * @param trusted certificate that its programs trust as they do those of public authorities; may not be there
 */
export function writeSeed(disk: string, machine: Machine, trusted: string): void {
  cpSync(imageFiles, disk, { recursive: true });
  // update-ca-certificates takes it up, which every host runs for the stack's own authority.
  const certificates = join(disk, 'usr/local/share/ca-certificates');
  if (existsSync(trusted)) cpSync(trusted, join(certificates, 'local-store.crt'), { recursive: true });
  const seed = join(disk, 'var/lib/cloud/seed/nocloud');
  mkdirSync(seed, { recursive: true });
  // These hide those of the root file system below; this process may have any umask.
  chmodSync(disk, 0o755);
  for (const entry of readdirSync(disk, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
  const files = {
    'meta-data': metaData(machine),
    'network-config': networkConfig(machine),
    'user-data': machine.userData,
    'vendor-data': '',
  };
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(seed, name), content, { mode: 0o600 });
}
