import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ended, serverOrder, startedCloud, TOKEN, type ServerAnswer } from './local-cloud';

test('no answer, log line or logged request holds user data or the token', async () => {
  const lines: string[] = [];
  const { hetzner, local, stateFile } = await startedCloud({ log: (line) => lines.push(line) });
  const created = await hetzner<ServerAnswer>(
    'POST',
    '/servers',
    serverOrder('a', { user_data: 'host-key-secret' }),
  );
  await ended(hetzner, created.body.action.id);
  const got = await hetzner('GET', `/servers/${created.body.server.id}`);
  await hetzner('POST', '/servers', serverOrder('b', { user_data: ['host-key-secret'] }));
  const requests = await local<{ n: number; method: string; path: string; status: number; code?: string }[]>(
    'GET',
    '/requests',
  );
  const seen = JSON.stringify([created.body, got.body, requests.body, lines]);
  expect(seen).not.toContain('host-key-secret');
  expect(seen).not.toContain(TOKEN);
  expect(await readFile(stateFile, 'utf8')).not.toContain(TOKEN);

  expect(requests.body[0]).toMatchObject({ n: 1, method: 'POST', path: '/v1/servers', status: 201 });
  expect(requests.body.at(-1)).toMatchObject({ status: 422, code: 'invalid_input' });
  const since = await local<unknown[]>('GET', `/requests?since=${requests.body.length - 1}`);
  expect(since.body).toHaveLength(1);
  expect(lines).toHaveLength(requests.body.length);
});

test('the side door takes nothing that a web page could send', async () => {
  const { url } = await startedCloud();
  const page = await fetch(`${url}/local/faults`, {
    method: 'DELETE',
    headers: { origin: 'https://example.org' },
  });
  expect(page.status).toBe(403);
  const form = await fetch(`${url}/local/faults`, { method: 'POST', body: 'on=x' });
  expect(form.status).toBe(415);
});

test('a token that Hetzner would not issue is refused at the start', async () => {
  await expect(startedCloud({ token: 'short' })).rejects.toThrow('token: expected 64 letters and digits');
});
