import { describe, expect, test } from 'vitest';
import {
  ended,
  runningServer,
  serverOrder,
  startedCloud,
  type ErrorAnswer,
  type ServerAnswer,
} from './local-cloud';

const on = { method: 'POST', path: '^/v1/servers$' };

describe('faults of requests', () => {
  test('the n-th request gets the error that was asked for, and leaves nothing', async () => {
    const { hetzner, local } = await startedCloud();
    const error = { status: 412, code: 'resource_unavailable', message: 'none left' };
    await local('POST', '/faults', { on: { ...on, nth: 2 }, then: { error } });

    expect((await hetzner('POST', '/servers', serverOrder('a'))).status).toBe(201);
    const failed = await hetzner<ErrorAnswer>('POST', '/servers', serverOrder('b'));
    expect(failed.status).toBe(412);
    expect(failed.body.error).toMatchObject({ code: 'resource_unavailable', message: 'none left' });
    expect((await hetzner('POST', '/servers', serverOrder('b'))).status).toBe(201);
    const { body } = await local<{ matched: number; fired: number }[]>('GET', '/faults');
    expect(body).toMatchObject([{ matched: 3, fired: 1 }]);
  });

  test('a fault with times fires as often, one for every request until it is cleared', async () => {
    const { hetzner, local } = await startedCloud();
    const error = { status: 409, code: 'conflict', message: 'try again' };
    await local('POST', '/faults', { on: { path: '/locations', nth: 2 }, then: { error }, times: 2 });
    const get = async (path: string) => (await hetzner('GET', path)).status;
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push(await get('/locations'));
    expect(statuses).toEqual([200, 409, 409, 200, 200]);

    await local('POST', '/faults', { on: { path: '/images', nth: 'every' }, then: { error } });
    expect([await get('/images'), await get('/images')]).toEqual([409, 409]);
    expect((await local('DELETE', '/faults')).status).toBe(204);
    expect(await get('/images')).toBe(200);
  });

  test('a lost answer: the work is done, so the retry meets uniqueness_error', async () => {
    const { hetzner, local } = await startedCloud();
    await local('POST', '/faults', { on, then: { loseAnswer: true } });
    await expect(hetzner('POST', '/servers', serverOrder('lost'))).rejects.toThrow(TypeError);
    const again = await hetzner<ErrorAnswer>('POST', '/servers', serverOrder('lost'));
    expect(again.status).toBe(409);
    expect(again.body.error.code).toBe('uniqueness_error');
  });

  test('a broken connection: nothing was done', async () => {
    const { hetzner, local } = await startedCloud();
    await local('POST', '/faults', { on, then: { breakConnection: true } });
    await expect(hetzner('POST', '/servers', serverOrder('broken'))).rejects.toThrow(TypeError);
    expect((await hetzner('POST', '/servers', serverOrder('broken'))).status).toBe(201);
  });

  test('the rate limit', async () => {
    const { hetzner, local } = await startedCloud();
    const before = Number((await hetzner('GET', '/locations')).headers.get('ratelimit-remaining'));
    expect(before).toBeGreaterThan(3000);
    await local('POST', '/faults', { on: {}, then: { rateLimit: true } });
    const limited = await hetzner<ErrorAnswer>('GET', '/locations');
    expect(limited.status).toBe(429);
    expect(limited.body.error.code).toBe('rate_limit_exceeded');
    expect(limited.headers.get('ratelimit-remaining')).toBe('0');
  });

  test('an action that fails has no effect; one that takes long makes progress', async () => {
    const { hetzner, local } = await startedCloud();
    const server = await runningServer(hetzner, 'host');
    const poweroff = `/servers/${server.id}/actions/poweroff`;
    const failure = { code: 'server_error', message: 'host is burning' };
    await local('POST', '/faults', {
      on: { path: '/poweroff$' },
      then: { actionFails: failure, afterMs: 10 },
    });
    const failed = await hetzner<ServerAnswer>('POST', poweroff);
    expect(failed.status).toBe(201);
    expect(await ended(hetzner, failed.body.action.id)).toMatchObject({ status: 'error', error: failure });
    const status = async () =>
      (await hetzner<ServerAnswer>('GET', `/servers/${server.id}`)).body.server.status;
    expect(await status()).toBe('running');

    await local('POST', '/faults', { on: { path: '/poweroff$' }, then: { actionTakesMs: 3_600_000 } });
    const slow = await hetzner<ServerAnswer>('POST', poweroff);
    expect(slow.body.action).toMatchObject({ status: 'running', progress: 0 });
    expect(await status()).toBe('stopping');
    expect((await hetzner<ErrorAnswer>('DELETE', `/servers/${server.id}`)).body.error.code).toBe('locked');
  });

  test('an action that deletes a server and fails leaves it with all it had', async () => {
    const { hetzner, local } = await startedCloud();
    const server = await runningServer(hetzner, 'stays');
    const then = { actionFails: { code: 'server_error', message: 'no' } };
    await local('POST', '/faults', { on: { method: 'DELETE' }, then });
    const { body } = await hetzner<ServerAnswer>('DELETE', `/servers/${server.id}`);
    expect((await ended(hetzner, body.action.id)).status).toBe('error');
    const after = (await hetzner<ServerAnswer>('GET', `/servers/${server.id}`)).body.server;
    expect(after.public_net.ipv4).toEqual(server.public_net.ipv4);
    expect(after.status).toBe('running');
  });

  test.each([
    [{ on: { path: '(' }, then: { loseAnswer: true } }, 'on.path'],
    [{ on: {}, then: { explode: true } }, 'then'],
    [{ on: { nth: 0 }, then: { loseAnswer: true } }, 'on.nth'],
    [{ on: {}, then: { error: { status: 200, code: 'x', message: '' } } }, 'then.error.status'],
    [{ onCommand: { phase: 'sometimes' }, then: {} }, 'onCommand.phase'],
    [{ on: {}, when: 'later', then: { loseAnswer: true } }, 'when'],
  ])('what is no fault is refused: %j', async (fault, field) => {
    const { local } = await startedCloud();
    const { status, body } = await local<ErrorAnswer>('POST', '/faults', fault);
    expect(status).toBe(422);
    expect(body.error.details?.fields.map(({ name }) => name)).toContain(field);
  });
});

interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

describe('remote commands', () => {
  const command = (host: string, more: object = {}) => ({
    host,
    port: 22,
    user: 'root',
    phase: 'create',
    command: 'platform-converge',
    stdinSecret: false,
    ...more,
  });

  test('they reach running servers by public and private address, and are recorded in order', async () => {
    const { hetzner, local } = await startedCloud();
    const { body } = await hetzner<{ network: { id: number } }>('POST', '/networks', {
      name: 'n',
      ip_range: '10.10.0.0/16',
      subnets: [{ type: 'cloud', ip_range: '10.10.0.0/16', network_zone: 'eu-central' }],
    });
    const server = await runningServer(hetzner, 'jitsi-1', { networks: [body.network.id] });
    const ipv4 = server.public_net.ipv4!.ip;

    const first = await local<CommandResult>('POST', '/commands', command(ipv4, { stdinSecret: true }));
    expect(first.body).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    await local('POST', '/commands', command('10.10.0.2', { phase: 'update', stdin: 'plan' }));
    const nobody = await local<CommandResult>('POST', '/commands', command('198.18.77.7'));
    expect(nobody.body).toMatchObject({
      exitCode: 255,
      stderr: expect.stringContaining('No route to host') as string,
    });

    const { body: recorded } = await local<object[]>('GET', '/commands');
    expect(recorded).toMatchObject([
      { n: 1, server: 'jitsi-1', phase: 'create', stdin: '[secret]', exitCode: 0 },
      { n: 2, server: 'jitsi-1', host: '10.10.0.2', phase: 'update', stdin: 'plan' },
      { n: 3, server: null, host: '198.18.77.7', stdin: null, exitCode: 255 },
    ]);
  });

  test('a server that is off is not reached, one that is being made refuses', async () => {
    const { hetzner, local } = await startedCloud();
    const server = await runningServer(hetzner, 'off-soon');
    const host = server.public_net.ipv4!.ip;
    const { body } = await hetzner<ServerAnswer>('POST', `/servers/${server.id}/actions/poweroff`);
    await ended(hetzner, body.action.id);
    const off = await local<CommandResult>('POST', '/commands', command(host));
    expect(off.body).toMatchObject({ exitCode: 255, stderr: expect.stringContaining('No route') as string });

    await local('POST', '/faults', { on, then: { actionTakesMs: 3_600_000 } });
    const made = (await hetzner<ServerAnswer>('POST', '/servers', serverOrder('new'))).body.server;
    const early = await local<CommandResult>('POST', '/commands', command(made.public_net.ipv4!.ip));
    expect(early.body).toMatchObject({
      exitCode: 255,
      stderr: expect.stringContaining('Connection refused') as string,
    });
  });

  test('a fault decides how one ends', async () => {
    const { hetzner, local } = await startedCloud();
    const server = await runningServer(hetzner, 'recorder-7');
    const host = server.public_net.ipv4!.ip;
    await local('POST', '/faults', {
      onCommand: { server: '^recorder-', phase: 'delete', command: 'drain' },
      then: { exitCode: 75, stderr: 'lesson 9b still runs', takesMs: 20 },
    });
    const drain = command(host, { phase: 'delete', command: 'platform-drain recorder-7' });
    expect((await local<CommandResult>('POST', '/commands', command(host))).body.exitCode).toBe(0);
    const failed = await local<CommandResult>('POST', '/commands', drain);
    expect(failed.body).toEqual({ exitCode: 75, stdout: '', stderr: 'lesson 9b still runs' });
    expect((await local<CommandResult>('POST', '/commands', drain)).body.exitCode).toBe(0);
  });

  test('a secret that is sent all the same is refused and not kept', async () => {
    const { local } = await startedCloud();
    const sent = await local<ErrorAnswer>(
      'POST',
      '/commands',
      command('10.0.0.9', { stdin: 'hunter2', stdinSecret: true }),
    );
    expect(sent.status).toBe(422);
    expect(JSON.stringify(sent.body) + JSON.stringify((await local('GET', '/commands')).body)).not.toContain(
      'hunter2',
    );
  });
});
