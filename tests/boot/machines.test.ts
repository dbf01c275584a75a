import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCloud, stopCloud, type CloudEndpoint } from '../../local/command/cloud';
import { prepareEngine, pulumi, type Engine } from '../../local/command/engine';
import { localPaths } from '../../local/command/paths';
import { firstProcess, progressOf } from '../../local/machines/inside';
import { machineNamespace, placeOf, type Place } from '../../local/machines/place';
import { rootFileSystem } from '../../local/machines/root-file-system';
import { act, booted, call, inside, leftovers, outside, scratchFolder, Ssh, until } from './booted-cloud';
import type { Api, Server } from './booted-cloud';

interface Host {
  name: string;
  id: string;
  address: string;
  hostKey: string;
  log: string;
}

const folder = scratchFolder();
const paths = localPaths(folder);
const place: Place = placeOf(paths.cloud);
const program = join(__dirname, 'program');
const stack = `local-boot-${place.key}`;
let cloud: CloudEndpoint;
let engine: Engine;
let hosts: Host[];
let ssh: Ssh;
const api: Api = (method, path, body) => call(cloud.url, cloud.token, method, path, body);
const idOf = (index: number): number => Number(hosts[index]!.id);

beforeAll(async () => {
  await rootFileSystem('debian-13', () => undefined);
  cloud = await ensureCloud(paths.cloud, { boot: true });
  engine = await prepareEngine(paths, cloud, () => undefined, place.gateway);
  for (const args of [
    ['stack', 'init', stack],
    ['up', '--yes', '--skip-preview', '--stack', stack],
  ]) {
    const { code, stdout, stderr } = await pulumi(engine, args, { cwd: program });
    if (code !== 0) throw new Error(stdout + stderr);
  }
  const output = await pulumi(engine, ['stack', 'output', '--json', '--show-secrets', '--stack', stack], {
    cwd: program,
  });
  const outputs = JSON.parse(output.stdout) as { booted: Host[]; deployKeyPrivate: string };
  hosts = outputs.booted;
  ssh = new Ssh(place, folder, outputs.deployKeyPrivate);
}, 600_000);

afterAll(async () => {
  await stopCloud(paths.cloud);
  rmSync(join(program, `Pulumi.${stack}.yaml`), { force: true });
  rmSync(folder, { recursive: true, force: true });
  expect(leftovers(place)).toEqual([]);
}, 60_000);

const onHost = async (index: number, script: string): Promise<string> => {
  const { code, stdout, stderr } = await inside(place, idOf(index), script);
  expect(code, `${script}: ${stdout}${stderr}`).toBe(0);
  return stdout.trim();
};

/** Whether a TCP connection from one host to an address and port is taken. */
const reaches = async (index: number, address: string, port: number): Promise<boolean> =>
  (await inside(place, idOf(index), `timeout 2 bash -c '</dev/tcp/${address}/${port}'`)).code === 0;

async function scan(address: string, from: number, to: number, source?: string): Promise<number[]> {
  const script = join(__dirname, 'port-scan.ts');
  const command = [process.execPath, '--import', 'tsx', script, address, `${from}-${to}`];
  const { stdout, stderr } = await outside(place, [...command, ...(source ? [source] : [])]);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as number[];
}

test('the engine took both hosts from nothing to converged, over SSH', async () => {
  for (const host of hosts) {
    expect(host.log).toMatch(/wrote \/etc\/nftables\.conf/);
    expect(host.log.trim()).toMatch(/ready$/);
    expect(await progressOf(place, Number(host.id))).toEqual({ state: 'ready', says: 'active' });
  }
  expect(await onHost(0, 'cloud-init status; systemctl is-system-running')).toBe('status: done\nrunning');
  expect(JSON.parse(await onHost(0, 'cat /var/lib/platform/status.json'))).toMatchObject({
    state: 'converged',
    failures: [],
  });
});

test('SSH shows the pinned key, and no other is taken', async () => {
  const [first, second] = hosts as [Host, Host];
  const right = await ssh.run(first.address, first.hostKey, 'hostname');
  expect(right).toMatchObject({ code: 0, stdout: 'bridge-1-1\n' });
  const wrong = await ssh.run(first.address, second.hostKey, 'hostname');
  expect(wrong.code).toBe(255);
  expect(wrong.stderr).toMatch(/Host key verification failed/);
});

test('user data arrives as it was sent, and only root may ask the metadata service for it', async () => {
  const state = JSON.parse(readFileSync(join(paths.cloud, 'state.json'), 'utf8')) as {
    servers: { id: number; userData: string }[];
  };
  const { userData } = state.servers.find(({ id }) => id === idOf(0))!;
  const service = 'http://169.254.169.254/hetzner/v1';
  const { stdout } = await inside(place, idOf(0), `curl -sf ${service}/userdata`);
  expect(stdout).toBe(userData);
  expect(await onHost(0, `curl -sf ${service}/metadata/instance-id`)).toBe(hosts[0]!.id);
  expect(await onHost(0, `curl -sf ${service}/metadata`)).toMatch(/hostname: "bridge-1-1"/);
  const other = await inside(
    place,
    idOf(0),
    `setpriv --reuid=nobody --regid=nogroup --clear-groups curl -sS -m 5 ${service}/userdata`,
  );
  expect(other.code).toBe(7);
  expect(other.stdout).toBe('');
  expect(other.stderr).toMatch(/refused|Failed to connect/i);
  // Each host gets its own.
  expect(await onHost(1, `curl -sf ${service}/metadata/hostname`)).toBe('bridge-1-2');
});

test('from outside a scan finds what cloud and host both open, and nothing else', async () => {
  const [{ address }] = hosts as [Host];
  expect(await scan(address, 1, 10_100)).toEqual([22]);
  // Not an administrator's address.
  expect(await scan(address, 22, 22, '172.31.1.1')).toEqual([]);
});

test('the cloud firewall alone guards the public side, and leaves the private one alone', async () => {
  const [first, second] = hosts as [Host, Host];
  await onHost(0, 'nft flush ruleset');
  for (const port of [80, 7001, 8088]) {
    await onHost(0, `systemd-run --quiet --unit=listen-${port} python3 -m http.server --bind :: ${port}`);
  }
  await until(
    '8088 listens',
    () => inside(place, idOf(0), 'ss -Hltn "sport = :8088"'),
    ({ stdout }) => stdout !== '',
  );
  expect(await scan(first.address, 1, 10_100)).toEqual([22, 80, 7001]);
  // Between hosts the public side is guarded as well, the private one is not.
  expect(await reaches(1, first.address, 7001)).toBe(true);
  expect(await reaches(1, first.address, 8088)).toBe(false);
  expect(await reaches(1, '10.10.11.1', 8088)).toBe(true);
  // SSH comes from the administrators' network, or from within.
  expect(await reaches(1, first.address, 22)).toBe(false);
  // Nobody outside reaches a private address.
  expect(await scan('10.10.11.1', 8088, 8088)).toEqual([]);
  expect(await scan('10.10.11.2', 22, 22)).toEqual([]);

  const { firewalls } = await api<{ firewalls: { id: number; rules: object[] }[] }>('GET', '/v1/firewalls');
  const { id, rules } = firewalls[0]!;
  const opened = { direction: 'in', protocol: 'tcp', port: '8088', source_ips: [`${second.address}/32`] };
  const setRules = (list: object[]) => api('POST', `/v1/firewalls/${id}/actions/set_rules`, { rules: list });
  await setRules([...rules, opened]);
  await until('the new rule works', () => reaches(1, first.address, 8088), Boolean);
  expect(await scan(first.address, 8088, 8088)).toEqual([]);

  // With a rule for outgoing traffic all other is refused; what the service itself answers is not.
  const outgoing = { direction: 'out', protocol: 'tcp', port: '7001', destination_ips: ['0.0.0.0/0'] };
  await setRules([...rules, outgoing]);
  await until(
    'the rule for outgoing traffic works',
    () => reaches(1, first.address, 80),
    (open) => !open,
  );
  expect(await reaches(1, first.address, 7001)).toBe(true);
  expect(await reaches(1, '10.10.11.1', 80)).toBe(true);
  expect(await onHost(1, 'curl -sf http://169.254.169.254/hetzner/v1/metadata/hostname')).toBe('bridge-1-2');
  await setRules(rules);
});

test('IPv6 is public too, behind the same firewall', async () => {
  const { server } = await api<{ server: Server }>('GET', `/v1/servers/${hosts[0]!.id}`);
  const address = server.public_net.ipv6!.ip.replace('::/64', '::1');
  expect(await scan(address, 7000, 8100)).toEqual([7001]);
});

test('names of the zones resolve on hosts, and go with their records', async () => {
  await api('POST', '/v1/zones', { name: 'school.example', mode: 'primary' });
  const resolve = async () => (await inside(place, idOf(0), 'getent ahostsv4 meet.school.example')).stdout;
  expect(await resolve()).toBe('');
  await api('POST', '/v1/zones/school.example/rrsets', {
    name: 'meet',
    type: 'A',
    ttl: 60,
    records: [{ value: '198.18.0.77' }],
  });
  await until('the name resolves', resolve, (text) => text.startsWith('198.18.0.77'));
  await api('DELETE', '/v1/zones/school.example/rrsets/meet/A');
  await until('the name is gone', resolve, (text) => text === '');
});

test('power goes off and on, softly and hard; the disk stays', async () => {
  const [host] = hosts as [Host];
  const machineId = () => onHost(0, 'cat /etc/machine-id');
  await onHost(0, 'echo kept >/root/marker; sync');
  const before = await machineId();
  for (const off of ['shutdown', 'poweroff']) {
    await act(api, idOf(0), off);
    expect(firstProcess(place, idOf(0))).toBeUndefined();
    expect((await ssh.run(host.address, host.hostKey, 'true')).code).toBe(255);
    await act(api, idOf(0), 'poweron');
    await booted(place, idOf(0));
    expect((await ssh.run(host.address, host.hostKey, 'cat /root/marker')).stdout).toBe('kept\n');
    expect(await machineId()).toBe(before);
  }
});

test('a host that reboots itself comes back', async () => {
  const before = firstProcess(place, idOf(1));
  await onHost(1, 'systemctl reboot');
  await until(
    'another boot',
    () => Promise.resolve(firstProcess(place, idOf(1))),
    (pid) => pid !== undefined && pid !== before,
  );
  await booted(place, idOf(1));
  expect(await onHost(1, 'hostname -I')).toMatch(/10\.10\.11\.2/);
});

test('a rebuild keeps the addresses and begins with a fresh disk', async () => {
  const [host] = hosts as [Host];
  const machineId = await onHost(0, 'cat /etc/machine-id');
  const { server: before } = await api<{ server: Server }>('GET', `/v1/servers/${host.id}`);
  await act(api, idOf(0), 'rebuild', { image: 'debian-13' });
  await booted(place, idOf(0));
  const { server: after } = await api<{ server: Server }>('GET', `/v1/servers/${host.id}`);
  expect([after.public_net, after.private_net]).toEqual([before.public_net, before.private_net]);
  expect(await onHost(0, 'ls -A /root; cat /etc/platform/host.json')).not.toMatch(/marker/);
  expect(await onHost(0, 'cat /etc/machine-id')).not.toBe(machineId);
  // First boot again: the pinned key is there, the lock on the metadata service too.
  expect((await ssh.run(host.address, host.hostKey, 'hostname -I')).stdout).toMatch(/10\.10\.11\.1/);
  expect(await onHost(0, 'nft list table inet platform_metadata')).toMatch(/169\.254\.169\.254/);
});

test('a private network comes and goes while a host runs', async () => {
  const { networks } = await api<{ networks: { id: number }[] }>('GET', '/v1/networks');
  const network = networks[0]!.id;
  const addresses = () => onHost(1, 'hostname -I; ip -brief link');
  await act(api, idOf(1), 'detach_from_network', { network });
  expect(await addresses()).not.toMatch(/10\.10\.|enp7s0/);
  await act(api, idOf(1), 'attach_to_network', { network, ip: '10.10.11.9' });
  expect(await addresses()).toMatch(/10\.10\.11\.9[^]*enp7s0/);
  expect(await reaches(0, '10.10.11.9', 22)).toBe(true);
});

test('what is deleted leaves nothing', async () => {
  const namespace = `namespace ${machineNamespace(place, idOf(1))}`;
  expect(leftovers(place)).toContain(namespace);
  const { action } = await api<{ action: { id: number } }>('DELETE', `/v1/servers/${hosts[1]!.id}`);
  await until(
    'the deletion ends',
    () => api<{ action: { status: string } }>('GET', `/v1/actions/${action.id}`),
    (answer) => answer.action.status === 'success',
  );
  expect(leftovers(place)).not.toContain(namespace);
  expect(firstProcess(place, idOf(1))).toBeUndefined();
  expect(() => readFileSync(join(place.disks, hosts[1]!.id, 'disk.json'))).toThrow(/ENOENT/);
});
