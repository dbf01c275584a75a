import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../../../local/command/paths';
import { inNamespace } from '../../../local/machines/place';
import type { Ran } from '../booted-cloud';
import { Lesson } from '../lesson';
import type { Booted } from './booted';

interface ServerView {
  labels: Record<string, string>;
  protection: object;
  public_net: object;
  private_net: object;
}

/** `npm run rebuild`, where the hosts are reached. */
export function rebuildSuite(booted: Booted): void {
  /** @param killAt text of its output at which it is killed */
  const rebuild = (args: string[], killAt?: string): Promise<Ran> => {
    const { school, jitsi } = booted;
    const loader = join(projectRoot, 'node_modules/tsx/dist/loader.mjs');
    const program = [process.execPath, '--import', loader, join(projectRoot, 'operations/rebuild.ts')];
    const [command, ...all] = inNamespace(jitsi.place.gateway, [
      ...program,
      ...args,
      '--stack',
      school.stack,
    ]);
    const child = spawn(command!, all, {
      env: { ...process.env, ...school.engine.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const result = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        result[stream] += text;
        if (killAt !== undefined && result.stdout.includes(killAt)) child.kill('SIGKILL');
      });
    }
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? -1, ...result }));
    });
  };
  const server = async (id: number): Promise<ServerView> =>
    ((await booted.school.api('GET', `/servers/${id}`)) as { server: ServerView }).server;

  test('a Jitsi host with a lesson is not rebuilt, and the lesson is named', async () => {
    const { school, jitsi } = booted;
    const lesson = await Lesson.begin(school, jitsi, 'algebra', true);
    const { code, stderr } = await rebuild(['jitsi-1', '--wait', '0']);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /lessons still run on jitsi-1 after 0 min: algebra; nothing was changed/,
      ) as string,
    });
    expect(await lesson.isAlive()).toBe(true);
    await lesson.end();
    for (const [args, said] of [
      [
        ['jitsi-1', '--force', 'jitsi-2'],
        /--force jitsi-2: to lose what jitsi-1 carries, name it: --force jitsi-1/,
      ],
      [['jitsi-1', '--wait', 'long'], /--wait long: expected minutes, 0 or more, e.g. 120/],
      [['recorder-99'], /the stack has no host recorder-99; there are jitsi-1, bridge-1-1/],
    ] as const) {
      expect((await rebuild([...args])).stderr).toMatch(said);
    }
  }, 120_000);

  test('an empty one is: a fresh disk, with addresses, SSH key, certificates and protection as before', async () => {
    const { school, jitsi, domain } = booted;
    const live = `/etc/letsencrypt/live/${domain}`;
    await jitsi.run(`
      mkdir -p ${live}
      cp /etc/platform/secrets/fallback-certificate ${live}/fullchain.pem
      cp /etc/platform/secrets/fallback-key ${live}/privkey.pem`);
    const before = await server(jitsi.id);
    const machine = await jitsi.run('cat /etc/machine-id');
    const rebuilt = await rebuild(['jitsi-1']);
    expect({ code: rebuilt.code, stderr: rebuilt.stderr }, rebuilt.stdout).toEqual({ code: 0, stderr: '' });
    expect(await jitsi.run('cat /etc/machine-id')).not.toBe(machine);
    const after = await server(jitsi.id);
    for (const kept of ['public_net', 'private_net', 'protection'] as const)
      expect(after[kept]).toEqual(before[kept]);
    expect(after.protection).toEqual({ delete: true, rebuild: true });
    expect(await jitsi.run('platform-ready')).toMatch(/lessons can be joined$/);
    expect(await jitsi.run('platform-certificate status')).toMatch(/^authority until/);
    // Its disk held them for the bridges.
    expect((await jitsi.run('ls /var/lib/platform/plans')).split('\n').length).toBeGreaterThan(1);
    const preview = await school.run('preview', '--expect-no-changes', '--stack', school.stack);
    expect(preview.code, preview.stdout).toBe(0);
    const lesson = await Lesson.begin(school, jitsi, 'algebra', true);
    await lesson.end();
  }, 300_000);

  if (process.env['TIER'] !== 'rehearsal') return;

  test('one that was broken off goes on when it is run again, and is pending no longer', async () => {
    const { school, bridge } = booted;
    const before = await server(bridge.id);
    await school.api('PUT', `/servers/${bridge.id}`, {
      labels: { ...before.labels, 'boot-generation': '000000000000' },
    });
    expect((await school.up('--refresh')).code).toBe(0);
    expect((await school.outputs())['pendingRebuilds']).toMatchObject([
      { host: 'bridge-1-1', bootedWith: '000000000000' },
    ]);
    const killed = await rebuild(['bridge-1-1'], 'waiting for its first boot');
    expect(killed.stdout).toMatch(/bridge-1-1: drained[^]*rebuilding bridge-1-1 with debian-13/);
    const again = await rebuild(['bridge-1-1']);
    expect({ code: again.code, stderr: again.stderr }, again.stdout).toEqual({ code: 0, stderr: '' });
    expect(again.stdout).toMatch(/bridge-1-1 has a fresh disk already: going on/);
    expect(await bridge.run('platform-ready; test ! -e /root/marker')).toMatch(/\w/);
    expect((await school.outputs())['pendingRebuilds']).toEqual([]);
  }, 300_000);
}
