import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jitsiHostPlan, recorderHostPlan } from '../../cloud-init/roles';
import { freePort } from './prosody-host';
import { RenderedRole, run, type Ended } from './rendered-role';
import { jitsiValues, recorderValues } from './role-values';

/** Jibri's two HTTP interfaces of one instance, with the answers that a test wants. */
class FakeJibri {
  busy = 'IDLE';
  healthy = 'HEALTHY';
  told: string[] = [];
  readonly #servers: Server[] = [];

  async start(external: number, internal: number): Promise<void> {
    for (const port of [external, internal]) {
      const server = createServer((request, response) => {
        this.told.push(`${request.method} ${request.url}`);
        const health = {
          status: { busyStatus: this.busy, health: { healthStatus: this.healthy, details: {} } },
        };
        response.end(JSON.stringify(health));
        if (request.url?.endsWith('gracefulShutdown') && this.busy === 'IDLE') this.stop();
      });
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      this.#servers.push(server);
    }
  }

  stop(): void {
    for (const server of this.#servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  }
}

/** A recorder host with its real status service, and the Jitsi host that asks it, both in scratch folders. */
class Pool {
  readonly recorder = new RenderedRole(recorderHostPlan(recorderValues));
  readonly jitsi = new RenderedRole(jitsiHostPlan(jitsiValues));
  readonly jibris = [new FakeJibri(), new FakeJibri()];
  #env: Record<string, string> = {};
  #service: ChildProcess | undefined;

  async start(): Promise<void> {
    const { recorder, jitsi } = this;
    const library = recorder.path('/usr/local/lib/platform');
    const external = [await freePort(), await freePort()];
    const internal = [await freePort(), await freePort()];
    const table = (ports: number[]) => `return ${JSON.stringify(ports)}[int(name) - 1]`;
    recorder.adapt('/usr/local/lib/platform/instances.py', [
      ['return 2222 + int(name) - 1', table(external)],
      ['return 3333 + int(name) - 1', table(internal)],
    ]);
    const own = recorder.path('/usr/local/sbin/platform-recorder');
    recorder.adapt('/usr/local/sbin/platform-recorder-status', [
      ['"/usr/local/sbin/platform-recorder"', `"${own}"`],
    ]);
    jitsi.adapt('/usr/local/sbin/platform-drain', [['POLL_SECONDS = 10', 'POLL_SECONDS = 0.05']]);
    for (const name of ['1', '2']) {
      for (const folder of ['recordings', 'queue'])
        mkdirSync(recorder.path(`/var/lib/jibri/${name}/${folder}`), { recursive: true });
    }
    recorder.write('/bin/systemctl', `#!/bin/sh\necho "$@" >>${recorder.path('/calls')}\n`, 0o755);
    const port = await freePort();
    this.#env = {
      PLATFORM_STATUS_ADDRESS: '127.0.0.1',
      PLATFORM_STATUS_OF_ALL: '127.0.0.1',
      PLATFORM_STATUS_PORT: String(port),
      PLATFORM_SERVER_ID: '4711',
    };
    await Promise.all(this.jibris.map((jibri, index) => jibri.start(external[index]!, internal[index]!)));
    this.#service = spawn('python3', [recorder.path('/usr/local/sbin/platform-recorder-status')], {
      env: { ...process.env, ...this.#recorderEnv(library) },
      stdio: 'inherit',
    });
    await expect
      .poll(
        () =>
          fetch(`http://127.0.0.1:${port}/status`).then(
            (a) => a.status,
            () => 0,
          ),
        patient,
      )
      .toBe(200);
  }

  #recorderEnv(library = this.recorder.path('/usr/local/lib/platform')): Record<string, string> {
    return {
      ...this.#env,
      PATH: `${this.recorder.path('/bin')}:${process.env.PATH}`,
      PLATFORM_ROOT: this.recorder.root,
      PYTHONPATH: library,
      PYTHONDONTWRITEBYTECODE: '1',
    };
  }

  get status(): Promise<Record<string, unknown>> {
    return fetch(`http://127.0.0.1:${this.#env.PLATFORM_STATUS_PORT}/status`).then(
      (answer) => answer.json() as Promise<Record<string, unknown>>,
    );
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.#env.PLATFORM_STATUS_PORT}/metrics`)).text();
  }

  onRecorder(name: string, ...args: string[]): Promise<Ended> {
    return this.#run(this.recorder.path(`/usr/local/sbin/${name}`), args, this.#recorderEnv());
  }

  onJitsi(name: string, args: string[], input = ''): Promise<Ended> {
    return this.#run(
      this.jitsi.path(`/usr/local/sbin/${name}`),
      args,
      {
        ...this.#env,
        PLATFORM_ROOT: this.jitsi.root,
        PYTHONPATH: this.jitsi.path('/usr/local/lib/platform'),
        PYTHONDONTWRITEBYTECODE: '1',
      },
      input,
    );
  }

  /** Not spawnSync: the stand-ins for Jibri answer from this process. */
  async #run(command: string, args: string[], env: Record<string, string>, input = ''): Promise<Ended> {
    const child = spawn('python3', [command, ...args], { env: { ...process.env, ...env } });
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (output += data.toString()));
    child.stdin.end(input);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  }

  roster(stay: string[], lost: string[] = [], waitMinutes = 0): Promise<Ended> {
    return this.onJitsi('platform-roster', [], JSON.stringify({ stay, lost, waitMinutes }));
  }

  record(instance: string, folder: string, room: string): void {
    this.recorder.write(
      `/var/lib/jibri/${instance}/recordings/${folder}/${room}_2026-11-24-10-00-00.mp4`,
      'picture',
    );
  }

  /** As Jibri does it at the end of a recording. */
  finish(instance: string, folder: string): Ended {
    return run(
      this.recorder.path('/usr/local/lib/platform/recording-finished'),
      [this.recorder.path(`/var/lib/jibri/${instance}/recordings/${folder}`)],
      {
        env: { HOME: this.recorder.path(`/var/lib/jibri/${instance}`) },
      },
    );
  }

  async stop(): Promise<void> {
    this.jibris.forEach((jibri) => jibri.stop());
    // One that ended by itself, since another program took its port, would be waited for without end.
    if (this.#service?.exitCode === null && this.#service.kill()) await once(this.#service, 'exit');
    this.recorder.remove();
    this.jitsi.remove();
  }
}

/** Beside whatever else the machine does. */
const patient = { timeout: 20_000 };

let pool: Pool;
beforeEach(async () => {
  pool = new Pool();
  await pool.start();
});
afterEach(() => pool.stop());

const recorder7 = 'recorder-7';

describe('a recorder’s state', () => {
  it('names each instance with its lesson and since when', async () => {
    pool.jibris[1]!.busy = 'BUSY';
    pool.record('2', 'session-b', 'algebra-7');
    expect(await pool.status).toMatchObject({
      serverId: '4711',
      draining: false,
      uploads: 0,
      instances: [
        { name: '1', state: 'idle', lesson: null, since: null },
        {
          name: '2',
          state: 'busy',
          lesson: 'algebra-7',
          since: expect.stringMatching(/^\d{4}-.*Z$/) as string,
        },
      ],
    });
    expect((await pool.onRecorder('platform-lessons')).output).toBe('1\n');
  });

  it('tells unhealthy from stopped', async () => {
    pool.jibris[0]!.healthy = 'UNHEALTHY';
    pool.jibris[1]!.stop();
    expect(await pool.status).toMatchObject({ instances: [{ state: 'unhealthy' }, { state: 'stopped' }] });
    expect(await pool.onRecorder('platform-ready')).toMatchObject({
      code: 1,
      output: expect.stringContaining('instance 1 is unhealthy') as string,
    });
  });
});

describe('a recorder’s metrics', () => {
  it('say what each instance does, since when, and what waits for the store', async () => {
    pool.jibris[1]!.busy = 'BUSY';
    pool.record('1', 'session-a', 'algebra-7');
    pool.finish('1', 'session-a');
    pool.record('2', 'session-b', 'physics "8"');
    const text = await pool.metrics();
    expect(text).toContain('recorder_instance_state{instance="1",state="idle"} 1\n');
    expect(text).toContain('recorder_instance_state{instance="2",state="busy"} 1\n');
    const since = /recorder_instance_busy_since_seconds\{instance="2",room="physics \\"8\\""\} (\d+)\n/.exec(
      text,
    );
    expect(Math.abs(Number(since?.[1]) - Date.now() / 1000)).toBeLessThan(60);
    expect(text).toContain('\nrecorder_uploads_waiting 1\n');
    expect(text).toMatch(/\nrecorder_uploads_oldest_seconds \d+\n/);
    expect(text).toContain('\nrecorder_quarantined 0\n');
    expect(text).toMatch(/\nrecorder_disk_free_bytes \d+\n/);
  });
});

describe('platform-roster', () => {
  it.each([
    ['not JSON', /not JSON/],
    ['[]', /expected an object/],
    ['{"stay":["jitsi-1"],"lost":[],"waitMinutes":1}', /"jitsi-1" is not the name of a recorder/],
    ['{"stay":[],"lost":["recorder-1"],"waitMinutes":-1}', /"waitMinutes" must be a number/],
    ['{"stay":{},"lost":[],"waitMinutes":1}', /"stay" must be a list/],
    ['{"stay":["recorder-1"],"lost":["recorder-1"],"waitMinutes":1}', /cannot both stay and be lost/],
  ])('refuses %s', async (text, reason) => {
    const { code, output } = await pool.onJitsi('platform-roster', [], text);
    expect(code).toBe(2);
    expect(output).toMatch(reason);
    expect(pool.jitsi.exists('/var/lib/platform/roster.json')).toBe(false);
  });

  it('tells at once who leaves, and takes it back when the recorder stays after all', async () => {
    expect((await pool.roster([recorder7])).output).toContain('1 stay, 0 leave, 0 lost');
    expect(await pool.status).toMatchObject({ draining: false });
    pool.jibris[0]!.busy = 'BUSY';
    expect((await pool.roster([])).output).toContain('0 stay, 1 leave, 0 lost');
    expect(await pool.status).toMatchObject({ draining: true });
    expect(
      pool.jibris.map((each) => each.told.filter((line) => line.includes('gracefulShutdown')).length),
    ).toEqual([1, 1]);
    // Delivered again, e.g. after a failed drain: still leaving.
    expect((await pool.roster([])).output).toContain('1 leave');
    await pool.roster([recorder7]);
    expect(await pool.status).toMatchObject({ draining: false });
    expect(pool.recorder.read('/calls')).toContain(
      '--no-block start platform-jibri@1.service platform-jibri@2.service',
    );
  });
});

describe('platform-drain', () => {
  it('without a roster fails', async () => {
    expect(await pool.onJitsi('platform-drain', ['recorder-7', '4711'])).toMatchObject({ code: 6 });
  });

  it('does nothing for a recorder that is called lost', async () => {
    await pool.roster([], ['recorder-7']);
    const { code, output } = await pool.onJitsi('platform-drain', ['recorder-7', '4711']);
    expect(code).toBe(0);
    expect(output).toContain('called lost');
    expect(await pool.status).toMatchObject({ draining: false });
  });

  it('does nothing on a host that it was not made for', async () => {
    await pool.roster([recorder7]);
    const { code, output } = await pool.onJitsi('platform-drain', ['recorder-7', '99']);
    expect(code).toBe(0);
    expect(output).toContain('is server 4711 by now, not 99');
    expect(await pool.status).toMatchObject({ draining: false });
  });

  it('ends when nothing is left', async () => {
    await pool.roster([], [], 1);
    const { code, output } = await pool.onJitsi('platform-drain', ['recorder-7', '4711']);
    expect(output).toContain('recorder-7: drained');
    expect(code).toBe(0);
  });

  it('waits for the recording and its upload, then ends', async () => {
    pool.jibris[0]!.busy = 'BUSY';
    pool.record('1', 'session-a', 'algebra-7');
    await pool.roster([], [], 1);
    const drain = pool.onJitsi('platform-drain', ['recorder-7', '4711']);
    await expect.poll(async () => (await pool.status).draining, patient).toBe(true);
    pool.finish('1', 'session-a');
    pool.jibris[0]!.stop();
    await expect.poll(async () => (await pool.status).uploads, patient).toBe(1);
    rmSync(pool.recorder.path('/var/lib/jibri/1/queue'), { recursive: true });
    const { code, output } = await drain;
    expect(output).toMatch(/records algebra-7 since [^]*drained/);
    expect(code).toBe(0);
  });

  it('fails when the wait runs out, with the lesson and since when', async () => {
    pool.jibris[0]!.busy = 'BUSY';
    pool.record('1', 'session-a', 'algebra-7');
    await pool.roster([]);
    const { code, output } = await pool.onJitsi('platform-drain', ['recorder-7', '4711']);
    expect(code).toBe(3);
    expect(output).toMatch(
      /recorder-7 still records algebra-7 since \d{4}-\S+Z \(instance 1\) after 0 min; nothing was deleted/,
    );
  });

  it('fails when recordings are not in the store', async () => {
    pool.record('1', 'session-a', 'algebra-7');
    pool.finish('1', 'session-a');
    await pool.roster([]);
    expect(await pool.onJitsi('platform-drain', ['recorder-7', '4711'])).toMatchObject({ code: 4 });
  });

  it('fails at once when recordings are in quarantine, and names them', async () => {
    mkdirSync(pool.recorder.path('/var/lib/jibri/quarantine/1.session-a.17'), { recursive: true });
    await pool.roster([], [], 60);
    const { code, output } = await pool.onJitsi('platform-drain', ['recorder-7', '4711']);
    expect(code).toBe(4);
    expect(output).toMatch(/has 1 recordings in quarantine: 1\.session-a\.17; nothing was deleted/);
  });

  it('fails when the recorder does not answer, and says how to go on', async () => {
    await pool.roster([]);
    pool.jitsi.adapt('/usr/local/lib/platform/pools.py', [
      ['_call(name, "/status")', '_call(name, "/gone")'],
    ]);
    const { code, output } = await pool.onJitsi('platform-drain', ['recorder-7', '4711']);
    expect(code).toBe(5);
    expect(output).toMatch(/cannot be reached: \/gone answered 404.*name it in recordersLost/);
  });
});
