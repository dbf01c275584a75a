import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { Hetzner } from '../../operations/hetzner';

const page = '<html>Bad Gateway</html>';
const server = JSON.stringify({ server: { id: 1, name: 'jitsi-1' } });
const refused = (code: string) => JSON.stringify({ error: { code, message: 'said why' } });

/** What a call gives when the service answers these, one after the other, the last for ever; and how often it asked. */
async function asked(
  ...answers: [status: number, body: string][]
): Promise<{ outcome: string; times: number }> {
  let times = 0;
  const service = createServer((_request, response) => {
    const [status, body] = answers[Math.min(times, answers.length - 1)]!;
    times += 1;
    response.writeHead(status).end(body);
  });
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  const endpoint = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  const client = new Hetzner('token', endpoint, { until: 2000, between: 20 });
  const outcome = await client.server('1').then(
    ({ name }) => name,
    (error: Error) => error.message,
  );
  service.close();
  service.closeAllConnections();
  return { outcome, times };
}

test('what passes by itself is waited for, whoever says it', async () => {
  expect(
    await asked([502, page], [429, refused('rate_limit_exceeded')], [423, refused('locked')], [200, server]),
  ).toEqual({ outcome: 'jitsi-1', times: 4 });
});

test('what does not pass is told at once, in the service’s own words', async () => {
  expect(await asked([404, refused('not_found')])).toEqual({ outcome: 'not_found: said why', times: 1 });
  expect(await asked([403, page])).toEqual({ outcome: '403: Forbidden', times: 1 });
});

test('what goes on for too long is told', async () => {
  const { outcome, times } = await asked([502, page]);
  expect(outcome).toBe('502: Bad Gateway');
  expect(times).toBeGreaterThan(1);
});
