import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { releaseStaleLock } from '../../local/command/engine';
import { projectRoot } from '../../local/command/paths';
import { startSchool, type School } from './school';

let school: School;
beforeAll(async () => {
  school = await startSchool({ recorderCount: 0 });
  const { code, stdout, stderr } = await school.up();
  expect(code, stdout + stderr).toBe(0);
}, 900_000);
afterEach(() => school?.clearFaults());
afterAll(() => school?.close());

/** What is at the cloud is what is in the state, once each. */
async function expectWhole(recorders: number): Promise<void> {
  expect(await school.plan('--refresh')).toEqual([]);
  const names = (await school.servers()).map(({ name }) => name).sort();
  expect(names).toEqual(
    ['jitsi-1', ...Array.from({ length: recorders }, (_, index) => `recorder-${index + 1}`)].sort(),
  );
  const state = JSON.parse(await school.state()) as {
    deployment: { resources: { type: string; id: string }[] };
  };
  const known = state.deployment.resources
    .filter(({ type }) => type === 'hcloud:index/server:Server')
    .map(({ id }) => id);
  expect(known.sort()).toEqual((await school.servers()).map(({ id }) => String(id)).sort());
}

async function nextUpCompletes(recorders: number): Promise<void> {
  await school.clearFaults();
  const { code, stdout, stderr } = await school.up();
  expect(code, stdout + stderr).toBe(0);
  await expectWhole(recorders);
}

describe('what the client waits out by itself', () => {
  const passing: [string, unknown][] = [
    [
      'a conflict',
      {
        on: { method: 'POST', path: '^/v1/servers$' },
        then: { error: { status: 409, code: 'conflict', message: 'conflict' } },
      },
    ],
    ['the rate limit', { on: { method: 'POST', path: '^/v1/servers$' }, then: { rateLimit: true } }],
    [
      'a bad gateway',
      {
        on: { method: 'GET', path: '^/v1/actions' },
        then: { error: { status: 502, code: 'unavailable', message: 'bad gateway' } },
      },
    ],
    ['a slow action', { on: { method: 'POST', path: '^/v1/servers$' }, then: { actionTakesMs: 3000 } }],
  ];
  let recorders = 0;
  test.each(passing)(
    '%s',
    async (_, fault) => {
      await school.fault(fault);
      recorders += 1;
      school.set({ recorderCount: recorders });
      const { code, stdout, stderr } = await school.up();
      expect(code, stdout + stderr).toBe(0);
      await expectWhole(recorders);
    },
    120_000,
  );
  afterAll(async () => {
    school.set({ recorderCount: 0 });
    await nextUpCompletes(0);
  }, 120_000);
});

describe('what ends an up, and the next one completes', () => {
  const ending: [string, unknown, RegExp][] = [
    [
      'out of stock',
      {
        on: { method: 'POST', path: '^/v1/servers$' },
        then: { error: { status: 412, code: 'resource_unavailable', message: 'no cpx32 left in fsn1' } },
        times: 1,
      },
      /no cpx32 left/,
    ],
    [
      "the account's limit",
      {
        on: { method: 'POST', path: '^/v1/servers$' },
        then: { error: { status: 403, code: 'resource_limit_exceeded', message: 'server limit exceeded' } },
        times: 1,
      },
      /limit exceeded/,
    ],
    [
      'an action that fails',
      {
        on: { method: 'POST', path: '^/v1/servers$' },
        then: { actionFails: { code: 'action_failed', message: 'the hypervisor refused' }, afterMs: 300 },
      },
      /hypervisor refused/,
    ],
    [
      'a remote command that fails',
      {
        onCommand: { server: 'recorder-1', command: 'platform-apply' },
        then: { exitCode: 1, stderr: 'prosody did not start' },
      },
      /prosody did not start/,
    ],
  ];
  test.each(ending)(
    '%s',
    async (_, fault, message) => {
      await school.fault(fault);
      school.set({ recorderCount: 1 });
      const failed = await school.up();
      expect(failed.code).not.toBe(0);
      expect(failed.stdout + failed.stderr).toMatch(message);
      await nextUpCompletes(1);
      school.set({ recorderCount: 0 });
      await nextUpCompletes(0);
    },
    180_000,
  );

  test('a lost answer: the name is taken, the message says by what, and after the orphan is deleted the up completes', async () => {
    await school.fault({ on: { method: 'POST', path: '^/v1/servers$' }, then: { loseAnswer: true } });
    school.set({ recorderCount: 1 });
    const first = await school.up();
    const second = first.code === 0 ? first : await school.up();
    expect(second.code).not.toBe(0);
    expect(second.stdout + second.stderr).toMatch(/uniqueness_error/);
    expect(second.stdout + second.stderr).toMatch(/recorder-1/);
    const orphan = (await school.servers()).find(({ name }) => name === 'recorder-1')!;
    await school.api('DELETE', `/servers/${orphan.id}`);
    await sleep(1000);
    await nextUpCompletes(1);
    school.set({ recorderCount: 0 });
    await nextUpCompletes(0);
  }, 180_000);

  const kills = process.env['TIER'] === 'rehearsal' ? 20 : 1;
  const killed =
    'an engine that is killed: its lock is released when its process is gone, and the next up completes';
  test.each(Array.from({ length: kills }, (_, index) => index + 1))(
    `${killed} (%d of ${kills})`,
    async (round) => {
      school.set({ recorderCount: 2 });
      const child = spawn(
        school.engine.cli.path,
        ['up', '--yes', '--skip-preview', '--non-interactive', '--stack', school.stack],
        {
          cwd: projectRoot,
          env: { ...process.env, ...school.engine.environment },
          stdio: 'ignore',
        },
      );
      const ended = new Promise((resolve) => child.on('close', resolve));
      while (!(await school.servers()).some(({ name }) => name.startsWith('recorder'))) {
        if (child.exitCode !== null) break;
        await sleep(20);
      }
      // From the first server on, at another moment each round.
      await sleep(((round - 1) * 150) % 1500);
      child.kill('SIGKILL');
      await ended;
      await sleep(2000);
      await releaseStaleLock(school.engine, school.paths, school.stack);
      const next = await school.up();
      if (next.code !== 0) {
        // A server whose answer the killed engine never stored: the case above.
        expect(next.stdout + next.stderr).toMatch(/uniqueness_error|pending operations/);
        const state = await school.state();
        for (const { id, name } of await school.servers()) {
          if (!state.includes(`"${id}"`)) {
            expect(name).toMatch(/^recorder-/);
            await school.api('DELETE', `/servers/${id}`);
          }
        }
        await sleep(1000);
      }
      await nextUpCompletes(2);
      school.set({ recorderCount: 0 });
      await nextUpCompletes(0);
    },
    300_000,
  );
});
