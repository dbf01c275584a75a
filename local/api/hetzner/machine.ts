import type { Machine } from '../machine-driver';
import type { ServerRecord, State } from '../state';
import { imageWithId, serverTypeNamed } from './catalogue';
import { firewallsOf } from './firewall-reach';

/** A server as a machine driver sees it. */
export function machineOf(server: ServerRecord, state: State): Machine {
  const { cores, memory, disk } = serverTypeNamed(server.serverType);
  const { name, architecture } = imageWithId(server.image);
  const address = (type: 'ipv4' | 'ipv6') =>
    state.primaryIps.find((ip) => ip.type === type && ip.assignee === server.id)?.ip ?? null;
  const firewalls = firewallsOf(server, state);
  return {
    id: server.id,
    name: server.name,
    labels: server.labels,
    location: server.location,
    size: { cores, memory, disk: Math.min(disk, server.primaryDiskSize) },
    image: { name, architecture },
    userData: server.userData,
    sshKeys: server.sshKeys,
    publicIpv4: address('ipv4'),
    publicIpv6: address('ipv6'),
    privateNetworks: server.networks.map((at) => ({
      network: at.network,
      ipRange: state.networks.get(at.network)!.ipRange,
      ip: at.ip,
      aliasIps: at.aliasIps,
      macAddress: at.macAddress,
    })),
    firewallRules: firewalls.length === 0 ? null : firewalls.flatMap(({ rules }) => rules),
  };
}
