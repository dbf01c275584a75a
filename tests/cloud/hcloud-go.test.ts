import { spawn, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { startedCloud, TOKEN } from './local-cloud';

/** Runs the Go tests of this folder: the official client through the life of every resource. */
test('the official client drives every resource', { timeout: 300_000 }, async (context) => {
  if (spawnSync('go', ['version']).error) {
    if (process.env.CI) throw new Error('go is not on PATH');
    context.skip('go is not on PATH');
  }
  const cloud = await startedCloud();
  const { code, output } = await new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    const go = spawn('go', ['test', '-count=1', './...'], {
      cwd: __dirname,
      env: {
        ...process.env,
        GOFLAGS: '-mod=readonly',
        HCLOUD_ENDPOINT: `${cloud.url}/v1`,
        HCLOUD_TOKEN: TOKEN,
      },
    });
    let output = '';
    go.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    go.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    go.on('error', reject);
    go.on('close', (code) => resolve({ code, output }));
  });
  expect(code, output).toBe(0);

  const kinds = [
    'servers',
    'volumes',
    'primary_ips',
    'networks',
    'firewalls',
    'placement_groups',
    'ssh_keys',
    'zones',
  ];
  for (const kind of kinds) {
    const { body } = await cloud.hetzner<Record<string, unknown[]>>('GET', `/${kind}`);
    expect(body[kind], `${kind} left behind`).toEqual([]);
  }
});
