import { expect, test } from 'vitest';
import { clientsOf, serverOrder, startedCloud, TOKEN, type ErrorAnswer } from './local-cloud';

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
  expect((await hetzner('GET', '/datacenters')).status).toBe(410);
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
