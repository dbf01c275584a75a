import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bridgeHostPlan, jitsiHostPlan } from '../../cloud-init/roles';
import { freePort } from './prosody-host';
import { RenderedRole, type Ended } from './rendered-role';
import { bridgeValues, jitsiValues } from './role-values';

describe('platform-drain of a bridge', () => {
  const told: string[] = [];
  let conferences = 0;
  let drained = false;
  let jvb: Server;
  let bridge: RenderedRole;
  let jitsi: RenderedRole;
  let service: ChildProcess;
  let env: Record<string, string>;

  beforeEach(async () => {
    bridge = new RenderedRole(bridgeHostPlan(bridgeValues));
    jitsi = new RenderedRole(jitsiHostPlan(jitsiValues));
    told.length = conferences = 0;
    drained = false;
    jvb = createServer((request, response) => {
      if (request.method === 'POST') told.push(request.url ?? '');
      if (request.url === '/colibri/drain/enable') drained = true;
      response.end(JSON.stringify({ conferences, participants: 3 * conferences, drain: drained }));
    }).listen(0, '127.0.0.1');
    await once(jvb, 'listening');
    env = {
      PLATFORM_BRIDGE: `http://127.0.0.1:${(jvb.address() as AddressInfo).port}`,
      PLATFORM_STATUS_ADDRESS: '127.0.0.1',
      PLATFORM_STATUS_OF_ALL: '127.0.0.1',
      PLATFORM_STATUS_PORT: String(await freePort()),
      PLATFORM_SERVER_ID: '4712',
      PLATFORM_ROOT: jitsi.root,
      PYTHONPATH: jitsi.path('/usr/local/lib/platform'),
      PYTHONDONTWRITEBYTECODE: '1',
    };
    jitsi.adapt('/usr/local/sbin/platform-drain', [
      ['POLL_SECONDS = 10', 'POLL_SECONDS = 0.05'],
      ['UNREACHABLE_SECONDS = 180', 'UNREACHABLE_SECONDS = 0'],
    ]);
    service = spawn('python3', [bridge.path('/usr/local/sbin/platform-bridge-status')], {
      env: { ...process.env, ...env },
    });
    const url = `http://127.0.0.1:${env.PLATFORM_STATUS_PORT}/status`;
    await expect
      .poll(
        () =>
          fetch(url).then(
            (answer) => answer.status,
            () => 0,
          ),
        { timeout: 10_000 },
      )
      .toBe(200);
  });

  const stopService = async () => {
    if (service.exitCode !== null || service.signalCode !== null) return;
    const ended = once(service, 'exit');
    service.kill();
    await ended;
  };

  afterEach(async () => {
    await stopService();
    jvb.close();
    jvb.closeAllConnections();
    bridge.remove();
    jitsi.remove();
  });

  async function drain(...args: string[]): Promise<Ended> {
    const child = spawn('python3', [jitsi.path('/usr/local/sbin/platform-drain'), ...args], {
      env: { ...process.env, ...env },
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (output += data.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  }

  it('stops new lessons, waits for those that run, needs no roster', async () => {
    conferences = 2;
    const waiting = drain('bridge-1-1', '4712');
    await expect.poll(() => told, { timeout: 30_000 }).toContain('/colibri/drain/enable');
    conferences = 0;
    const { code, output } = await waiting;
    expect(output).toMatch(/bridge-1-1: carries 2 lessons with 6 people[^]*bridge-1-1: drained/);
    expect(code).toBe(0);
  });

  it('fails when the wait runs out', async () => {
    conferences = 1;
    jitsi.write('/var/lib/platform/roster.json', '{"stay":[],"leaving":[],"lost":[],"waitMinutes":0}');
    expect(await drain('bridge-1-1', '4712')).toMatchObject({
      code: 3,
      output: expect.stringContaining('still carries 1 lessons') as string,
    });
  });

  it('leaves a bridge alone that it was not made for', async () => {
    expect(await drain('bridge-1-1', '99')).toMatchObject({ code: 0 });
    expect(told).toEqual([]);
  });

  it('does not wait for one that is gone', async () => {
    await stopService();
    const { code, output } = await drain('bridge-1-1', '4712');
    expect(output).toContain('it carries nothing any more');
    expect(code).toBe(0);
  });

  it('refuses a bridge of another shard', async () => {
    expect(await drain('bridge-2-1', '4712')).toMatchObject({ code: 2 });
  });
});
