import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError } from '../errors';
import { labels, name, parseBody } from '../input';
import { parseLabelSelector } from '../label-selector';
import type { Routes } from '../routes';
import type { FirewallRecord, FirewallRule, ServerRecord, State } from '../state';
import { actionView } from '../actions';
import { existing, newRecord, refuseTakenName, serveKind, wanted } from './kind';
import { resource, rules, type Resource } from './firewall-input';
import { firewallsOf, protectedServers } from './firewall-reach';
import { machineOf } from './machine';

/** The service's limit for one server. */
const MOST_FIREWALLS = 5;

const create = z.strictObject({
  name,
  rules: rules.optional(),
  labels: labels.optional(),
  apply_to: z.array(resource).optional(),
});
const setRules = z.strictObject({ rules });
const applyTo = z.strictObject({ apply_to: z.array(resource).min(1) });
const removeFrom = z.strictObject({ remove_from: z.array(resource).min(1) });

/** Cloud firewalls: which public traffic reaches a server. Private networks are never filtered. */
export function firewallRoutes(routes: Routes, cloud: Cloud): void {
  const { state } = cloud.store;
  const kind = {
    plural: 'firewalls',
    type: 'firewall' as const,
    records: state.firewalls,
    view: (firewall: FirewallRecord) => firewallView(firewall, state),
    refuseDelete: (firewall: FirewallRecord) => {
      if (appliedTo(firewall, state).length > 0) {
        throw new ApiError('resource_in_use', `firewall ${firewall.id} is still applied to a resource`);
      }
    },
  };
  serveKind<FirewallRecord>(routes, cloud, kind);

  const tell = async (servers: ServerRecord[]) => {
    await Promise.all(servers.map((server) => cloud.driver.firewallChanged(machineOf(server, state))));
  };
  const changed = cloud.actions.define<{ server: number }>('firewall/rules_changed', {
    command: 'apply_firewall',
    drive: ({ server }) => tell(state.servers.filter(({ id }) => id === server)),
  });

  routes.post('/firewalls', ({ body }) => {
    const given = parseBody(create, body);
    refuseTakenName(state.firewalls, 'firewall', given.name);
    const firewall: FirewallRecord = { ...newRecord(cloud, given), rules: given.rules ?? [], selectors: [] };
    const resources = given.apply_to ?? [];
    for (const one of resources) refuseApply(firewall, one, state);
    state.firewalls.add(firewall);
    const actions = resources.map((one) => applyAction(firewall, one));
    return {
      status: 201,
      body: { firewall: firewallView(firewall, state), actions: actions.map(actionView) },
    };
  });

  const set = cloud.actions.define<{ firewall: number; rules: FirewallRule[] }>('firewall/set_rules', {
    command: 'set_firewall_rules',
    apply: (args) => {
      const firewall = state.firewalls.get(args.firewall);
      if (firewall) firewall.rules = args.rules;
    },
  });
  routes.post('/firewalls/:id/actions/set_rules', (call) => {
    const firewall = wanted(kind, call);
    const given = parseBody(setRules, call.body);
    const first = set([{ type: 'firewall', id: firewall.id }], { firewall: firewall.id, rules: given.rules });
    const actions = [
      first,
      ...protectedServers(firewall, state).map((server) => {
        return changed(
          [
            { type: 'firewall', id: firewall.id },
            { type: 'server', id: server.id },
          ],
          { server: server.id },
          first,
        );
      }),
    ];
    return { status: 201, body: { actions: actions.map(actionView) } };
  });

  const apply = cloud.actions.define<{ firewall: number; resource: Resource }>(
    'firewall/apply_to_resources',
    {
      command: 'apply_firewall',
      settle: ({ resource: one }) => tell(serversOf(one, state)),
      apply: (args) => {
        const firewall = state.firewalls.get(args.firewall);
        if (!firewall) return;
        if (args.resource.type === 'server') {
          const server = state.servers.get(args.resource.server.id);
          if (server && !server.firewalls.includes(firewall.id)) server.firewalls.push(firewall.id);
        } else if (!firewall.selectors.includes(args.resource.label_selector.selector)) {
          firewall.selectors.push(args.resource.label_selector.selector);
        }
      },
    },
  );
  const remove = cloud.actions.define<{ firewall: number; resource: Resource }>(
    'firewall/remove_from_resources',
    {
      command: 'remove_firewall',
      settle: ({ resource: one }) => tell(serversOf(one, state)),
      apply: (args) => {
        const firewall = state.firewalls.get(args.firewall);
        if (args.resource.type === 'server') {
          const server = state.servers.get(args.resource.server.id);
          if (server) server.firewalls = server.firewalls.filter((one) => one !== args.firewall);
        } else if (firewall) {
          const gone = args.resource.label_selector.selector;
          firewall.selectors = firewall.selectors.filter((one) => one !== gone);
        }
      },
    },
  );
  const beginOn = (firewall: FirewallRecord, one: Resource, begin: typeof apply) => {
    const resources = [
      { type: 'firewall' as const, id: firewall.id },
      ...(one.type === 'server' ? [{ type: 'server' as const, id: one.server.id }] : []),
    ];
    return begin(resources, { firewall: firewall.id, resource: one });
  };
  const applyAction = (firewall: FirewallRecord, one: Resource) => beginOn(firewall, one, apply);

  routes.post('/firewalls/:id/actions/apply_to_resources', (call) => {
    const firewall = wanted(kind, call);
    const { apply_to } = parseBody(applyTo, call.body);
    for (const one of apply_to) refuseApply(firewall, one, state);
    return {
      status: 201,
      body: { actions: apply_to.map((one) => applyAction(firewall, one)).map(actionView) },
    };
  });
  routes.post('/firewalls/:id/actions/remove_from_resources', (call) => {
    const firewall = wanted(kind, call);
    const { remove_from } = parseBody(removeFrom, call.body);
    for (const one of remove_from) refuseRemove(firewall, one, state);
    const actions = remove_from.map((one) => beginOn(firewall, one, remove));
    return { status: 201, body: { actions: actions.map(actionView) } };
  });
}

function refuseApply(firewall: FirewallRecord, one: Resource, state: State): void {
  if (one.type === 'label_selector') {
    parseLabelSelector(one.label_selector.selector);
    if (!firewall.selectors.includes(one.label_selector.selector)) return;
    throw new ApiError(
      'firewall_already_applied',
      `firewall ${firewall.id} is already applied to this selector`,
    );
  }
  const server = state.servers.get(one.server.id);
  if (!server)
    throw new ApiError('firewall_resource_not_found', `server with ID '${one.server.id}' not found`);
  if (server.firewalls.includes(firewall.id)) {
    throw new ApiError(
      'firewall_already_applied',
      `firewall ${firewall.id} is already applied to server ${server.id}`,
    );
  }
  if (!state.primaryIps.find((ip) => ip.assignee === server.id)) {
    throw new ApiError('private_net_only_server', `server ${server.id} has no public interface`);
  }
  refuseTooMany(firewallsOf(server, state).length + 1);
}

function refuseRemove(firewall: FirewallRecord, one: Resource, state: State): void {
  if (one.type === 'label_selector') {
    if (firewall.selectors.includes(one.label_selector.selector)) return;
  } else if (state.servers.get(one.server.id)?.firewalls.includes(firewall.id)) {
    return;
  } else if (protectedServers(firewall, state).some(({ id }) => id === one.server.id)) {
    throw new ApiError(
      'firewall_managed_by_label_selector',
      `server ${one.server.id} is chosen by a label selector`,
    );
  }
  throw new ApiError(
    'firewall_resource_not_found',
    `firewall ${firewall.id} is not applied to this resource`,
  );
}

/** @throws ApiError `resource_limit_exceeded` */
export function refuseTooMany(firewalls: number): void {
  if (firewalls > MOST_FIREWALLS) {
    throw new ApiError('resource_limit_exceeded', `a server takes ${MOST_FIREWALLS} firewalls at most`);
  }
}

/** The firewalls that a new server is to have. @throws ApiError `not_found`, `resource_limit_exceeded` */
export function firewallsFor(wantedIds: number[], state: State): number[] {
  refuseTooMany(wantedIds.length);
  return [...new Set(wantedIds)].map((one) => existing(state.firewalls, 'firewall', one).id);
}

function serversOf(one: Resource, state: State): ServerRecord[] {
  if (one.type === 'server') return [...state.servers].filter(({ id }) => id === one.server.id);
  const fits = parseLabelSelector(one.label_selector.selector);
  return state.servers.filter((server) => fits(server.labels));
}

function appliedTo(firewall: FirewallRecord, state: State) {
  const direct = state.servers.filter((server) => server.firewalls.includes(firewall.id));
  const server = ({ id }: ServerRecord) => ({ type: 'server', server: { id } });
  return [
    ...direct.map(server),
    ...firewall.selectors.map((text) => ({
      type: 'label_selector',
      label_selector: { selector: text },
      applied_to_resources: state.servers.filter((one) => parseLabelSelector(text)(one.labels)).map(server),
    })),
  ];
}

function firewallView(firewall: FirewallRecord, state: State) {
  const { id, name, labels, created, rules } = firewall;
  return { id, name, labels, created, rules, applied_to: appliedTo(firewall, state) };
}
