import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nameOf, startSchool, stepList, type RecordedCommand, type School } from './school';

// One school lives through its days in order: each test goes on from where the one before left it.
let school: School;
beforeAll(async () => {
  school = await startSchool();
}, 600_000);
afterAll(() => school?.close());

const names = (commands: RecordedCommand[]): string[] =>
  commands.map(({ command, phase }) => `${phase} ${command}`);
const since = async (mark: number): Promise<RecordedCommand[]> =>
  (await school.commands()).filter(({ n }) => n > mark);
const mark = async (): Promise<number> => (await school.commands()).at(-1)?.n ?? 0;
const ids = async (): Promise<Record<string, number>> =>
  Object.fromEntries((await school.servers()).map(({ name, id }) => [name, id]));
const succeeded = async (run: ReturnType<School['up']>): Promise<void> => {
  const { code, stdout, stderr } = await run;
  expect(code, `${stdout}\n${stderr}`).toBe(0);
};

test('the first up creates network, DNS, host and converge in that order', async () => {
  await succeeded(school.up());
  expect((await school.servers()).map(({ name, status }) => `${name} ${status}`).sort()).toEqual([
    'jitsi-1 running',
    'recorder-1 running',
    'recorder-2 running',
    'recorder-3 running',
  ]);
  const creates = (await school.requests()).filter(({ method }) => method === 'POST').map(({ path }) => path);
  const at = (path: RegExp): number => creates.findIndex((one) => path.test(one));
  expect(at(/^\/v1\/networks$/)).toBeLessThan(at(/^\/v1\/servers$/));
  expect(at(/\/rrsets$/)).toBeGreaterThan(-1);
  expect(at(/\/rrsets$/)).toBeLessThan(at(/^\/v1\/servers$/));
  const commands = names(await school.commands());
  expect(commands[0]).toBe('create platform-secrets');
  expect(commands[1]).toBe('create platform-apply');
}, 120_000);

test('a second up changes nothing', async () => {
  expect(await school.plan()).toEqual([]);
  const before = (await school.requests()).length;
  await succeeded(school.up('--expect-no-changes'));
  expect((await school.requests()).slice(before).filter(({ method }) => method !== 'GET')).toEqual([]);
}, 60_000);

test('no secret stands in plain text in state, backend files or command log', async () => {
  const outputs = await school.outputs(true);
  const secrets = [
    outputs['jwtSecret'],
    outputs['webhookSecret'],
    outputs['recordingStoreSecretAccessKey'],
    outputs['recordingStoreAccessKeyId'],
  ] as string[];
  for (const secret of secrets) expect(secret.length).toBeGreaterThan(20);
  const exported = await school.state();
  const shown = JSON.stringify(await school.outputs());
  const preview = await school.run('preview', '--diff', '--refresh', '--stack', school.stack);
  const commands = JSON.stringify(await school.commands());
  for (const secret of [...secrets, 'PRIVATE KEY']) {
    for (const [place, text] of Object.entries({ exported, shown, preview: preview.stdout, commands })) {
      expect(text.includes(secret), `a secret in ${place}`).toBe(false);
    }
  }
}, 60_000);

test("a changed host file is an update of that host's converge alone, with a readable diff", async () => {
  school.set({ letsEncryptEmail: 'office@school.example' });
  const steps = await school.plan();
  expect(stepList(steps)).toEqual(['update jitsi-1-converge']);
  const { stdout } = await school.run('preview', '--diff', '--stack', school.stack);
  expect(stdout).toMatch(/-.*it@school\.example/);
  expect(stdout).toMatch(/\+.*office@school\.example/);
  await succeeded(school.up());
}, 90_000);

test('a changed file of the recorders is readable once and updates each converge', async () => {
  school.set({ recorderDrainWait: 120 });
  const steps = stepList(await school.plan());
  expect(steps).toContain('update recorders-roster');
  expect(steps.filter((step) => !step.startsWith('update '))).toEqual([]);
  await succeeded(school.up());
}, 90_000);

test('a new image replaces nothing and shows what is pending', async () => {
  const before = await ids();
  school.set({ hostImage: 'debian-12' });
  const steps = await school.plan();
  expect(steps.filter(({ op }) => op !== 'update').map(({ op, urn }) => `${op} ${nameOf(urn)}`)).toEqual([]);
  await succeeded(school.up());
  expect(await ids()).toEqual(before);
  const pending = (await school.outputs())['pendingRebuilds'] as {
    host: string;
    bootedWith: string;
    current: string;
  }[];
  expect(pending.map(({ host }) => host)).toEqual(['jitsi-1', 'recorder-1', 'recorder-2', 'recorder-3']);
  expect(pending[0]!.bootedWith).not.toBe(pending[0]!.current);
  school.set({ hostImage: 'debian-13' });
  await succeeded(school.up());
  expect((await school.outputs())['pendingRebuilds']).toEqual([]);
}, 120_000);

test('new SSH keys of admins reach living hosts by converge and replace nothing', async () => {
  const key = readFileSync(`${__dirname}/../../local/example.yaml`, 'utf8').match(/ssh-ed25519 \S+/)![0];
  school.set({ adminSshKeys: [`${key} anna@school`, `${key.slice(0, -4)}AAAA boris@school`] });
  const before = await ids();
  const steps = stepList(await school.plan());
  expect(steps.filter((step) => /replace|delete/.test(step))).toEqual([]);
  expect(steps).toContain('create ssh-access-admin-2');
  expect(steps).toContain('update jitsi-1-converge');
  await succeeded(school.up());
  expect(await ids()).toEqual(before);
}, 90_000);

test('recorders 3 → 5 creates two and touches no other host', async () => {
  school.set({ recorderCount: 5 });
  const steps = stepList(await school.plan());
  const perRecorder = (name: string): string[] =>
    [name, name, `${name}-power-on`, `${name}-converge`, `${name}-drain`].map((one) => `create ${one}`);
  expect([...steps].sort()).toEqual(
    [...perRecorder('recorder-4'), ...perRecorder('recorder-5'), 'update recorders-roster'].sort(),
  );
  const before = await ids();
  await succeeded(school.up());
  expect(await ids()).toMatchObject(before);
  expect(Object.keys(await ids())).toHaveLength(6);
}, 90_000);

describe('recorders 5 → 3', () => {
  test('a wait that runs out fails with its reason and deletes nothing', async () => {
    const before = await ids();
    const start = await mark();
    const reason = 'recorder-5 still records lesson algebra-7 since 09:00:00Z; waited 120 minutes';
    await school.fault({
      onCommand: { phase: 'delete', command: 'platform-drain recorder-5' },
      then: { exitCode: 75, stderr: reason },
      times: 1,
    });
    school.set({ recorderCount: 3 });
    const { code, stdout, stderr } = await school.up();
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain(reason);
    expect(await ids()).toEqual(before);
    // Both leavers stopped taking lessons before either was waited for.
    const ran = await since(start);
    expect(names(ran)[0]).toBe('update platform-roster');
    expect(JSON.parse(ran[0]!.stdin!)).toMatchObject({ stay: ['recorder-1', 'recorder-2', 'recorder-3'] });
    const drains = ran.filter(({ phase }) => phase === 'delete');
    expect(drains.map(({ command }) => command).sort()).toEqual([
      `platform-drain recorder-4 ${before['recorder-4']}`,
      `platform-drain recorder-5 ${before['recorder-5']}`,
    ]);
    for (const drain of drains) {
      expect(drain.server).toBe('jitsi-1');
      expect(drain.startedAt >= ran[0]!.endedAt, 'drain after roster').toBe(true);
    }
  }, 90_000);

  test('the next up drains again only what is left, and finishes', async () => {
    const start = await mark();
    await succeeded(school.up());
    const drains = (await since(start)).filter(({ phase }) => phase === 'delete');
    expect(drains.map(({ command }) => command.split(' ')[1])).toEqual(['recorder-5']);
    expect(Object.keys(await ids()).sort()).toEqual(['jitsi-1', 'recorder-1', 'recorder-2', 'recorder-3']);
    expect(await school.plan()).toEqual([]);
  }, 90_000);
});

test('a dead recorder named as lost goes in one up: the roster says so before its drain asks', async () => {
  const start = await mark();
  const before = await ids();
  school.set({ recordersLost: ['recorder-2'] });
  await succeeded(school.up());
  const ran = await since(start);
  const roster = ran.find(({ command }) => command === 'platform-roster')!;
  expect(JSON.parse(roster.stdin!)).toMatchObject({
    stay: ['recorder-1', 'recorder-3', 'recorder-4'],
    lost: ['recorder-2'],
  });
  const drain = ran.find(({ phase }) => phase === 'delete')!;
  expect(drain.command).toBe(`platform-drain recorder-2 ${before['recorder-2']}`);
  expect(drain.server).toBe('jitsi-1');
  expect(drain.startedAt >= roster.endedAt).toBe(true);
  expect(Object.keys(await ids()).sort()).toEqual(['jitsi-1', 'recorder-1', 'recorder-3', 'recorder-4']);
}, 90_000);

test('a changed recorder type rolls: drained first, one away at a time', async () => {
  const before = await ids();
  const start = await mark();
  school.set({ recorderServerType: 'cpx42' });
  const steps = await school.plan();
  const replaced = steps.filter(({ op, urn }) => op === 'replace' && urn.includes('Server::'));
  expect(replaced.map(({ urn }) => nameOf(urn)).sort()).toEqual(['recorder-1', 'recorder-3', 'recorder-4']);
  await succeeded(school.up());
  const after = await ids();
  expect(after['jitsi-1']).toBe(before['jitsi-1']);
  const ran = await since(start);
  const order = ran
    .filter(
      ({ phase, command, server }) =>
        phase === 'delete' || (server?.startsWith('recorder') && command.includes('platform-apply')),
    )
    .map(({ phase, command, server }) =>
      phase === 'delete' ? `drain ${command.split(' ')[1]}` : `back ${server}`,
    );
  expect(order).toEqual([
    'drain recorder-1',
    'back recorder-1',
    'drain recorder-3',
    'back recorder-3',
    'drain recorder-4',
    'back recorder-4',
  ]);
  for (const name of ['recorder-1', 'recorder-3', 'recorder-4']) {
    expect(
      ran.some(({ command }) => command === `platform-drain ${name} ${before[name]}`),
      name,
    ).toBe(true);
    expect(after[name]).not.toBe(before[name]);
  }
  expect(await school.plan()).toEqual([]);
}, 120_000);

test('a changed type of the Jitsi host is an update, and the host comes back by itself', async () => {
  const before = await ids();
  const lastRequest = (await school.requests()).at(-1)!.n;
  school.set({ jitsiServerType: 'cpx42' });
  const steps = stepList(await school.plan());
  expect(steps).toEqual(['update jitsi-1', 'update jitsi-1-power-on']);
  await succeeded(school.up());
  expect((await ids())['jitsi-1']).toBe(before['jitsi-1']);
  const jitsi = (await school.servers()).find(({ name }) => name === 'jitsi-1')!;
  expect(jitsi.server_type.name).toBe('cpx42');
  expect(jitsi.status).toBe('running');
  const actions = (await school.requests())
    .filter(({ n, method, path }) => n > lastRequest && method === 'POST' && path.includes('/actions/'))
    .map(({ path }) => path.split('/').pop());
  expect(actions).toEqual(['poweroff', 'change_type', 'poweron']);
}, 90_000);

test('rotating the JWT secret updates the secrets of the Jitsi host alone', async () => {
  const before = await ids();
  const old = (await school.outputs(true))['jwtSecret'];
  school.set({ jwtSecretRotation: 1 });
  expect(stepList(await school.plan()).sort()).toEqual([
    'create token-auth-jwt-secret-1',
    'update jitsi-1-secrets',
  ]);
  await succeeded(school.up());
  expect(await ids()).toEqual(before);
  expect((await school.outputs(true))['jwtSecret']).not.toBe(old);
}, 90_000);

test('rotating the deploy key together with a scale-in does not lock the drain out', async () => {
  const start = await mark();
  school.set({ deployKeyRotation: 1, recorderCount: 2 });
  const steps = stepList(await school.plan());
  expect(steps).not.toContain('delete ssh-access-deploy-key-0');
  expect(steps).toContain('create ssh-access-deploy-key-2');
  expect(steps.filter((step) => /^(replace|create-replacement)/.test(step))).toEqual([]);
  await succeeded(school.up());
  const drains = (await since(start)).filter(({ phase }) => phase === 'delete');
  expect(drains.map(({ command }) => command.split(' ')[1])).toEqual(['recorder-4']);
  school.set({ deployKeyRotation: 2 });
  expect(stepList(await school.plan())).toContain('delete ssh-access-deploy-key-0');
  await succeeded(school.up());
}, 120_000);

test('a host deleted behind the engine is found by refresh and made again; the old drain meets an id that is not the new one', async () => {
  const before = await ids();
  await school.api('DELETE', `/servers/${before['recorder-3']}`);
  const start = await mark();
  await succeeded(school.up('--refresh'));
  const after = await ids();
  expect(after['recorder-3']).toBeDefined();
  expect(after['recorder-3']).not.toBe(before['recorder-3']);
  const drains = (await since(start)).filter(({ phase }) => phase === 'delete');
  for (const { command, server } of drains) {
    expect(server).toBe('jitsi-1');
    expect(command).toBe(`platform-drain recorder-3 ${before['recorder-3']}`);
  }
  expect(await school.plan()).toEqual([]);
}, 90_000);

test('a rule and a label changed behind the engine are mended', async () => {
  const { firewalls } = (await school.api('GET', '/firewalls')) as {
    firewalls: { id: number; name: string; rules: object[] }[];
  };
  const recorder = firewalls.find(({ name }) => name.endsWith('-recorder'))!;
  await school.api('POST', `/firewalls/${recorder.id}/actions/set_rules`, {
    rules: [{ direction: 'in', protocol: 'tcp', port: '23', source_ips: ['0.0.0.0/0'] }],
  });
  const jitsi = (await school.servers()).find(({ name }) => name === 'jitsi-1')!;
  await school.api('PUT', `/servers/${jitsi.id}`, { labels: { ...jitsi.labels, role: 'nothing' } });
  const { code } = await school.run('refresh', '--yes', '--stack', school.stack);
  expect(code).toBe(0);
  expect(stepList(await school.plan()).sort()).toEqual([
    'update jitsi-1',
    'update network-firewall-recorder',
  ]);
  await succeeded(school.up());
  const mended = (await school.api('GET', `/firewalls/${recorder.id}`)) as {
    firewall: { rules: { port: string }[] };
  };
  expect(mended.firewall.rules.map(({ port }) => port)).toEqual(['22']);
}, 90_000);

test('destroy goes the other way: drains, hosts, DNS and network last', async () => {
  const requests = (await school.requests()).at(-1)!.n;
  const start = await mark();
  const { code, stdout, stderr } = await school.run('destroy', '--yes', '--stack', school.stack);
  expect(code, stdout + stderr).toBe(0);
  expect((await since(start)).map(({ command }) => command.split(' ').slice(0, 2).join(' ')).sort()).toEqual([
    'platform-drain recorder-1',
    'platform-drain recorder-3',
  ]);
  const deletes = (await school.requests())
    .filter(({ n, method }) => n > requests && method === 'DELETE')
    .map(({ path }) => path);
  const firstOf = (path: RegExp): number => deletes.findIndex((one) => path.test(one));
  expect(firstOf(/\/servers\//)).toBeLessThan(firstOf(/\/rrsets\//));
  expect(firstOf(/\/servers\//)).toBeLessThan(firstOf(/\/networks\//));
  for (const kind of ['servers', 'networks', 'firewalls', 'primary_ips', 'ssh_keys', 'placement_groups']) {
    const left = (await school.api('GET', `/${kind}`)) as Record<string, unknown[]>;
    expect(left[kind], kind).toEqual([]);
  }
}, 120_000);
