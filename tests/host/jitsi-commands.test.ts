import { chmodSync, chownSync, readdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jitsiHostPlan } from '../../cloud-init/roles';
import { ProsodyHost } from './prosody-host';
import { has, RenderedRole, run } from './rendered-role';
import { fullJitsiValues, jitsiValues } from './role-values';

const isRoot = process.getuid?.() === 0;
const passwords = {
  'xmpp-focus-password': 'Focus-0123456789',
  'xmpp-jvb-password': 'Bridge-0123456789',
  'xmpp-jibri-password': 'Recorder-0123456789',
  'xmpp-recorder-password': 'Call-0123456789',
};
const jwtSecret = 'jwt-0123456789-0123456789-0123456789';

describe.skipIf(!has('prosody') || !has('runuser') || !isRoot)(
  'with a real Prosody (needs prosody, root)',
  () => {
    const domain = jitsiValues.domain;
    const role = new RenderedRole(jitsiHostPlan(jitsiValues), { 'jwt-secret': jwtSecret });
    const prosody = new ProsodyHost(role);
    const command = (name: string, ...args: string[]) =>
      run(role.path(`/usr/local/sbin/${name}`), args, { env: prosody.env() });

    beforeAll(() => prosody.start(domain), 30_000);
    afterAll(async () => {
      await prosody.stop();
      role.remove();
    });

    it('platform-accounts says which passwords are missing', () => {
      const { code, output } = command('platform-accounts');
      expect(code).toBe(75);
      expect(output).toContain(
        'focus@auth.meet.example.org: the secret xmpp-focus-password has not been delivered yet',
      );
    });

    it('registers all accounts, shows no password, and does not take a failed roster for success', () => {
      for (const [name, value] of Object.entries(passwords))
        role.write(`/etc/platform/secrets/${name}`, value);
      const { code, output } = command('platform-accounts');
      // mod_roster_command comes with Jitsi's plugins, which are not here.
      expect(code, output).toBe(1);
      expect(output).toContain(`focus.${domain} did not get into the roster of focus`);
      for (const who of ['focus@auth', 'jvb@auth', 'jibri@auth', 'recorder@recorder']) {
        expect(output).toContain(`${who}.${domain}: registered`);
      }
      for (const value of Object.values(passwords)) expect(output).not.toContain(value);
    });

    it('changes only the password that differs', () => {
      role.write('/etc/platform/secrets/xmpp-jvb-password', 'Another-0123456789');
      expect(command('platform-accounts', '--check').output).toContain(
        `jvb@auth.${domain}: another password is stored`,
      );
      const { output } = command('platform-accounts');
      expect(output).toContain(`jvb@auth.${domain}: password changed`);
      expect(output).not.toContain('registered');
      expect(command('platform-accounts', '--check').output).not.toContain('jvb@');
    });

    it('a token made by the host logs in, a wrong one does not, and the room is joined', () => {
      role.write('/etc/platform/secrets/jwt-secret', jwtSecret);
      expect(command('platform-token-check', '--login-only')).toEqual({
        code: 0,
        output: 'a token is checked and let in\n',
      });
      expect(command('platform-token-check')).toEqual({
        code: 0,
        output: 'tokens of a participant and a moderator joined a room, as what they are; focus answers\n',
      });
      role.write('/etc/platform/secrets/jwt-secret', 'the server has another one, 0123456789');
      const { code, output } = command('platform-token-check', '--login-only');
      expect(code).toBe(1);
      expect(output).toMatch(/^a right token was refused: /);
      expect(output).not.toContain('eyJ');
    });

    it('counts rooms as lessons, the check’s own left out', () => {
      expect(command('platform-lessons')).toEqual({ code: 0, output: '0\n' });
      const create = run('prosodyctl', ['shell', `muc:create("algebra-7@conference.${domain}")`], {
        env: prosody.env(),
      });
      expect(create.code, create.output).toBe(0);
      run('prosodyctl', ['shell', `muc:create("platform-check-1@conference.${domain}")`], {
        env: prosody.env(),
      });
      expect(JSON.parse(command('platform-lessons', '--json').output)).toEqual({
        lessons: 1,
        rooms: ['algebra-7'],
      });
    });

    it('platform-prosody-check: what lies there passes; what is no Lua, or cannot be read, does not', () => {
      const path = '/etc/prosody/conf.avail/meet.example.org.cfg.lua';
      const right = role.read(path);
      expect(command('platform-prosody-check')).toEqual({ code: 0, output: '' });
      role.write(path, `${right}\nmodules_enabled = {`);
      expect(command('platform-prosody-check').code).toBe(1);
      role.write(path, right);
      chmodSync(role.path(path), 0o600);
      chownSync(role.path(path), 0, 0);
      expect(command('platform-prosody-check')).toMatchObject({
        code: 1,
        output: expect.stringContaining('cannot be read by prosody') as string,
      });
      chmodSync(role.path(path), 0o644);
    });

    it('does not call a Prosody without an answer empty', async () => {
      await prosody.stop();
      const { code, output } = command('platform-lessons');
      expect(code).toBe(1);
      expect(output).toContain('did not list the rooms');
      expect(command('platform-token-check').output).toContain('does not answer');
    });
  },
);

describe.skipIf(!has('openssl') || !isRoot)('platform-certificate (needs openssl, root)', () => {
  const role = new RenderedRole(jitsiHostPlan(fullJitsiValues));
  const { domain, acmeDirectory: directory } = fullJitsiValues;
  const called: string[] = [];
  const env = { PATH: `${role.path('/bin')}:${process.env.PATH}`, PLATFORM_ROOT: role.root };
  const command = (...args: string[]) => {
    const done = run(role.path('/usr/local/sbin/platform-certificate'), args, { env });
    called.splice(0, called.length, ...(role.exists('/calls') ? role.read('/calls').trim().split('\n') : []));
    role.write('/calls', '');
    return done;
  };
  const pair = (certificate: string, key: string, name: string, days = '10', names = [domain]) => {
    role.write(key, '', 0o600);
    role.write(certificate, '');
    run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', days],
      ...['-subj', `/CN=${name}`, '-keyout', role.path(key), '-out', role.path(certificate)],
      ...['-addext', `subjectAltName=${names.map((each) => `DNS:${each}`).join()}`],
    ]);
  };
  const served = () =>
    run('openssl', ['x509', '-in', role.path('/etc/ssl/platform/public.crt'), '-noout', '-subject']).output;

  beforeAll(() => {
    role.write('/bin/systemctl', `#!/bin/sh\necho "$@" >>${role.path('/calls')}\n`, 0o755);
    role.write('/bin/certbot', `#!/bin/sh\necho "certbot $*" >>${role.path('/calls')}\nexit 1\n`, 0o755);
    role.write('/bin/getent', '#!/bin/sh\n[ "$1" = group ] && exit 2\necho "203.0.113.9 STREAM x"\n', 0o755);
  });
  afterAll(() => role.remove());

  it('makes one of its own while nothing else is there, so that nginx can start', () => {
    expect(command('install').code).toBe(0);
    expect(served()).toContain('not yet certified');
    expect(role.mode('/etc/ssl/platform/public.key')).toBe('0600');
    expect(called).toContain('--no-block reload nginx');
  });
  it('does nothing the second time', () => {
    expect(command('install')).toEqual({ code: 0, output: '' });
    expect(called).toEqual(['']);
  });
  it('takes the stack’s own when it has come, not with another’s key', () => {
    pair('/etc/platform/secrets/fallback-certificate', '/etc/platform/secrets/fallback-key', 'stack');
    const right = role.read('/etc/platform/secrets/fallback-key');
    role.write('/etc/platform/secrets/fallback-key', role.read('/var/lib/platform/throwaway-key'));
    command('install');
    expect(served()).toContain('not yet certified');
    role.write('/etc/platform/secrets/fallback-key', right);
    command('install');
    expect(served()).toContain('stack');
  });
  const lineage = `/etc/letsencrypt/live/${domain}`;
  const issued = (names: string[], directory: string, days?: string) => {
    pair(`${lineage}/fullchain.pem`, `${lineage}/privkey.pem`, 'encrypted', days, names);
    role.write(`/etc/letsencrypt/renewal/${domain}.conf`, `[renewalparams]\nserver = ${directory}\n`);
  };
  const certbot = (script: string) =>
    role.write('/bin/certbot', `#!/bin/sh\necho "certbot $*" >>${role.path('/calls')}\n${script}\n`, 0o755);
  const waiting = () =>
    Object.fromEntries(
      role
        .read('/var/lib/platform/certificate-request')
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
    );
  /** Minutes until the authority is asked again. */
  const pause = () => Math.round((Number(waiting().next) - Date.now() / 1000) / 60);
  const asked = () => called.some((call) => call.startsWith('certbot'));

  it('does not ask the authority while a name has an address of another host, and says so once', () => {
    const { code, output } = command('request');
    expect(code).toBe(75);
    expect(output).toBe(
      `${domain} points at 203.0.113.9, not at 198.18.0.5; the certificate is asked for when it does\n`,
    );
    expect(command('request')).toEqual({ code: 75, output: '' });
    expect(asked()).toBe(false);
  });
  it('asks for all names when DNS is right, and keeps the old one when that fails', () => {
    role.write('/bin/getent', '#!/bin/sh\n[ "$1" = group ] && exit 2\necho "198.18.0.5 STREAM x"\n', 0o755);
    certbot("echo '  Detail: 198.18.0.5: connection refused'; exit 1");
    const { code, output } = command('request');
    expect(code).toBe(3);
    expect(output).toBe(
      `${directory} gave no certificate for ${domain} turn.${domain}: 198.18.0.5: connection refused\n`,
    );
    expect(called.join()).toMatch(
      /certbot certonly .*--webroot .*-d meet-2\.example\.org -d turn\.meet-2\.example\.org/,
    );
    expect(served()).toContain('stack');
    expect(command('status')).toMatchObject({
      code: 1,
      output: expect.stringMatching(/^stack until .*\n.*connection refused\nasked again at 20/) as string,
    });
  });
  it('asks again later and later, as the authority’s limits want it, or at once by --now', () => {
    expect(pause()).toBe(15);
    expect(command('request')).toEqual({ code: 75, output: '' });
    expect(asked()).toBe(false);
    for (const minutes of [30, 60, 120, 240, 480, 720, 720]) {
      expect(command('request', '--now').code).toBe(3);
      expect(asked()).toBe(true);
      expect(pause()).toBe(minutes);
    }
    const later = new Date(Date.now() + 3 * 24 * 3600_000).toISOString().replace(/T(.*)\..*/, ' $1 UTC');
    certbot(`echo '  Detail: too many failed authorizations, retry after ${later}: see'; exit 1`);
    command('request', '--now');
    expect(pause()).toBe(3 * 24 * 60);
    role.write('/var/lib/platform/certificate-request', 'reason=x\nrefusals=1\nnext=1\n');
    command('request');
    expect(asked()).toBe(true);
  });
  it('is content with the authority’s certificate for just these names, and asks for any other', () => {
    issued([domain, `turn.${domain}`], directory);
    expect(command('request')).toMatchObject({ code: 0 });
    expect(asked()).toBe(false);
    expect(served()).toContain('encrypted');
    expect(role.exists('/var/lib/platform/certificate-request')).toBe(false);
    for (const [names, from] of [
      [[domain], directory],
      [[domain, `turn.${domain}`, `old.${domain}`], directory],
      [[domain, `turn.${domain}`], 'https://staging.example.org/directory'],
    ] as const) {
      rmSync(role.path('/var/lib/platform/certificate-request'), { force: true });
      issued([...names], from);
      command('request');
      expect(asked(), names.join()).toBe(true);
      expect(called.join().includes('--force-renewal')).toBe(from !== directory);
    }
  });
  it('takes Let’s Encrypt’s before all others, and goes back when it has run out', () => {
    issued([domain], directory);
    expect(command('install').code).toBe(0);
    expect(served()).toContain('encrypted');
    expect(command('status')).toMatchObject({ code: 0 });
    pair(`${lineage}/fullchain.pem`, `${lineage}/privkey.pem`, 'outdated', '0');
    command('install');
    expect(served()).toContain('stack');
    expect(command('status')).toMatchObject({ code: 1 });
    expect(readdirSync(role.path('/etc/ssl/platform')).sort()).toEqual(['public.crt', 'public.key']);
  });
});

describe('platform-focus-guard', () => {
  it('restarts a focus that has died while its unit is active, and no other', () => {
    const role = new RenderedRole(jitsiHostPlan(jitsiValues));
    role.adapt('/usr/local/sbin/platform-focus-guard', [['sleep 5', 'sleep 0']]);
    const env = { PATH: `${role.path('/bin')}:${process.env.PATH}` };
    const guard = (active: boolean, alive: boolean) => {
      role.write('/calls', '');
      role.write(
        '/bin/systemctl',
        `#!/bin/sh\n[ "$1" = is-active ] && exit ${active ? 0 : 3}\necho "$@" >>${role.path('/calls')}\n`,
        0o755,
      );
      role.write('/bin/pgrep', `#!/bin/sh\nexit ${alive ? 0 : 1}\n`, 0o755);
      expect(run(role.path('/usr/local/sbin/platform-focus-guard'), [], { env }).code).toBe(0);
      return role.read('/calls');
    };
    expect(guard(true, true)).toBe('');
    expect(guard(false, false)).toBe('');
    expect(guard(true, false)).toBe('restart jicofo\n');
    role.remove();
  });
});

describe('platform-sip-account', () => {
  it('writes the passwords as Jigasi wants them, for its group alone', () => {
    const role = new RenderedRole(jitsiHostPlan(fullJitsiValues));
    const command = () =>
      run(role.path('/usr/local/sbin/platform-sip-account'), [], { env: { PLATFORM_ROOT: role.root } });
    expect(command()).toMatchObject({ code: 75 });
    role.write('/etc/platform/secrets/sip-password', 'sip secret\n');
    role.write('/etc/platform/secrets/xmpp-jigasi-password', 'xmpp secret\n');
    const { code, output } = command();
    expect(code, output).toBe(0);
    expect(output).not.toContain('secret');
    const path = '/etc/jitsi/jigasi/sip-communicator.properties';
    expect(role.read(path)).toContain(`PASSWORD=${Buffer.from('sip secret').toString('base64')}`);
    expect(role.mode(path)).toBe('0640');
    expect(command()).toEqual({ code: 0, output: '' });
    role.remove();
  });
});
