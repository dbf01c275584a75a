import type { Machine } from '../api/machine-driver';
import { firstAddress } from './network';

/** What the metadata service knows of a machine. */
export interface Metadata {
  machine: Omit<Machine, 'userData'>;
  userDataFile: string;
}

const quoted = (text: string): string => JSON.stringify(text);

function privateNetworks({ privateNetworks }: Metadata['machine']): string {
  const lines = privateNetworks.flatMap(({ ip, aliasIps, network, macAddress, ipRange }) => [
    `- ip: ${ip}`,
    `  alias_ips: [${aliasIps.join(', ')}]`,
    `  interface_num: 1`,
    `  mac_address: ${macAddress}`,
    `  network_id: ${network}`,
    `  network: ${ipRange}`,
    `  gateway: ${firstAddress(ipRange)}`,
  ]);
  return `${lines.join('\n')}\n`;
}

/**
 * What the service answers at `http://169.254.169.254` (documented at docs.hetzner.cloud, "Server metadata"); undefined
 * for a path that it does not have. User data is answered from its file.
 */
export function metadataText({ machine }: Metadata, path: string): string | undefined {
  const keys = machine.sshKeys.map(quoted).join(',');
  const values: Record<string, string> = {
    hostname: machine.name,
    'instance-id': String(machine.id),
    'public-ipv4': machine.publicIpv4 ?? '',
    region: machine.location,
    'availability-zone': machine.location,
    'public-keys': `[${keys}]`,
    'local-ipv4': machine.privateNetworks[0]?.ip ?? '',
  };
  if (path === '/hetzner/v1/metadata/private-networks') return privateNetworks(machine);
  if (path === '/hetzner/v1/metadata') {
    const lines = Object.entries(values).map(([name, value]) =>
      name === 'public-keys' ? `${name}: ${value}` : `${name}: ${quoted(value)}`,
    );
    return `${lines.join('\n')}\n`;
  }
  const name = /^\/hetzner\/v1\/metadata\/([a-z0-9-]+)$/.exec(path)?.[1];
  return name === undefined ? undefined : values[name];
}
