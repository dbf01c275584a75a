import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyOfCheckout } from './checkout-copy';

// A copy of the checkout, so that a local school of the developer's own is left alone.
let copy: string;
beforeAll(() => (copy = copyOfCheckout()));
afterAll(() => {
  if (existsSync(join(copy, '.local'))) local('down');
  rmSync(copy, { recursive: true, force: true });
});

interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}
const environment = {
  ...process.env,
  PULUMI_HOME: '/nonexistent',
  PULUMI_BACKEND_URL: 'file:///nonexistent',
};
const local = (...args: string[]): Ran =>
  spawnSync('npm', ['run', '-s', 'local', '--', ...args], { cwd: copy, encoding: 'utf8', env: environment });
const shell = (script: string): Ran =>
  spawnSync('bash', ['-c', `set -e; eval "$(npm run -s local -- env)"; ${script}`], {
    cwd: copy,
    encoding: 'utf8',
    env: environment,
  });

test('the first run carries the school through and says what there is', () => {
  const { status, stdout, stderr } = local('--no-machines');
  expect(status, stdout + stderr).toBe(0);
  expect(stderr).toMatch(/Hosts are declared, not booted: as asked for/);
  expect(stdout).toMatch(/resources changed/);
  for (const host of ['jitsi-1', 'recorder-1', 'recorder-2', 'recorder-3']) {
    expect(stdout).toMatch(
      new RegExp(`${host} +\\w+ +198\\.1[89]\\.\\d+\\.\\d+ +10\\.10\\.\\d+\\.\\d+ +\\w+`),
    );
  }
  expect(stdout).toMatch(/Domain +meet\.school\.example/);
  expect(stdout).toMatch(/JWT secret/);
  expect(stdout).toMatch(/Simulated here:\n +- Hetzner Cloud API/);
  expect(stdout + stderr).not.toMatch(/warning/i);
}, 900_000);

test('a second run changes nothing', () => {
  const { status, stdout, stderr } = local();
  expect(status, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/Nothing changed/);
}, 120_000);

test('status --json is what other programs read', () => {
  const { stdout } = local('status', '--json');
  const status = JSON.parse(stdout) as { hosts: unknown[] };
  expect(status).toMatchObject({ stack: 'local', domain: 'meet.school.example' });
  expect(Object.keys(status).sort()).toEqual(['domain', 'hosts', 'simulated', 'stack']);
  expect(status.hosts).toHaveLength(4);
  expect(Object.keys(status.hosts[0] as object).sort()).toEqual([
    'name',
    'privateAddress',
    'publicAddress',
    'role',
    'says',
    'state',
  ]);
  expect(status.hosts[0]).toMatchObject({ name: 'jitsi-1', role: 'jitsi', privateAddress: '10.10.1.1' });
}, 60_000);

test('any pulumi command works in the printed environment', () => {
  const { status, stdout, stderr } = shell(
    'pulumi config set recorderCount 4 && pulumi preview --diff && pulumi stack ls',
  );
  expect(status, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/recorder-4/);
  expect(stdout).toMatch(/local\*/);
}, 60_000);

test('a loopback endpoint left in the environment is refused for any other stack', () => {
  const { status, stdout, stderr } = shell(
    'pulumi stack init prod --no-select >/dev/null; pulumi preview --stack prod',
  );
  expect(status).not.toBe(0);
  expect(stdout + stderr).toMatch(/HCLOUD_ENDPOINT: "http:\/\/127\.0\.0\.1/);
  expect(stdout + stderr).toMatch(/unset HCLOUD_ENDPOINT/);
  // All problems at once: the example's secrets are missing as well, and nothing has been declared.
  expect(stdout + stderr).toMatch(/storeSecretAccessKey: expected a value/);
  expect(stdout + stderr).not.toMatch(/lessons:index|hcloud:index/);
}, 60_000);

test('pulumi destroy takes the platform through its own ways down', () => {
  const { status, stdout, stderr } = shell('pulumi destroy --yes && npm run -s local -- status');
  expect(status, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/recorders-roster deleted/);
  expect(stdout).toMatch(/no hosts/);
}, 120_000);

test('an unknown command is refused with the help', () => {
  const { status, stderr } = local('upp');
  expect(status).toBe(2);
  expect(stderr).toMatch(/unknown command upp[\s\S]*usage: npm run local/);
}, 60_000);

test('down leaves nothing', async () => {
  const { url } = JSON.parse(readFileSync(join(copy, '.local', 'cloud', 'endpoint.json'), 'utf8')) as {
    url: string;
  };
  const { status, stdout, stderr } = local('down');
  expect(status, stdout + stderr).toBe(0);
  expect(existsSync(join(copy, '.local'))).toBe(false);
  expect(existsSync(join(copy, 'Pulumi.local.yaml'))).toBe(false);
  await expect(fetch(`${url}/local/status`)).rejects.toThrow();
  expect(existsSync('/nonexistent')).toBe(false);
  const after = local('status');
  expect([after.status, after.stderr]).toEqual([1, 'There is no local school; npm run local makes one.\n']);
  expect(existsSync(join(copy, '.local'))).toBe(false);
}, 120_000);
