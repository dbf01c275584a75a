/** Who gets in: SSH keys and firewalls. */
import { setTimeout as sleep } from 'node:timers/promises';
import { number, object, required, set, text, type Failure, type Values } from '../properties';
import { resourceFor } from '../resource';
import type { HetznerClient } from './client';
import { labels } from './labels';

interface ApiSshKey {
  id: number;
  name: string;
  fingerprint: string;
  public_key: string;
  labels: Record<string, string>;
}

/**
 * The service keeps keys without white space around them, and the real provider compares them as they are: a key that
 * ends with a newline is replaced at every run. A program trims it.
 */
const sshKeyState = (key: ApiSshKey) => ({
  name: key.name,
  fingerprint: key.fingerprint,
  publicKey: key.public_key.trim(),
  labels: key.labels,
});

export const sshKey = resourceFor<HetznerClient>()({
  inputs: { labels: labels(), name: text(), publicKey: required(text({ replaces: true })) },
  outputs: { fingerprint: text() },
  reports: 'reasons',
  autoName: true,
  async create({ client, inputs }) {
    const { ssh_key } = await client.request<{ ssh_key: ApiSshKey }>('POST', '/ssh_keys', {
      name: inputs.name,
      public_key: inputs.publicKey,
      ...(inputs.labels && { labels: inputs.labels }),
    });
    return { id: String(ssh_key.id), state: sshKeyState(ssh_key) };
  },
  async read({ client, id }) {
    const found = await client.find<{ ssh_key: ApiSshKey }>(`/ssh_keys/${id}`);
    return found && { state: sshKeyState(found.ssh_key) };
  },
  async update({ client, id, inputs }) {
    const { ssh_key } = await client.request<{ ssh_key: ApiSshKey }>('PUT', `/ssh_keys/${id}`, {
      name: inputs.name,
      labels: inputs.labels ?? {},
    });
    return sshKeyState(ssh_key);
  },
  async delete({ client, id }) {
    await client.remove(`/ssh_keys/${id}`);
  },
});

interface ApiRule {
  description: string | null;
  direction: string;
  protocol: string;
  port: string | null;
  source_ips: string[];
  destination_ips: string[];
}

interface ApiResource {
  type: string;
  server?: { id: number } | null;
  label_selector?: { selector: string } | null;
}

interface ApiFirewall {
  id: number;
  name: string;
  labels: Record<string, string>;
  rules: ApiRule[];
  applied_to: ApiResource[];
}

const rule = object({
  description: text(),
  destinationIps: set(text()),
  direction: required(text({ oneOf: ['in', 'out'] })),
  port: text(),
  protocol: required(text({ oneOf: ['tcp', 'udp', 'icmp', 'esp', 'gre'] })),
  sourceIps: set(text()),
});

const applyTo = object({ labelSelector: text(), server: number() });

const firewallInputs = {
  applyTos: set(applyTo, { computed: true }),
  labels: labels(),
  name: text(),
  rules: set(rule),
};

type FirewallInputs = Values<typeof firewallInputs>;

function firewallState(firewall: ApiFirewall) {
  return {
    name: firewall.name,
    labels: firewall.labels,
    rules: firewall.rules.map((item) => ({
      direction: item.direction,
      protocol: item.protocol,
      port: item.port ?? undefined,
      description: item.description ?? undefined,
      sourceIps: item.source_ips,
      destinationIps: item.destination_ips,
    })),
    applyTos: firewall.applied_to.map((item) => ({
      server: item.server?.id,
      labelSelector: item.label_selector?.selector,
    })),
  };
}

const rulesOf = (inputs: FirewallInputs) =>
  (inputs.rules ?? []).map((item) => ({
    direction: item.direction,
    protocol: item.protocol,
    ...(item.port && { port: item.port }),
    ...(item.description && { description: item.description }),
    ...(item.direction === 'in'
      ? { source_ips: item.sourceIps ?? [] }
      : { destination_ips: item.destinationIps ?? [] }),
  }));

const resourcesOf = (applyTos: NonNullable<FirewallInputs['applyTos']>): ApiResource[] =>
  applyTos.map((item) =>
    item.server === undefined
      ? { type: 'label_selector', label_selector: { selector: item.labelSelector ?? '' } }
      : { type: 'server', server: { id: item.server } },
  );

const sameResource = (a: ApiResource, b: ApiResource): boolean =>
  a.server?.id === b.server?.id && a.label_selector?.selector === b.label_selector?.selector;

function ruleFailures(rules: FirewallInputs['rules']): Failure[] {
  if (!Array.isArray(rules)) return [];
  return rules.flatMap((item, index): Failure[] => {
    const at = `rules[${index}]`;
    const failures: Failure[] = [];
    const needsPort = item.protocol === 'tcp' || item.protocol === 'udp';
    if (needsPort && !item.port) {
      failures.push({
        property: `${at}.port`,
        reason: `${item.protocol} needs a port; for example 443 or 85-90`,
      });
    }
    if (!needsPort && item.port) {
      failures.push({
        property: `${at}.port`,
        reason: `${item.protocol} has no ports; got ${String(item.port)}`,
      });
    }
    const [list, name] =
      item.direction === 'in' ? [item.sourceIps, 'sourceIps'] : [item.destinationIps, 'destinationIps'];
    if (Array.isArray(list) ? list.length === 0 : list === undefined) {
      failures.push({
        property: `${at}.${name}`,
        reason: `direction ${item.direction} needs ${name}; for example 0.0.0.0/0 and ::/0`,
      });
    }
    return failures;
  });
}

const findFirewall = async (client: HetznerClient, id: string): Promise<ApiFirewall | undefined> =>
  (await client.find<{ firewall: ApiFirewall }>(`/firewalls/${id}`))?.firewall;

/** How long a deletion waits for the servers that use the firewall to go. */
const unusedWithin = 30_000;

export const firewall = resourceFor<HetznerClient>()({
  inputs: firewallInputs,
  outputs: {},
  reports: 'details',
  autoName: true,
  deletesFirstWhenNamed: true,
  check: ({ rules }) => ruleFailures(rules),
  async create({ client, inputs }) {
    const answer = await client.request<{ firewall: ApiFirewall }>('POST', '/firewalls', {
      name: inputs.name,
      rules: rulesOf(inputs),
      ...(inputs.labels && { labels: inputs.labels }),
      ...(inputs.applyTos?.length && { apply_to: resourcesOf(inputs.applyTos) }),
    });
    await client.finish(answer as object);
    return { id: String(answer.firewall.id), state: firewallState(answer.firewall) };
  },
  async read({ client, id }) {
    const found = await findFirewall(client, id);
    return found && { state: firewallState(found) };
  },
  async update({ client, id, inputs, changed }) {
    if (changed.has('name') || changed.has('labels')) {
      await client.request('PUT', `/firewalls/${id}`, {
        ...(changed.has('name') && { name: inputs.name }),
        ...(changed.has('labels') && { labels: inputs.labels ?? {} }),
      });
    }
    if (changed.has('rules')) {
      await client.act('POST', `/firewalls/${id}/actions/set_rules`, { rules: rulesOf(inputs) });
    }
    if (changed.has('applyTos')) {
      const has = (await findFirewall(client, id))?.applied_to ?? [];
      const wanted = resourcesOf(inputs.applyTos ?? []);
      const gone = has.filter((item) => !wanted.some((other) => sameResource(item, other)));
      const added = wanted.filter((item) => !has.some((other) => sameResource(item, other)));
      if (gone.length)
        await client.act('POST', `/firewalls/${id}/actions/remove_from_resources`, { remove_from: gone });
      if (added.length)
        await client.act('POST', `/firewalls/${id}/actions/apply_to_resources`, { apply_to: added });
    }
    const found = await findFirewall(client, id);
    return found ? firewallState(found) : {};
  },
  async delete({ client, id, signal }) {
    // A server that is being deleted holds its firewall a little longer than the answer to its deletion says.
    for (let waited = 0; waited < unusedWithin; waited += 500) {
      const found = await findFirewall(client, id);
      if (!found) return;
      if (found.applied_to.length === 0) break;
      await sleep(500, undefined, { signal });
    }
    await client.remove(`/firewalls/${id}`);
  },
});
