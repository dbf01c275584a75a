import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { HostPlan } from '../../cloud-init/host-plan';
import { enabledModules, pluginFiles } from '../../cloud-init/jitsi/prosody-modules';
import { bridgeHostPlan, jitsiHostPlan, recorderHostPlan } from '../../cloud-init/roles';
import { usedNames } from '../../cloud-init/template';
import { bridgeValues, fullJitsiValues, jitsiValues, recorderValues, rolePlans } from '../host/role-values';

const content = (plan: HostPlan, path: string): string => {
  const found = plan.files[path];
  if (!found) throw new Error(`${plan.role} has no ${path}`);
  return found.content;
};

describe.each(Object.entries(rolePlans()))('%s', (_, plan) => {
  it('has every value of the platform filled in', () => {
    for (const [path, file] of Object.entries(plan.files)) {
      const left = usedNames(file.content).filter((name) => !/^(host|secret)\./.test(name));
      expect(left, path).toEqual([]);
      expect(/\b(undefined|NaN|\[object Object\])/.exec(file.content), path).toBeNull();
    }
  });

  it('calls only commands of its own that it brings', () => {
    const commands = [
      plan.ready,
      ...plan.services.flatMap((each) => [each.check, each.verify, each.reloadCommand]),
    ]
      .filter((each) => each !== undefined)
      .flatMap((each) => each.match(/\/usr\/local\/\S+/g) ?? []);
    for (const command of commands) expect(plan.files[command]?.mode, command).toBe('0755');
    expect(plan.files['/usr/local/sbin/platform-lessons']?.mode).toBe('0755');
  });

  it('has a unit file for each unit of the platform that it enables, restarts or orders', () => {
    const names = [...plan.units.enabled, ...plan.services.map((each) => each.unit)].filter((each) =>
      each.startsWith('platform-'),
    );
    for (const name of names) {
      const file = name.replace(/@[^.]*\./, '@.');
      expect(plan.files, name).toHaveProperty([`/etc/systemd/system/${file}`]);
      if (name.endsWith('.timer')) {
        expect(plan.files, name).toHaveProperty([
          `/etc/systemd/system/${file.replace('.timer', '.service')}`,
        ]);
      }
    }
  });

  it('starts, in its units, only programs that it brings or that a package has', () => {
    for (const [path, file] of Object.entries(plan.files)) {
      if (!path.startsWith('/etc/systemd/system/')) continue;
      for (const [, program] of file.content.matchAll(/^Exec\w+=-?(\/usr\/local\/\S+)/gm)) {
        expect(plan.files[program!]?.mode, `${path}: ${program}`).toBe('0755');
      }
    }
  });

  it('carries a changed secret to a service, unless a program reads it each time', () => {
    const readEachTime = [
      ...['deploy-keys', 'webhook-secret', 'store-access-key-id', 'store-secret-access-key'],
      ...['alert-webhook', 'alert-smtp'],
    ];
    for (const secret of plan.secrets.filter((each) => !readEachTime.includes(each))) {
      const files = Object.entries(plan.files)
        .filter(([, file]) => file.content.includes(`{{secret.${secret}}}`))
        .map(([path]) => path);
      const read = plan.services.some((service) =>
        service.files.some((glob) => {
          const pattern = new RegExp(`^${glob.replace(/[.+@]/g, '\\$&').replace(/\*+/g, '.*')}$`);
          return [`/etc/platform/secrets/${secret}`, ...files].some((path) => pattern.test(path));
        }),
      );
      expect(read, secret).toBe(true);
    }
  });

  it('seeds debconf with throwaway secrets alone', () => {
    for (const line of plan.debconf) {
      expect(line).not.toContain('{{secret.');
      if (/ password |turn-secret/.test(line)) expect(line).toMatch(/ \{\{throwaway\}\}$/);
    }
  });
});

describe('the domain’s Prosody file', () => {
  const plan = jitsiHostPlan(jitsiValues);
  const path = '/etc/prosody/conf.avail/meet.example.org.cfg.lua';
  const text = content(plan, path);
  const rows = text.split('\n');

  // What jitsi-meet-prosody and jitsi-meet-tokens look for before they leave a file alone.
  it('lies there before the packages, readable and without a secret, with its link', () => {
    expect(plan.files[path]).toMatchObject({ mode: '0644', owner: 'root', phase: 'before-packages' });
    expect(text).not.toContain('{{secret');
    expect(plan.links['/etc/prosody/conf.d/meet.example.org.cfg.lua']).toBe(path);
  });
  it.each([
    'component_admins_as_room_owners = ',
    'unlimited_jids',
    'internal.auth.meet.example.org',
    'Component "polls.meet.example.org"',
    '--"polls";',
    'Component "focus.meet.example.org" "client_proxy"',
    'VirtualHost "jigasi.meet.jitsi"',
  ])('holds %s', (wanted) => expect(text).toContain(wanted));
  it('has restrict_room_creation within two lines of the conference component', () => {
    const at = rows.indexOf('Component "conference.meet.example.org" "muc"');
    expect(at).toBeGreaterThan(0);
    expect(rows.slice(at + 1, at + 3).join()).toContain('restrict_room_creation');
  });
  it('has the tokens’ marker at the start of a line and indented', () => {
    expect(rows).toContain('authentication = "token" -- do not delete me');
    expect(rows).toContain('    authentication = "token" -- do not delete me');
  });
  it('has no other line that the packages would comment out', () => {
    expect(rows.filter((row) => /^\s*"polls";/.test(row))).toEqual([]);
  });
  it('keeps the packages from making certificates', () => {
    for (const host of ['', 'auth.']) {
      expect(plan.files[`/var/lib/prosody/${host}meet.example.org.crt`]).toMatchObject({
        phase: 'before-packages',
      });
    }
  });
  it('lets the recorder in without a token, through password and lobby', () => {
    expect(text).toContain('token_verification_allowlist = { "recorder.meet.example.org" }');
    expect(text).toContain('muc_lobby_whitelist = { "recorder.meet.example.org" }');
    expect(text).toMatch(/muc_password_whitelist = \{ "recorder\.meet\.example\.org"/);
    expect(text).toContain('"filter_iq_jibri"');
  });
  it('notices recorders that vanish', () => {
    expect(text).toMatch(/unlimited_jids = \{[^}]*"jibri@auth\.meet\.example\.org"/);
    expect(content(plan, '/etc/prosody/prosody.cfg.lua')).toContain('read_timeout = 40');
  });
});

describe('what lies on the Jitsi host before the packages', () => {
  const plan = jitsiHostPlan(jitsiValues);
  it.each([
    '/etc/jitsi/meet/meet.example.org-config.js',
    '/etc/nginx/sites-available/meet.example.org.conf',
    '/etc/jitsi/jicofo/jicofo.conf',
    '/etc/jitsi/videobridge/jvb.conf',
    '/etc/turnserver.conf',
    '/etc/prosody/prosody.cfg.lua',
  ])('%s', (path) => expect(plan.files[path]?.phase).toBe('before-packages'));
  it('the words that keep jitsi-meet-turnserver away', () => {
    const turn = content(plan, '/etc/turnserver.conf');
    expect(turn).toContain('jitsi-meet coturn config');
    expect(turn).toContain('jitsi-meet coturn relay disable config');
    expect(plan.files['/etc/turnserver.conf']).toMatchObject({ group: 'turnserver', mode: '0640' });
  });
  it('answers for debconf: an own certificate, outside the folder that web-config rewrites', () => {
    expect(plan.debconf.join('\n')).toContain('cert-choice select I want to use my own certificate');
    expect(plan.debconf.join('\n')).toMatch(/cert-path-crt string \/etc\/ssl\/platform\//);
  });
  it('everything that web client, Jicofo and bridge have in common', () => {
    const jicofo = content(plan, '/etc/jitsi/jicofo/jicofo.conf');
    expect(jicofo).toContain('enable-auto-owner = false');
    expect(jicofo).toContain('disable-certificate-verification = false');
    expect(content(plan, '/etc/jitsi/videobridge/jvb.conf')).toContain(
      'disable_certificate_verification = false',
    );
    expect(content(plan, '/etc/jitsi/meet/meet.example.org-config.js')).toContain(
      "hiddenDomain: 'recorder.meet.example.org'",
    );
  });
});

describe('optional parts of the Jitsi host', () => {
  const plan = jitsiHostPlan(fullJitsiValues);
  const plain = jitsiHostPlan(jitsiValues);
  it('TURN on 443', () => {
    expect(content(plan, '/etc/nginx/modules-enabled/60-turn-on-443.conf')).toContain(
      'turn.meet-2.example.org',
    );
    expect(content(plan, '/etc/nginx/sites-available/meet-2.example.org.conf')).toContain(
      'listen 127.0.0.1:4443 ssl http2 proxy_protocol;',
    );
    expect(content(plan, '/etc/prosody/conf.avail/meet-2.example.org.cfg.lua')).toContain(
      'host = "turn.meet-2.example.org", port = 443',
    );
    expect(plain.files).not.toHaveProperty(['/etc/nginx/modules-enabled/60-turn-on-443.conf']);
  });
  it('no bridge of its own', () => {
    expect(plan.packages).not.toContain('jitsi-videobridge2');
    expect(plan.files).not.toHaveProperty(['/etc/jitsi/videobridge/jvb.conf']);
    expect(content(plan, '/etc/nginx/sites-available/meet-2.example.org.conf')).toContain(
      'http://10.10.12.$number:9090',
    );
  });
  it('a SIP gateway', () => {
    expect(plan.packages).toContain('jigasi');
    expect(plan.secrets).toEqual(expect.arrayContaining(['sip-password', 'xmpp-jigasi-password']));
    expect(content(plan, '/etc/jitsi/jicofo/jicofo.conf')).toContain(
      'jigasibrewery@internal.auth.meet-2.example.org',
    );
    expect(content(plan, '/usr/local/sbin/platform-accounts')).toContain('("jigasi", "auth." + DOMAIN');
    expect(plain.packages).not.toContain('jigasi');
    expect(plain.files).not.toHaveProperty(['/usr/local/sbin/platform-sip-account']);
  });
  it('embedding by the app’s origins alone', () => {
    expect(content(plain, '/etc/nginx/snippets/platform-headers.conf')).toContain(
      "frame-ancestors 'self' https://app.example.org https://old-app.example.org\"",
    );
  });
});

describe('the project’s Prosody modules', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lesson-platform-plugins-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  it('are shipped and enabled once they are there', () => {
    expect(enabledModules('conference', folder)).toBe('');
    writeFileSync(join(folder, 'mod_token_moderation.lua'), '-- here\n');
    writeFileSync(join(folder, 'README.md'), 'not for the host');
    expect(enabledModules('conference', folder)).toBe('        "token_moderation";\n');
    expect(enabledModules('breakout', folder)).toBe('        "token_moderation";\n');
    expect(enabledModules('host', folder)).toBe('');
    expect(Object.keys(pluginFiles(folder))).toEqual([
      '/usr/local/lib/prosody/platform/mod_token_moderation.lua',
    ]);
  });
});

describe('recorder instances', () => {
  const plan = recorderHostPlan({ ...recorderValues, instances: 3 });
  const config = (instance: number) => content(plan, `/etc/jitsi/jibri/instance-${instance}/jibri.conf`);
  it('share nothing: ports, folder, nickname, user', () => {
    const unique = (pattern: RegExp) =>
      new Set([1, 2, 3].map((each) => pattern.exec(config(each))?.[1])).size;
    for (const pattern of [
      /external-api-port = (\d+)/,
      /internal-api-port = (\d+)/,
      /recordings-directory = "([^"]+)"/,
      /nickname = "([^"]+)"/,
    ]) {
      expect(unique(pattern), String(pattern)).toBe(3);
      expect(config(1)).toMatch(pattern);
    }
    expect(Object.keys(plan.users)).toEqual(['jibri-1', 'jibri-2', 'jibri-3']);
    expect(plan.files['/etc/jitsi/jibri/instance-2/jibri.conf']).toMatchObject({
      group: 'jibri-2',
      mode: '0640',
    });
  });
  it('each find their own display where Jibri and its browser look for it', () => {
    expect(config(2)).toContain('"-i", ":0.0+0,0"');
    expect(content(plan, '/etc/systemd/system/platform-jibri@.service')).toMatch(
      /DISPLAY=:0 [^]*BindPaths=\/tmp\/\.X11-unix\/X%i:\/tmp\/\.X11-unix\/X0\n/,
    );
  });
  it('join the brewery of each shard, by the private network, certificates verified', () => {
    expect(config(1).match(/xmpp-server-hosts = \[ "10\.10\.1\.[12]" \]/g)).toHaveLength(2);
    expect(config(1)).not.toContain('trust-all-xmpp-certs = true');
    expect(config(1).match(/trust-all-xmpp-certs = false/g)).toHaveLength(2);
  });
  it('never record below /tmp, and keep what a crash leaves', () => {
    expect(config(1)).not.toMatch(/"\/tmp/);
    expect(config(1)).toContain('frag_keyframe');
  });
  it.each([0, 1.5, 33])('are not %s', (instances) => {
    expect(() => recorderHostPlan({ ...recorderValues, instances })).toThrow(/whole number from 1 to 32/);
  });
  it('leave the package’s single instance off', () => {
    expect(plan.units.disabled).toContain('jibri.service');
  });
});

describe('a bridge', () => {
  it('is unique, verifies, and says its public address', () => {
    const text = content(bridgeHostPlan(bridgeValues), '/etc/jitsi/videobridge/jvb.conf');
    expect(text).toContain('hostname = "10.10.1.1"');
    expect(text).toContain('muc_nickname = "{{host.name}}"');
    expect(text).toContain('server-id = "{{host.name}}"');
    expect(text).toContain(
      'local-address = "{{host.privateAddress}}", public-address = "{{host.publicAddress}}"',
    );
    expect(text).toContain('disable_certificate_verification = false');
  });
});

describe('values that would end a quoted string', () => {
  it('are refused by name, all at once', () => {
    const make = () =>
      jitsiHostPlan({ ...jitsiValues, appId: 'a"b', appOrigins: ['https://a.example.org;'] });
    expect(make).toThrow(/appId: "a\\"b"[^]*appOrigins\[0\]/);
  });
});
