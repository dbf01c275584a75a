import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { jitsiHostPlan } from '../../cloud-init/roles';
import { has, RenderedRole, type Ended } from './rendered-role';
import { jitsiValues } from './role-values';

interface Told {
  text: string;
  alerts: { host: string; check: string; state: string }[];
}

interface HostFinding {
  check: string;
  state: string;
  says: string;
  do: string;
}

const bad = (check: string, says = 'it is broken'): HostFinding => ({
  check,
  state: 'failure',
  says,
  do: 'mend it',
});
const good = (check: string): HostFinding => ({ check, state: 'ok', says: 'it works', do: '' });

/** A Jitsi host with a report of its own and one recorder; a chat server and a mail relay take what it tells. */
describe.skipIf(!has('openssl'))('platform-alert (needs openssl)', () => {
  let role: RenderedRole;
  let chat: Server;
  let recorder: Server;
  let relay: SMTPServer;
  let told: Told[];
  let mails: string[];
  let chatStatus: number;
  let recorderReport: unknown;
  const password = 'Relay p@ss/word';
  const hook = 'hooks/T0KEN-0123456789';

  const listen = async (server: Server): Promise<number> => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };

  beforeEach(async () => {
    [told, mails, chatStatus] = [[], [], 200];
    role = new RenderedRole(
      jitsiHostPlan({ ...jitsiValues, alertWebhook: true, alertEmail: 'it@school.example' }),
    );
    role.adapt('/usr/local/lib/platform/pools.py', [['BRIDGE_COUNT = int("2")', 'BRIDGE_COUNT = 0']]);
    chat = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        if (chatStatus === 200) told.push(JSON.parse(body) as Told);
        response.writeHead(chatStatus).end();
      });
    });
    recorder = createServer((_request, response) => response.end(JSON.stringify(recorderReport)));
    const port = await listen(recorder);
    recorderReport = { host: 'recorder-1', at: Date.now() / 1000, findings: [good('store')] };
    role.adapt('/usr/local/lib/platform/pools.py', [
      ['os.environ.get("PLATFORM_STATUS_PORT", "9180")', `"${port}"`],
    ]);
    role.write(
      '/var/lib/platform/roster.json',
      JSON.stringify({ stay: ['recorder-1'], lost: [], waitMinutes: 1 }),
    );
    role.write('/etc/platform/secrets/alert-webhook', `http://127.0.0.1:${await listen(chat)}/${hook}\n`);

    const key = role.path('/relay.key');
    const certificate = role.path('/relay.crt');
    role.write(
      '/relay.key',
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
        type: 'pkcs8',
        format: 'pem',
      }) as string,
    );
    spawnSync('openssl', [
      ...['req', '-x509', '-new', '-key', key, '-days', '2', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost', '-out', certificate],
    ]);
    relay = await mailRelay({ secure: true });
  });

  /** A relay for mail that keeps what it takes from who logs in. */
  async function mailRelay(options: SMTPServerOptions): Promise<SMTPServer> {
    const server = new SMTPServer({
      ...options,
      key: readFileSync(role.path('/relay.key')),
      cert: readFileSync(role.path('/relay.crt')),
      onAuth: (auth, _session, done) =>
        auth.username === 'it@school.example' && auth.password === password
          ? done(null, { user: auth.username })
          : done(new Error(`no such login: ${auth.username} ${auth.password}`)),
      onData: (stream, _session, done) => {
        let letter = '';
        stream.on('data', (chunk: Buffer) => (letter += chunk.toString()));
        stream.on('end', () => {
          mails.push(letter);
          done();
        });
      },
    });
    server.on('error', () => undefined);
    server.listen(0, 'localhost');
    await once(server.server, 'listening');
    return server;
  }

  afterEach(async () => {
    for (const server of [chat, recorder]) {
      server.close();
      server.closeAllConnections();
    }
    await new Promise<void>((closed) => relay.close(closed));
    role.remove();
  });

  const mailTo = (user: string, word: string, scheme = 'smtps'): void => {
    const { port } = relay.server.address() as AddressInfo;
    const login = `${encodeURIComponent(user)}:${encodeURIComponent(word)}`;
    role.write('/etc/platform/secrets/alert-smtp', `${scheme}://${login}@localhost:${port}\n`);
  };

  const report = (...findings: HostFinding[]): void =>
    role.write('/var/lib/platform/doctor.json', JSON.stringify({ host: 'jitsi-1', at: 0, findings }));

  /** @param hours how much later than now it runs */
  const alert = (hours = 0, ...args: string[]): Promise<Ended> => {
    const program = role.path('/usr/local/sbin/platform-alert');
    const clock = `import time, sys; real = time.time; time.time = lambda: real() + ${hours * 3600}; sys.argv = sys.argv[1:]; exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))`;
    const child = spawn('python3', ['-c', clock, program, ...args], {
      env: {
        PATH: process.env['PATH'],
        PYTHONDONTWRITEBYTECODE: '1',
        PLATFORM_ROOT: role.root,
        PLATFORM_STATUS_OF_ALL: '127.0.0.1',
        SSL_CERT_FILE: role.path('/relay.crt'),
      },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => (output += text.toString()));
    return once(child, 'close').then(([code]) => ({ code: code as number, output }));
  };
  const states = (): string[] =>
    told.flatMap(({ alerts }) => alerts.map(({ host, check, state }) => `${host} ${check} ${state}`));

  it('tells a failure once, again after a day, and when two reports have it no more', async () => {
    report(good('dns'), bad('ports', 'nothing listens on 5349/tcp'));
    expect(await alert()).toEqual({ code: 0, output: '' });
    expect(states()).toEqual(['jitsi-1 ports failure']);
    expect(told[0]!.text).toMatch(
      /^meet\.example\.org: failures: 1\nFAILURE jitsi-1 ports: nothing listens on 5349\/tcp \(since .* UTC; do: mend it\)$/,
    );
    await alert(0.5);
    expect(told).toHaveLength(1);
    recorderReport = { host: 'recorder-1', at: Date.now() / 1000 + 25 * 3600, findings: [good('store')] };
    await alert(25);
    expect(states()).toEqual(['jitsi-1 ports failure', 'jitsi-1 ports failure']);
    report(good('ports'));
    await alert(25);
    expect(told).toHaveLength(2);
    await alert(25);
    expect(states().at(-1)).toBe('jitsi-1 ports ok');
    await alert(25);
    expect(told).toHaveLength(3);
  });

  it('one that comes and goes is told once', async () => {
    for (let round = 0; round < 4; round++) {
      report(bad('ports'));
      await alert();
      report(good('ports'));
      await alert();
    }
    expect(states()).toEqual(['jitsi-1 ports failure']);
  });

  it('tells for the pool, also of a host that is dead, in one message; never of warnings', async () => {
    report({ ...bad('disk'), state: 'warning' }, bad('dns'));
    recorderReport = { host: 'recorder-1', at: Date.now() / 1000, findings: [bad('store', 'no access')] };
    await alert();
    expect(told).toHaveLength(1);
    expect(states().sort()).toEqual(['jitsi-1 dns failure', 'recorder-1 store failure']);
    recorder.close();
    recorder.closeAllConnections();
    await alert();
    // What it said before counts until it says something else.
    expect(states().slice(2)).toEqual(['recorder-1 reach failure']);
    role.write(
      '/var/lib/platform/roster.json',
      JSON.stringify({ stay: [], lost: ['recorder-1'], waitMinutes: 1 }),
    );
    await alert();
    await alert();
    expect(told).toHaveLength(2);
  });

  it('many failures make one short message', async () => {
    report(...Array.from({ length: 60 }, (_, index) => bad(`check-${index}`)));
    await alert();
    expect(told).toHaveLength(1);
    expect(told[0]!.text.split('\n')).toHaveLength(22);
    expect(told[0]!.text).toMatch(/and 40 more; see npm run doctor$/);
  });

  it('keeps what cannot be delivered, says so without the secret, and delivers it later', async () => {
    report(bad('ports'));
    chatStatus = 503;
    const failed = await alert();
    expect(failed.code).toBe(1);
    expect(failed.output).toMatch(/webhook: 1 alerts wait, since it cannot be reached: HTTP Error 503/);
    expect(failed.output).not.toContain(hook);
    // It has healed before anybody could be told: both are told.
    report(good('ports'));
    await alert();
    await alert();
    expect(told).toEqual([]);
    chatStatus = 200;
    expect((await alert()).code).toBe(0);
    expect(states()).toEqual(['jitsi-1 ports failure', 'jitsi-1 ports ok']);
  });

  it('mails over TLS with a login; one way that is broken does not hold up the other', async () => {
    mailTo('it@school.example', password);
    report(bad('ports', 'nothing listens on 5349/tcp'));
    expect(await alert()).toEqual({ code: 0, output: '' });
    expect(told).toHaveLength(1);
    expect(mails).toHaveLength(1);
    expect(mails[0]).toMatch(/^To: it@school\.example\r$/m);
    expect(mails[0]).toMatch(/^Subject: meet\.example\.org: failures: 1\r$/m);
    expect(mails[0]).toContain('FAILURE jitsi-1 ports: nothing listens on 5349/tcp');

    mailTo('it@school.example', 'wrong w/rd');
    report(bad('ports'), bad('dns'));
    const failed = await alert();
    expect(failed.code).toBe(1);
    expect(failed.output).toMatch(/mail: 1 alerts wait/);
    expect(failed.output).not.toMatch(/wrong w/);
    expect(told).toHaveLength(2);
    mailTo('it@school.example', password);
    expect((await alert()).code).toBe(0);
    expect(told).toHaveLength(2);
    expect(mails).toHaveLength(2);
  });

  it('smtp:// goes on in TLS before it logs in, and never without', async () => {
    const instead = async (options: SMTPServerOptions): Promise<void> => {
      await new Promise<void>((closed) => relay.close(closed));
      relay = await mailRelay(options);
      mailTo('it@school.example', password, 'smtp');
    };
    await instead({ hideSTARTTLS: true, allowInsecureAuth: true });
    report(bad('ports'));
    const refused = await alert();
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringMatching(/mail: 1 alerts wait.*STARTTLS/) as string,
    });
    expect(mails).toEqual([]);
    // The server itself refuses a login in plain text.
    await instead({});
    expect(await alert()).toEqual({ code: 0, output: '' });
    expect(mails).toHaveLength(1);
  });

  it('trusts no relay that it does not know', async () => {
    mailTo('it@school.example', password);
    role.write('/relay.crt', '');
    report(bad('ports'));
    expect((await alert()).output).toMatch(/mail: 1 alerts wait.*certificate/i);
    expect(mails).toEqual([]);
  });

  it('--test says that it is a test', async () => {
    expect((await alert(0, '--test')).code).toBe(0);
    expect(told[0]!.text).toBe('meet.example.org: this is a test of the alerts; nothing is wrong');
  });
});
