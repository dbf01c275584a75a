import { expect, test } from 'vitest';
import { outside } from '../booted-cloud';
import { curl, type Booted } from './booted';

const app = 'https://lessons.school.example';

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** What browsers get of nginx. */
export function webSuite(booted: Booted): void {
  const get = async (url: string, ...args: string[]): Promise<Answer> => {
    const { code, stdout, stderr } = await curl(booted, '-i', '--http1.1', ...args, url);
    expect(code, stderr).toBe(0);
    const [head = '', ...rest] = stdout.split('\r\n\r\n');
    const [first = '', ...lines] = head.split('\r\n');
    return {
      status: Number(first.split(' ')[1]),
      headers: Object.fromEntries(
        lines.map((line) => [line.split(':')[0]!.toLowerCase(), line.replace(/^.*?: /, '')]),
      ),
      body: rest.join('\r\n\r\n'),
    };
  };
  const https = (path: string): string => `https://${booted.domain}${path}`;
  const tls = (...options: string[]) =>
    outside(booted.jitsi.place, [
      'sh',
      '-c',
      `openssl s_client -connect ${booted.jitsi.address}:443 -servername ${booted.domain} ${options.join(' ')} </dev/null`,
    ]);

  test('HTTP leads to HTTPS, except where the authority looks', async () => {
    expect(await get(`http://${booted.domain}/algebra?x=1`)).toMatchObject({
      status: 301,
      headers: { location: https('/algebra?x=1'), server: 'nginx' },
    });
    const folder = '/var/www/acme/.well-known/acme-challenge';
    await booted.jitsi.run(`mkdir -p ${folder}; echo -n token.thumbprint >${folder}/probe`);
    const challenge = `http://${booted.domain}/.well-known/acme-challenge`;
    expect(await get(`${challenge}/probe`)).toMatchObject({ status: 200, body: 'token.thumbprint' });
    expect(await get(`${challenge}/none`)).toMatchObject({ status: 404 });
    await booted.jitsi.run(`rm ${folder}/probe`);
  });

  test('whoever asks for another name gets no answer', async () => {
    const { address, place } = booted.jitsi;
    const command = (url: string) => [
      'curl',
      '-sS',
      '--max-time',
      '10',
      '--resolve',
      `scanner.example:443:${address}`,
      url,
    ];
    expect((await outside(place, command(`http://${address}/`))).code).toBe(52);
    expect((await outside(place, command('https://scanner.example/'))).code).toBe(35);
  });

  test.for(['/algebra', '/external_api.js', '/config.js', '/libs/app.bundle.min.js', '/static/none'])(
    '%s carries the headers that protect the page, and no version',
    async (path) => {
      const { headers } = await get(https(path));
      expect(headers).toMatchObject({
        'strict-transport-security': 'max-age=31536000',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'content-security-policy': `frame-ancestors 'self' ${app}`,
        server: 'nginx',
      });
    },
  );

  test('only the app’s pages may read what they embed; signalling is for the page itself', async () => {
    const from = async (origin: string, path: string) =>
      (await get(https(path), '-H', `Origin: ${origin}`)).headers['access-control-allow-origin'];
    for (const path of ['/external_api.js', '/libs/app.bundle.min.js']) {
      expect(await from(app, path)).toBe(app);
      expect(await from('https://elsewhere.example', path)).toBeUndefined();
      expect(await from(`${app}.elsewhere.example`, path)).toBeUndefined();
    }
    expect(await from(app, '/http-bind')).toBeUndefined();
  });

  test('the client is there: page of a room, its settings, the API for pages that embed it', async () => {
    expect((await get(https('/algebra'))).body).toMatch(/<html/i);
    expect(await get(https('/'))).toMatchObject({ status: 302, headers: { location: app } });
    expect((await get(https('/config.js'))).body).toContain(`https://${booted.domain}/http-bind`);
    expect(await get(https('/external_api.js'))).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/javascript' },
    });
    expect((await get(https('/static/none'))).status).toBe(404);
  });

  test('the ways to Prosody and to the bridge are open', async () => {
    const body =
      `<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='${booted.domain}' ver='1.6' wait='5' hold='1' ` +
      "xml:lang='en' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'/>";
    const opened = await get(https('/http-bind'), '-d', body, '-H', 'Content-Type: text/xml');
    expect(opened.body).toMatch(/<body [^>]*sid=[^]*<mechanism>ANONYMOUS<\/mechanism>/);
    const upgrade = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
    const asked = [...upgrade, 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Protocol: xmpp'];
    // It stays open; curl gives up, and has printed the answer.
    const socket = await curl(
      booted,
      ...['-i', '-N', '--http1.1', '--max-time', '3', ...asked.flatMap((each) => ['-H', each])],
      https('/xmpp-websocket'),
    );
    expect(socket.stdout).toMatch(/^HTTP\/1\.1 101 /);
    // Nothing is said of where it is: the stand-in's 404 is plain text, nginx's a page.
    expect(await get(https('/colibri-ws/jitsi-1/conference/endpoint?pwd=x'))).toMatchObject({
      status: 404,
      headers: { 'content-type': 'text/plain' },
    });
  });

  test('TLS is 1.2 with forward secrecy and authenticated ciphers, or 1.3', async () => {
    expect((await tls('-tls1_3')).stdout).toMatch(/Cipher is TLS_/);
    expect((await tls('-tls1_2')).stdout).toMatch(/Cipher is ECDHE-ECDSA-.*(GCM|POLY1305)/);
    for (const old of [
      ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
      ['-tls1', '-cipher', 'ALL:@SECLEVEL=0'],
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256'],
    ])
      expect((await tls(...old)).stdout, old.join(' ')).toMatch(/Cipher is \(NONE\)/);
  });

  test('no token that travels in an address is in a log of nginx', async () => {
    const secret = 'eyJhbGciOiJIUzI1NiJ9.secret-token';
    await get(https(`/http-bind?token=${secret}`));
    await get(https(`/algebra?jwt=${secret}`));
    await get(https(`/colibri-ws/jitsi-1/x?pwd=${secret}`));
    expect((await booted.jitsi.attempt(`grep -rl ${secret} /var/log/nginx`)).stdout).toBe('');
  });
}
