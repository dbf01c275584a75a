import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parseLabelSelector } from '../../local/api/label-selector';
import { noMachines, type Machine, type MachineDriver } from '../../local/api/machine-driver';
import {
  clientsOf,
  ended,
  runningServer,
  serverOrder,
  startedCloud,
  TOKEN,
  type ErrorAnswer,
  type ServerAnswer,
} from './local-cloud';

interface GroupList {
  placement_groups: { name: string }[];
  meta: { pagination: Record<string, number | null> };
}

describe('lists', () => {
  test('pages: the last, the one behind it, the size', async () => {
    const { hetzner } = await startedCloud();
    const names = Array.from({ length: 27 }, (_, i) => `g-${String(i).padStart(2, '0')}`);
    for (const name of names) await hetzner('POST', '/placement_groups', { name, type: 'spread' });
    const list = async (query: string) =>
      (await hetzner<GroupList>('GET', `/placement_groups?${query}`)).body;

    const first = await list('');
    expect(first.placement_groups).toHaveLength(25);
    expect(first.meta.pagination).toEqual({
      page: 1,
      per_page: 25,
      previous_page: null,
      next_page: 2,
      last_page: 2,
      total_entries: 27,
    });
    const last = await list('page=3&per_page=13&sort=name:desc');
    expect(last.placement_groups.map(({ name }) => name)).toEqual(['g-00']);
    expect(last.meta.pagination).toMatchObject({ previous_page: 2, next_page: null, last_page: 3 });
    const behind = await list('page=9');
    expect(behind.placement_groups).toEqual([]);
    expect(behind.meta.pagination).toMatchObject({ page: 9, next_page: null, total_entries: 27 });
    const none = await list('name=nobody');
    expect(none.meta.pagination).toMatchObject({ last_page: 1, total_entries: 0 });
  });

  test.each(['page=0', 'page=x', 'per_page=51', 'per_page=0', 'sort=colour', 'label_selector=a%20b'])(
    '%s is refused',
    async (query) => {
      const { hetzner } = await startedCloud();
      const { status, body } = await hetzner<ErrorAnswer>('GET', `/placement_groups?${query}`);
      expect(status).toBe(422);
      expect(body.error.code).toBe('invalid_input');
    },
  );

  test('actions are listed by id only, and by resource', async () => {
    const { hetzner } = await startedCloud();
    const server = await runningServer(hetzner, 'a');
    expect((await hetzner<ErrorAnswer>('GET', '/actions')).body.error.code).toBe('deprecated_api_endpoint');
    interface List {
      actions: { id: number; command: string; resources: unknown[] }[];
    }
    const ofServer = (await hetzner<List>('GET', `/servers/${server.id}/actions?sort=id`)).body.actions;
    expect(ofServer.map(({ command }) => command)).toEqual(['create_server', 'start_server']);
    const [one, two] = ofServer;
    const both = await hetzner<List>('GET', `/actions?id=${one!.id}&id=${two!.id}`);
    expect(both.body.actions).toHaveLength(2);
    expect(one?.resources).toEqual([{ id: server.id, type: 'server' }]);
  });
});

test.each([
  ['role', { role: '' }, true],
  ['role', {}, false],
  ['!role', {}, true],
  ['role=jitsi', { role: 'jitsi' }, true],
  ['role == jitsi', { role: 'jitsi' }, true],
  ['role!=jitsi', { role: 'bridge' }, true],
  ['role!=jitsi', {}, true],
  ['role!=jitsi', { role: 'jitsi' }, false],
  ['role in (jitsi, bridge)', { role: 'bridge' }, true],
  ['role in (jitsi)', {}, false],
  ['role notin (jitsi)', {}, true],
  ['role notin (jitsi,bridge),shard=1', { role: 'app', shard: '1' }, true],
  ['role notin (jitsi,bridge),shard=1', { role: 'bridge', shard: '1' }, false],
  ['example.org/role=jitsi', { 'example.org/role': 'jitsi' }, true],
  ['role=', { role: '' }, true],
  ['constructor', {}, false],
])('label selector %s on %j: %s', (selector, labels: Record<string, string>, fits) => {
  expect(parseLabelSelector(selector)(labels)).toBe(fits);
});

test.each(['=jitsi', 'role in jitsi', 'a,,b', 'a b', '!'])('%j is no label selector', (selector) => {
  expect(() => parseLabelSelector(selector)).toThrow('is not a label selector');
});

describe('input', () => {
  test.each<[string, object, string]>([
    ['/servers', serverOrder('Not_A_Host'), 'name'],
    ['/servers', serverOrder('a', { datacenter: 'fsn1-dc14' }), 'datacenter'],
    ['/servers', serverOrder('a', { labels: { 'bad key': 'x' } }), 'labels.bad key'],
    ['/servers', serverOrder('a', { public_net: { enable_ipv4: 'yes' } }), 'public_net.enable_ipv4'],
    ['/servers', serverOrder('a', { location: 'mars' }), 'location'],
    ['/networks', { name: 'n', ip_range: '8.8.0.0/16' }, 'ip_range'],
    ['/networks', { name: 'n', ip_range: '10.10.0.1/16' }, 'ip_range'],
    ['/networks', { name: 'n', ip_range: '10.10.0.0/25' }, 'ip_range'],
    ['/volumes', { name: 'v', size: 9, location: 'fsn1' }, 'size'],
    ['/primary_ips', { name: 'p', type: 'ipv5', location: 'fsn1' }, 'type'],
    ['/placement_groups', { name: 'g', type: 'pack' }, 'type'],
    ['/zones', { name: 'Example.org.', mode: 'primary' }, 'name'],
    ['/zones', { name: 'example.org', mode: 'primary', ttl: 5 }, 'ttl'],
  ])('POST %s %j names the field', async (path, body, field) => {
    const { hetzner } = await startedCloud();
    const answer = await hetzner<ErrorAnswer>('POST', path, body);
    expect(answer.status).toBe(422);
    expect(answer.body.error.code).toBe('invalid_input');
    expect(answer.body.error.details?.fields.map(({ name }) => name)).toContain(field);
  });

  const rule = { direction: 'in', protocol: 'tcp', port: '443', source_ips: ['0.0.0.0/0'] };
  test.each<[object, string]>([
    [{ ...rule, port: null }, 'rules.0.port'],
    [{ ...rule, port: '5000-1024' }, 'rules.0.port'],
    [{ ...rule, protocol: 'icmp' }, 'rules.0.port'],
    [{ ...rule, source_ips: ['203.0.113.7/24'] }, 'rules.0.source_ips.0'],
    [{ ...rule, source_ips: ['2001:db8::1/64'] }, 'rules.0.source_ips.0'],
    [{ ...rule, source_ips: [] }, 'rules.0.source_ips'],
    [{ ...rule, destination_ips: ['::/0'] }, 'rules.0.destination_ips'],
  ])('a firewall rule %j is refused', async (wrong, field) => {
    const { hetzner } = await startedCloud();
    const answer = await hetzner<ErrorAnswer>('POST', '/firewalls', { name: 'f', rules: [wrong] });
    expect(answer.body.error.details?.fields.map(({ name }) => name)).toEqual([field]);
  });

  test('51 rules are too many', async () => {
    const { hetzner } = await startedCloud();
    const rules = Array.from({ length: 51 }, () => rule);
    expect((await hetzner('POST', '/firewalls', { name: 'f', rules })).status).toBe(422);
    expect((await hetzner('POST', '/firewalls', { name: 'f', rules: rules.slice(1) })).status).toBe(201);
  });

  test('a body that is no JSON, an unknown address, a wrong token', async () => {
    const { url, hetzner } = await startedCloud();
    const broken = await fetch(`${url}/v1/servers`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: '{"name":',
    });
    expect(broken.status).toBe(400);
    expect(await broken.json()).toMatchObject({ error: { code: 'json_error' } });
    expect((await hetzner<ErrorAnswer>('GET', '/load_balancers')).body.error.code).toBe('not_found');
    expect((await hetzner<ErrorAnswer>('GET', '/servers/4711')).body.error.code).toBe('not_found');
    const stranger = await clientsOf(url, 'x'.repeat(64)).hetzner<ErrorAnswer>('GET', '/servers');
    expect(stranger.status).toBe(401);
  });

  test('a refused order leaves nothing behind', async () => {
    const { hetzner, local } = await startedCloud();
    const network = async (name: string) =>
      (
        await hetzner<{ network: { id: number } }>('POST', '/networks', {
          name,
          ip_range: '10.10.0.0/16',
          subnets: [{ type: 'cloud', network_zone: 'eu-central' }],
        })
      ).body.network.id;
    const networks = [await network('one'), await network('two')];
    const refused = await hetzner<ErrorAnswer>('POST', '/servers', serverOrder('a', { networks }));
    expect(refused.body.error.code).toBe('networks_overlap');
    expect((await local<{ servers: number }>('GET', '/status')).body.servers).toBe(0);
    const ips = await hetzner<{ primary_ips: unknown[] }>('GET', '/primary_ips');
    expect(ips.body.primary_ips).toEqual([]);
  });

  test('limits and stock', async () => {
    const { hetzner, local } = await startedCloud({ limits: { servers: 1 } });
    await local('POST', '/stock', { serverType: 'cx33', location: 'nbg1', available: false });
    const soldOut = await hetzner<ErrorAnswer>('POST', '/servers', serverOrder('a'));
    expect(soldOut.body.error.code).toBe('resource_unavailable');
    interface Types {
      server_types: { locations: { name: string; available: boolean }[] }[];
    }
    const { body } = await hetzner<Types>('GET', '/server_types?name=cx33');
    const available = body.server_types[0]?.locations.map(({ name, available }) => [name, available]);
    expect(available).toEqual([
      ['fsn1', true],
      ['nbg1', false],
      ['hel1', true],
    ]);
    await local('POST', '/stock', { serverType: 'cx33', location: 'nbg1', available: true });
    expect((await hetzner('POST', '/servers', serverOrder('a'))).status).toBe(201);
    const tooMany = await hetzner<ErrorAnswer>('POST', '/servers', serverOrder('b'));
    expect(tooMany.body.error.code).toBe('resource_limit_exceeded');
    expect(
      (await local<ErrorAnswer>('POST', '/stock', { serverType: 'cx33', location: 'ash', available: true }))
        .status,
    ).toBe(422);
  });
});

describe('secrets', () => {
  test('no answer, log line or logged request holds user data or the token', async () => {
    const lines: string[] = [];
    const { hetzner, local, stateFile } = await startedCloud({ log: (line) => lines.push(line) });
    const created = await hetzner<ServerAnswer>(
      'POST',
      '/servers',
      serverOrder('a', { user_data: 'host-key-secret' }),
    );
    await ended(hetzner, created.body.action.id);
    const got = await hetzner('GET', `/servers/${created.body.server.id}`);
    await hetzner('POST', '/servers', serverOrder('b', { user_data: ['host-key-secret'] }));
    const requests = await local<
      { n: number; method: string; path: string; status: number; code?: string }[]
    >('GET', '/requests');
    const seen = JSON.stringify([created.body, got.body, requests.body, lines]);
    expect(seen).not.toContain('host-key-secret');
    expect(seen).not.toContain(TOKEN);
    expect(await readFile(stateFile, 'utf8')).not.toContain(TOKEN);

    expect(requests.body[0]).toMatchObject({ n: 1, method: 'POST', path: '/v1/servers', status: 201 });
    expect(requests.body.at(-1)).toMatchObject({ status: 422, code: 'invalid_input' });
    const since = await local<unknown[]>('GET', `/requests?since=${requests.body.length - 1}`);
    expect(since.body).toHaveLength(1);
    expect(lines).toHaveLength(requests.body.length);
  });

  test('the side door takes nothing that a web page could send', async () => {
    const { url } = await startedCloud();
    const page = await fetch(`${url}/local/faults`, {
      method: 'DELETE',
      headers: { origin: 'https://example.org' },
    });
    expect(page.status).toBe(403);
    const form = await fetch(`${url}/local/faults`, { method: 'POST', body: 'on=x' });
    expect(form.status).toBe(415);
  });

  test('a token that Hetzner would not issue is refused at the start', async () => {
    await expect(startedCloud({ token: 'short' })).rejects.toThrow('token: expected 64 letters and digits');
  });
});

test('a machine driver is told what to do, and its failures are the action’s', async () => {
  const calls: string[] = [];
  let broken = false;
  const told = (call: string) => (machine: Machine) => {
    calls.push(`${call} ${machine.name} ${machine.privateNetworks.map(({ ip }) => ip).join()}`.trim());
    return broken ? Promise.reject(new Error(`no room for ${machine.name}`)) : Promise.resolve();
  };
  const driver: MachineDriver = {
    ...noMachines,
    boots: true,
    create: told('create'),
    powerOn: told('powerOn'),
    powerOff: (machine, hard) => told(`powerOff(${hard})`)(machine),
    rebuild: (machine) => told(`rebuild(${machine.image.name},${machine.userData})`)(machine),
    delete: told('delete'),
    networksChanged: told('networksChanged'),
    firewallChanged: told('firewallChanged'),
  };
  const { hetzner, local } = await startedCloud({ driver });
  expect((await local<{ machines: boolean }>('GET', '/status')).body.machines).toBe(true);
  const { body } = await hetzner<{ network: { id: number } }>('POST', '/networks', {
    name: 'n',
    ip_range: '10.10.0.0/16',
    subnets: [{ type: 'cloud', ip_range: '10.10.0.0/16', network_zone: 'eu-central' }],
  });
  const server = await runningServer(hetzner, 'jitsi-1', { user_data: 'one' });
  const act = async (path: string, input?: object) => {
    const answer = await hetzner<ServerAnswer>('POST', `/servers/${server.id}/actions/${path}`, input);
    return ended(hetzner, answer.body.action.id);
  };
  await act('attach_to_network', { network: body.network.id, ip: '10.10.1.1' });
  await act('shutdown');
  await act('poweron');
  await act('rebuild', { image: 'debian-12', user_data: 'two' });
  broken = true;
  expect(await act('poweroff')).toMatchObject({ status: 'error', error: { message: 'no room for jitsi-1' } });
  broken = false;
  const deleted = await hetzner<ServerAnswer>('DELETE', `/servers/${server.id}`);
  await ended(hetzner, deleted.body.action.id);
  expect(calls).toEqual([
    'create jitsi-1',
    'powerOn jitsi-1',
    'networksChanged jitsi-1 10.10.1.1',
    'powerOff(false) jitsi-1 10.10.1.1',
    'powerOn jitsi-1 10.10.1.1',
    'rebuild(debian-12,two) jitsi-1 10.10.1.1',
    'powerOff(true) jitsi-1 10.10.1.1',
    'delete jitsi-1 10.10.1.1',
  ]);
});
