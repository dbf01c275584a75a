import { rmSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { firstProcess } from '../../local/machines/inside';
import { placeOf } from '../../local/machines/place';
import { booted, BootedCloud, inside, leftovers, outside, scratchFolder } from './booted-cloud';

const opened: { folder: string; clouds: BootedCloud[] }[] = [];

/** A folder for a local cloud; whatever the test does, nothing of it stays. */
function checkout(): { folder: string; start: () => Promise<BootedCloud> } {
  const folder = scratchFolder();
  const entry = { folder, clouds: [] as BootedCloud[] };
  opened.push(entry);
  const start = async () => {
    const cloud = await BootedCloud.start(folder);
    entry.clouds.push(cloud);
    return cloud;
  };
  return { folder, start };
}

afterEach(async () => {
  for (const { folder, clouds } of opened.splice(0)) {
    for (const cloud of clouds) await cloud.end('SIGTERM');
    if (leftovers(placeOf(folder)).length > 0) await (await BootedCloud.start(folder)).end('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);

test('Ctrl-C takes everything down, and the next start boots what ran', async () => {
  const { folder, start } = checkout();
  const first = await start();
  const on = await first.server({ name: 'app-1' });
  const off = await first.server({ name: 'app-2', start_after_create: false });
  await booted(first.place, on.id);
  await inside(first.place, on.id, 'echo kept >/root/marker; sync');
  expect(leftovers(first.place).length).toBeGreaterThan(5);
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

test('Debian 12 boots as well, with its keys and packages', async () => {
  const cloud = await checkout().start();
  const { publicKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const field = (data: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, data.length]), data]);
  const text = Buffer.concat([field(Buffer.from('ssh-ed25519')), field(raw)]).toString('base64');
  const { ssh_key: key } = await cloud.api<{ ssh_key: { id: number } }>('POST', '/v1/ssh_keys', {
    name: 'admin',
    public_key: `ssh-ed25519 ${text}`,
  });
  const { id } = await cloud.server({
    name: 'app-1',
    image: 'debian-12',
    ssh_keys: [key.id],
    user_data: '#cloud-config\npackages: [tree]\n',
  });
  await booted(cloud.place, id);
  const check =
    'cat /root/.ssh/authorized_keys; . /etc/os-release; echo "$VERSION_ID"; tree --version; ip -6 route';
  const { stdout } = await inside(cloud.place, id, check);
  expect(stdout).toContain(text);
  expect(stdout).toMatch(/^12$/m);
  expect(stdout).toMatch(/^tree v/m);
  expect(stdout).toMatch(/^default via fe80::1/m);
}, 180_000);

test('an image that does not boot here fails the action with the reason', async () => {
  const cloud = await checkout().start();
  await expect(cloud.server({ name: 'app-1', image: 'ubuntu-24.04' })).rejects.toThrow(
    /debian-12, debian-13/,
  );
});
