import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { firstProcess } from '../../local/machines/inside';
import { placeOf } from '../../local/machines/place';
import { rootFileSystem } from '../../local/machines/root-file-system';
import {
  booted,
  checkout,
  ended,
  inside,
  leftovers,
  outside,
  removeCheckouts,
  until,
  type Server,
} from './booted-cloud';

beforeAll(async () => void (await rootFileSystem('debian-13', () => undefined)), 600_000);
afterEach(removeCheckouts, 60_000);

test('Ctrl-C takes everything down, and the next start boots what ran', async () => {
  const { folder, start } = checkout();
  const interfaces = () => readdirSync('/sys/class/net').sort();
  const before = interfaces();
  const first = await start();
  const on = await first.server({ name: 'app-1' });
  const off = await first.server({ name: 'app-2', start_after_create: false });
  await booted(first.place, on.id);
  await inside(first.place, on.id, 'echo kept >/root/marker; sync');
  expect(leftovers(first.place).length).toBeGreaterThan(5);
  // This machine's own network has got nothing.
  expect(interfaces()).toEqual(before);
  await first.end('SIGINT');
  expect(first.child.exitCode).toBe(0);
  expect(leftovers(placeOf(folder))).toEqual([]);

  const second = await start();
  await booted(second.place, on.id);
  expect((await inside(second.place, on.id, 'cat /root/marker')).stdout).toBe('kept\n');
  expect(firstProcess(second.place, off.id)).toBeUndefined();
}, 120_000);

test('what a crash leaves is taken away by the next start', async () => {
  const { start } = checkout();
  const first = await start();
  const { id } = await first.server({ name: 'app-1' });
  await booted(first.place, id);
  const before = leftovers(first.place);
  const abandoned = firstProcess(first.place, id);
  await first.end('SIGKILL');
  // Without this the test would prove nothing.
  expect(leftovers(first.place)).toEqual(before);

  const second = await start();
  await booted(second.place, id);
  expect(firstProcess(second.place, id)).not.toBe(abandoned);
  await second.end('SIGTERM');
  expect(leftovers(second.place)).toEqual([]);
}, 120_000);

test('two checkouts live side by side with the same names and addresses', async () => {
  const [one, two] = [await checkout().start(), await checkout().start()];
  expect(one.place.key).not.toBe(two.place.key);
  const servers = [await one.server({ name: 'app-1' }), await two.server({ name: 'app-1' })] as const;
  expect(servers[0].public_net.ipv4!.ip).toBe(servers[1].public_net.ipv4!.ip);
  await booted(one.place, servers[0].id);
  await booted(two.place, servers[1].id);
  await inside(two.place, servers[1].id, 'echo second >/root/which');
  expect((await inside(one.place, servers[0].id, 'cat /root/which')).code).not.toBe(0);

  await one.end('SIGTERM');
  expect(leftovers(one.place)).toEqual([]);
  expect((await inside(two.place, servers[1].id, 'cat /root/which')).stdout).toBe('second\n');
  const address = servers[1].public_net.ipv4!.ip;
  expect((await outside(two.place, ['timeout', '5', 'bash', '-c', `</dev/tcp/${address}/22`])).code).toBe(0);
}, 120_000);

test.each(['SIGINT', 'SIGKILL'] as const)(
  'a creation that %s breaks off is completed by the next start',
  async (signal) => {
    const { start } = checkout();
    const first = await start();
    const asked = await Promise.all(
      ['app-1', 'app-2', 'app-3'].map((name) =>
        first.api<{ server: Server }>('POST', '/v1/servers', {
          name,
          server_type: 'cx33',
          image: 'debian-13',
          location: 'fsn1',
        }),
      ),
    );
    await until(
      'a disk is begun',
      () => Promise.resolve(existsSync(first.place.disks) ? readdirSync(first.place.disks) : []),
      (disks) => disks.length > 0,
    );
    await first.end(signal);
    if (signal === 'SIGINT') expect(leftovers(first.place)).toEqual([]);

    const second = await start();
    for (const { server } of asked) {
      await booted(second.place, server.id);
      const { server: now } = await second.api<{ server: Server }>('GET', `/v1/servers/${server.id}`);
      expect(now.status).toBe('running');
    }
  },
  120_000,
);

test('servers that enter a new network in the same moment all get there', async () => {
  const cloud = await checkout().start();
  const { network } = await cloud.api<{ network: { id: number } }>('POST', '/v1/networks', {
    name: 'private',
    ip_range: '10.10.0.0/16',
    subnets: [{ type: 'cloud', ip_range: '10.10.0.0/16', network_zone: 'eu-central' }],
  });
  const names = ['recorder-1', 'recorder-2', 'recorder-3', 'recorder-4', 'recorder-5', 'recorder-6'];
  const servers = await Promise.all(
    names.map((name) => cloud.server({ name, networks: [network.id], start_after_create: false })),
  );
  for (const { id } of servers) {
    const { server } = await cloud.api<{ server: Server }>('GET', `/v1/servers/${id}`);
    expect(server.private_net).toHaveLength(1);
  }
}, 60_000);

test('rules that change while their server is being made are the ones that count', async () => {
  const cloud = await checkout().start();
  const rules = (port: number) => [
    { direction: 'in', protocol: 'tcp', port: String(port), source_ips: ['0.0.0.0/0'] },
  ];
  // Each a little later after the order than the one before, so that some change in the middle of the making.
  const numbers = [0, 1, 2, 3, 4, 5, 6, 7];
  await Promise.all(
    numbers.map(async (number) => {
      const name = `app-${number}`;
      const { firewall } = await cloud.api<{ firewall: { id: number } }>('POST', '/v1/firewalls', {
        name,
        rules: rules(1000 + number),
      });
      const made = cloud.server({ name, firewalls: [{ firewall: firewall.id }], start_after_create: false });
      await sleep(60 + 25 * number);
      const path = `/v1/firewalls/${firewall.id}/actions/set_rules`;
      const { actions } = await cloud.api<{ actions: { id: number }[] }>('POST', path, {
        rules: rules(2000 + number),
      });
      await Promise.all([made, ...actions.map(({ id }) => ended(cloud.api, id))]);
    }),
  );
  const { stdout } = await outside(cloud.place, ['nft', 'list', 'table', 'inet', 'cloud']);
  const ports = [...stdout.matchAll(/tcp dport (\d+)/g)].map(([, port]) => Number(port)).sort();
  expect(ports).toEqual(numbers.map((number) => 2000 + number));
}, 60_000);
