import { parseLabelSelector } from '../label-selector';
import type { FirewallRecord, ServerRecord, State } from '../state';

/** All firewalls of a server, by id and by label selector. */
export function firewallsOf(server: ServerRecord, state: State): FirewallRecord[] {
  return state.firewalls.filter(
    (firewall) =>
      server.firewalls.includes(firewall.id) ||
      firewall.selectors.some((text) => parseLabelSelector(text)(server.labels)),
  );
}

/** All servers that a firewall protects. */
export function protectedServers(firewall: FirewallRecord, state: State): ServerRecord[] {
  return state.servers.filter((server) => firewallsOf(server, state).includes(firewall));
}
