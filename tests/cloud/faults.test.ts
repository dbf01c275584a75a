import { expect, test } from 'vitest';
import {
  ended,
  runningServer,
  serverOrder,
  startedCloud,
  type ErrorAnswer,
  type ServerAnswer,
} from './local-cloud';

const on = { method: 'POST', path: '^/v1/servers$' };

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
  const status = async () => (await hetzner<ServerAnswer>('GET', `/servers/${server.id}`)).body.server.status;
  expect(await status()).toBe('running');

  await local('POST', '/faults', { on: { path: '/poweroff$' }, then: { actionTakesMs: 3_600_000 } });
  const slow = await hetzner<ServerAnswer>('POST', poweroff);
  expect(slow.body.action).toMatchObject({ status: 'running', progress: 0 });
  expect(await status()).toBe('stopping');
  for (const [method, path] of [
    ['DELETE', ''],
    ['POST', '/actions/reboot'],
  ] as const) {
    const answer = await hetzner<ErrorAnswer>(method, `/servers/${server.id}${path}`);
    expect(answer.status).toBe(423);
    expect(answer.body.error.code).toBe('locked');
  }
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
