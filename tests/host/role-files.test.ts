import { chmodSync, existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has, RenderedRole, run } from './rendered-role';
import { rolePlans } from './role-values';

/** Files of every role, read by the programs that will read them on the hosts. */
const roles: Record<string, RenderedRole> = {};
const plans = rolePlans();

beforeAll(() => {
  for (const [name, plan] of Object.entries(plans)) roles[name] = new RenderedRole(plan);
});
afterAll(() => Object.values(roles).forEach((role) => role.remove()));

async function opens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function opensTls(port: number): Promise<boolean> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, minVersion: 'TLSv1.2' });
  try {
    await once(socket, 'secureConnect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A STUN binding request (RFC 8489): type 1, no attributes, magic cookie, transaction id; 0x0101 is success. */
async function answersStun(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  const request = Buffer.concat([Buffer.from('000100002112a442', 'hex'), randomBytes(12)]);
  try {
    const answer = once(socket, 'message', { signal: AbortSignal.timeout(1000) });
    socket.send(request, port, '127.0.0.1');
    const [data] = (await answer) as [Buffer];
    return data.readUInt16BE(0) === 0x0101;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

const ofRoles = (prefix: string) => Object.keys(plans).filter((name) => name.startsWith(prefix));

/** A test that is skipped, by name and with the reason, where a program is missing. */
const needing = (program: string) => (has(program) ? it : (it.skip as unknown as typeof it));

describe.each(Object.keys(plans))('%s', (name) => {
  const scripts = (interpreter: RegExp) =>
    Object.entries(plans[name]!.files)
      .filter(([path, file]) => interpreter.test(file.content.split('\n')[0]!) && !path.includes('nftables'))
      .map(([path]) => roles[name]!.path(path));

  needing('shellcheck')('shell scripts are clean (needs shellcheck)', () => {
    const found = scripts(/^#!.*\b(ba)?sh\b/);
    expect(found.length).toBeGreaterThan(3);
    expect(run('shellcheck', found)).toEqual({ code: 0, output: '' });
  });

  it('Python parses', () => {
    const found = Object.keys(plans[name]!.files)
      .filter((path) => path.endsWith('.py'))
      .map((path) => roles[name]!.path(path))
      .concat(scripts(/python3/));
    const parse =
      'import ast, pathlib, sys\nfor path in sys.argv[1:]: ast.parse(pathlib.Path(path).read_text(), path)';
    expect(run('python3', ['-W', 'error', '-c', parse, ...found])).toEqual({ code: 0, output: '' });
  });

  needing('nft')('the firewall is valid as a whole (needs nftables)', () => {
    const role = roles[name]!;
    role.adapt('/etc/nftables.conf', [['"/etc/nftables.d/', `"${role.path('/etc/nftables.d/')}`]]);
    expect(run('nft', ['--check', '--file', role.path('/etc/nftables.conf')])).toEqual({
      code: 0,
      output: '',
    });
  });

  needing('hocon')('HOCON parses (needs ruby-hocon)', () => {
    const keys: [RegExp, string][] = [
      [/jicofo\.conf$/, 'jicofo.xmpp.client.domain'],
      [/jvb\.conf$/, 'videobridge.apis.xmpp-client.configs.shard.domain'],
      [/jibri\.conf$/, 'jibri.api.xmpp.environments'],
    ];
    const found = Object.keys(plans[name]!.files).flatMap((path) =>
      keys.filter(([pattern]) => pattern.test(path)).map(([, key]) => [path, key] as const),
    );
    expect(found.length).toBeGreaterThan(0);
    for (const [path, key] of found) {
      const { code, output } = run('hocon', ['-f', roles[name]!.path(path), 'get', key]);
      expect(code, output).toBe(0);
      expect(output).toContain('meet');
    }
  });

  it('JSON and the web client’s settings parse', () => {
    for (const path of Object.keys(plans[name]!.files).filter((each) => each.endsWith('.json'))) {
      expect(() => JSON.parse(roles[name]!.read(path)) as unknown, path).not.toThrow();
    }
    for (const path of Object.keys(plans[name]!.files).filter((each) => each.endsWith('-config.js'))) {
      const script = `${roles[name]!.read(path)}\nprocess.stdout.write(config.hosts.muc)`;
      expect(run('node', ['-e', script]).output).toMatch(/^conference\.meet/);
    }
  });

  needing('systemd-analyze')('systemd finds no mistake in the units (needs systemd)', () => {
    const role = roles[name]!;
    const units = Object.keys(plans[name]!.files)
      .filter((path) => /^\/etc\/systemd\/system\/[^/]+\.(service|timer)$/.test(path))
      .map((path) => role.path(path));
    const { output } = run('systemd-analyze', ['verify', '--recursive-errors=no', '--man=no', ...units], {
      env: { SYSTEMD_UNIT_PATH: `${role.path('/etc/systemd/system')}:` },
    });
    // Programs that only a host has are no mistake of the unit.
    const mistakes = output
      .split('\n')
      .filter((line) => line.includes(role.root) || /Unknown|Invalid|Failed to parse|ignoring/.test(line))
      .filter((line) => !/is not executable: No such file|Failed to create .*cgroup/.test(line));
    expect(mistakes).toEqual([]);
  });
});

describe.each(ofRoles('jitsi'))('%s', (name) => {
  const domain = name === 'jitsi' ? 'meet.example.org' : 'meet-2.example.org';

  const luac = ['luac5.4', 'luac'].find(has) ?? 'luac';
  needing(luac)('Prosody’s files are Lua (needs luac)', () => {
    for (const path of ['/etc/prosody/prosody.cfg.lua', `/etc/prosody/conf.avail/${domain}.cfg.lua`]) {
      expect(run(luac, ['-p', roles[name]!.path(path)])).toEqual({ code: 0, output: '' });
    }
  });

  needing('prosodyctl')('Prosody finds no mistake in its configuration (needs prosody)', () => {
    const role = roles[name]!;
    run('mkdir', ['-p', role.path('/etc/prosody/certs')]);
    // On a host it is Prosody's group's, which may have another number here.
    chmodSync(role.path('/etc/prosody/prosody.cfg.lua'), 0o644);
    const { output } = run('prosodyctl', [
      '--config',
      role.path('/etc/prosody/prosody.cfg.lua'),
      'check',
      'config',
    ]);
    expect(output).toContain(`conf.d/${domain}.cfg.lua`);
    expect(output).toContain('All checks passed');
  });

  const streams = '/usr/lib/nginx/modules/ngx_stream_module.so';
  const turnOn443 = name !== 'jitsi';
  const canTest = has('nginx') && has('openssl') && (!turnOn443 || existsSync(streams));
  (canTest ? it : it.skip)('nginx takes its site (needs nginx, libnginx-mod-stream, openssl)', () => {
    const role = roles[name]!;
    const [key, certificate] = ['/etc/ssl/platform/public.key', '/etc/ssl/platform/public.crt'];
    role.write(key, '');
    run('openssl', [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-subj',
        `/CN=${domain}`,
      ],
      ...['-keyout', role.path(key), '-out', role.path(certificate)],
    ]);
    const site = `/etc/nginx/sites-available/${domain}.conf`;
    role.adapt(site, [['/etc/ssl/platform', role.path('/etc/ssl/platform')]]);
    role.write(
      '/etc/nginx/nginx.conf',
      [
        turnOn443
          ? `load_module ${streams};\ninclude ${role.path('/etc/nginx/modules-enabled/*.conf')};`
          : '',
        `pid ${role.path('/nginx.pid')}; events {}`,
        `http { access_log off; include ${role.path('/etc/nginx/conf.d/*.conf')}; include ${role.path('/etc/nginx/sites-enabled/*')}; }`,
      ].join('\n'),
    );
    const { code, output } = run('nginx', [
      ...['-t', '-c', role.path('/etc/nginx/nginx.conf'), '-p', role.path('/etc/nginx')],
      ...['-g', `error_log ${role.path('/nginx.log')};`],
    ]);
    // Later versions advise the directive http2, which Debian 12's does not know.
    expect(
      output
        .split('\n')
        .filter((line) => /\[(emerg|alert|crit|error|warn)\]/.test(line) && !line.includes('http2')),
    ).toEqual([]);
    expect(code, output).toBe(0);
  });

  needing('turnserver')(
    'coturn listens on UDP and, with a key that it can read, on TLS (needs coturn)',
    async () => {
      const role = roles[name]!;
      const pair = ['/etc/turnserver/public.key', '/etc/turnserver/public.crt'];
      role.write(pair[0]!, '');
      run('openssl', [
        ...[
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-nodes',
          '-subj',
          `/CN=${domain}`,
        ],
        ...['-keyout', role.path(pair[0]!), '-out', role.path(pair[1]!)],
      ]);
      role.adapt('/etc/turnserver.conf', [
        ['198.18.0.5', '127.0.0.1'],
        ['=/etc/turnserver/', `=${role.path('/etc/turnserver/')}`],
        [/^syslog$/m, `log-file=stdout\nuserdb=${role.path('/turndb')}\npidfile=${role.path('/turn.pid')}`],
        ['listening-port=3478', 'listening-port=14780'],
        ['tls-listening-port=5349', 'tls-listening-port=15349'],
      ]);
      const running = spawn('turnserver', ['-c', role.path('/etc/turnserver.conf')], { stdio: 'pipe' });
      let output = '';
      running.stdout.on('data', (data: Buffer) => (output += data.toString()));
      const ended = once(running, 'exit');
      try {
        await expect.poll(() => opensTls(15349), { timeout: 15_000 }).toBe(true);
        await expect.poll(() => answersStun(14780), { timeout: 5_000 }).toBe(true);
        expect(await opens(14780), '3478 over TCP').toBe(false);
        expect(output).not.toMatch(/Bad configuration|cannot find|Unknown/i);
        expect(output).not.toContain('value-of-turn-secret');
      } finally {
        running.kill();
        await ended;
      }
    },
  );
});
