import type { Actions } from '../actions';
import type { ServerRecord, State } from '../state';
import { imageWithId, locationNamed, serverTypeNamed, traffic } from './catalogue';
import { imageView, serverTypeView } from './catalogue-routes';
import { firewallsOf } from './firewall-reach';
import { placementGroupView } from './placement-groups';
import { publicIp } from './primary-ips';

/** What a server's status is while an action runs. */
const PASSING: Record<string, string> = {
  create_server: 'initializing',
  start_server: 'starting',
  stop_server: 'stopping',
  shutdown_server: 'stopping',
  rebuild_server: 'rebuilding',
  change_server_type: 'migrating',
  delete_server: 'deleting',
};

export function serverStatus(server: ServerRecord, actions: Actions): string {
  return PASSING[actions.running('server', server.id)?.command ?? ''] ?? server.status;
}

/** A server as clients see it; its user data is in no answer. */
export function serverView(server: ServerRecord, state: State, actions: Actions) {
  const ipv4 = publicIp(server, 'ipv4', state);
  const ipv6 = publicIp(server, 'ipv6', state);
  const group = server.placementGroup === null ? undefined : state.placementGroups.get(server.placementGroup);
  return {
    id: server.id,
    name: server.name,
    labels: server.labels,
    created: server.created,
    status: serverStatus(server, actions),
    locked: actions.running('server', server.id) !== undefined,
    public_net: {
      ipv4: ipv4
        ? { id: ipv4.id, ip: ipv4.ip, blocked: false, dns_ptr: ipv4.dnsPtr[0]?.dns_ptr ?? '' }
        : null,
      ipv6: ipv6 ? { id: ipv6.id, ip: ipv6.ip, blocked: false, dns_ptr: ipv6.dnsPtr } : null,
      floating_ips: [],
      firewalls: firewallsOf(server, state).map(({ id }) => ({ id, status: 'applied' })),
    },
    private_net: server.networks.map((at) => ({
      network: at.network,
      ip: at.ip,
      alias_ips: at.aliasIps,
      mac_address: at.macAddress,
    })),
    server_type: serverTypeView(serverTypeNamed(server.serverType), state),
    image: imageView(imageWithId(server.image)),
    location: locationNamed(server.location),
    iso: null,
    rescue_enabled: false,
    backup_window: server.backupWindow,
    included_traffic: traffic(server.location).included * 2 ** 40,
    ingoing_traffic: 0,
    outgoing_traffic: 0,
    primary_disk_size: server.primaryDiskSize,
    protection: server.protection,
    placement_group: group ? placementGroupView(group, state) : null,
    volumes: state.volumes.filter((volume) => volume.server === server.id).map(({ id }) => id),
    load_balancers: [],
  };
}
