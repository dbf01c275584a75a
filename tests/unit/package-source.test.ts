import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { jitsiValues } from '../../components/platform-values';
import { jitsisOwn, packageSource, whyNotReachable } from '../../local/command/package-source';
import { checkConfig } from '../../components/config/check';
import { example, storeKeys } from './example-config';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A mirror on loopback; its address. */
async function mirror(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const signedAt =
  (path: string): RequestListener =>
  (request, response) => {
    if (request.url === path) response.end('-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n');
    else response.writeHead(404).end();
  };

test('a repository with a signed index is taken, and no stand-ins', async () => {
  const flat = `${await mirror(signedAt('/jitsi/stable/InRelease'))}/jitsi stable/`;
  expect(await whyNotReachable(flat)).toBeUndefined();
  expect(await packageSource(flat, true)).toEqual({
    standIns: false,
    reason: `Jitsi's packages: from ${flat}`,
  });
  const withComponents = `${await mirror(signedAt('/debian/dists/trixie/InRelease'))}/debian/ trixie main`;
  expect(await whyNotReachable(withComponents)).toBeUndefined();
});

test.each<[string, RequestListener, RegExp]>([
  ['nothing of that name', (_request, response) => response.writeHead(404).end(), /^it answers 404$/],
  [
    'a page that asks to log in',
    (_request, response) => response.end('<html>'),
    /^what it answers is no signed index$/,
  ],
  ['a connection that breaks off', (request) => request.socket.destroy(), /^UND_ERR_SOCKET$/],
])('instead of %s stand-ins are taken, and what was tried is said', async (_what, answer, reason) => {
  const repository = `${await mirror(answer)}/jitsi stable/`;
  expect(await whyNotReachable(repository)).toMatch(reason);
  const source = await packageSource(repository, false);
  expect(source.standIns).toBe(true);
  expect(source.reason).toContain(`${repository} cannot be reached from here`);
  expect(source.reason).toMatch(/stand-ins take their place$/);
});

test('a mirror that does not answer is not waited for', async () => {
  const repository = `${await mirror(() => undefined)}/jitsi stable/`;
  expect(await whyNotReachable(repository)).toBe('no answer within 5 s');
}, 30_000);

test('with REAL=1 stand-ins are refused, with the reason and what to do', async () => {
  const closed = 'http://127.0.0.1:1/jitsi stable/';
  const refused = packageSource(closed, true);
  await expect(refused).rejects.toThrow(/REAL=1 refuses stand-ins.*127\.0\.0\.1:1\/jitsi stable\/ \(/);
  await expect(refused).rejects.toThrow(/jitsiRepository in Pulumi\.local\.yaml, e\.g\. '/);
});

test("Jitsi's own repository is the one that hosts install from", () => {
  const checked = checkConfig(example, { stack: 'prod', secretKeys: Object.keys(storeKeys) });
  if ('problems' in checked) throw new Error(JSON.stringify(checked.problems));
  const { uri, suite } = jitsiValues(checked.values, 1).packageSources.jitsi;
  expect(`${uri} ${suite}`).toBe(jitsisOwn);
});
