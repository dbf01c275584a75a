import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { aptSource, hostPlanOf, nftElements } from '../../cloud-init/common/plan';
import { checkHostPlan, planDigest, planText, type HostPlan } from '../../cloud-init/host-plan';
import { globPattern, plainFiles, roleFiles } from '../../cloud-init/role-files';
import { fillTemplate, usedNames } from '../../cloud-init/template';
import { bootGeneration, describedUserData, userData, USER_DATA_LIMIT } from '../../cloud-init/user-data';
import { access, commonValues, extremeAccess, hostValues, plans } from './cloud-init-values';

const folders: string[] = [];

function folder(files: Record<string, string>): string {
  const made = mkdtempSync(join(tmpdir(), 'role-'));
  folders.push(made);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(made, path)), { recursive: true });
    writeFileSync(join(made, path), content);
  }
  return made;
}

afterEach(() => folders.splice(0).forEach((each) => rmSync(each, { recursive: true })));

describe('templates', () => {
  it('fill names and leave what the host fills', () => {
    const text = '{{domain}} {{port}} {{on}} {{host.name}} {{secret.turn-secret}} {{domain}}';
    expect(fillTemplate(text, { domain: 'a.org', port: 443, on: true }, 't')).toBe(
      'a.org 443 true {{host.name}} {{secret.turn-secret}} a.org',
    );
    expect(usedNames(text)).toEqual(['domain', 'port', 'on', 'host.name', 'secret.turn-secret']);
  });

  it('do not fill what a value brings in', () => {
    expect(fillTemplate('{{a}}', { a: '{{b}} $& $1', b: 'never' }, 't')).toBe('{{b}} $& $1');
  });

  it('leave braces that are no reference: Lua tables, nginx, shell', () => {
    const text = 'x = {{ type = "a" }, { "b" }} ${HOME} {{"a"}} {{1,2}}';
    expect(fillTemplate(text, {}, 't')).toBe(text);
  });

  it.each([
    ['{{domian}}', /web\/etc\/site: no value for \{\{domian\}\}; there are domain/],
    ['{{toString}}', /no value for \{\{toString\}\}/],
    ['{{ domain }}', /"\{\{ domain \}\}" is not a reference/],
    ['{{do-main}}', /"\{\{do-main\}\}" is not a reference/],
    ['{{hots.name}}', /neither host\.\* nor secret\.\*/],
  ])('refuse %s', (text, reason) => {
    expect(() => fillTemplate(text, { domain: 'a.org' }, 'web/etc/site')).toThrow(reason);
  });
});

describe('role folders', () => {
  it('mirror the machine, with the domain in paths and rules for what is not the default', () => {
    const made = folder({
      'etc/web/__domain__.conf': 'for {{domain}}\r\n',
      'etc/web/key.conf': 'k',
      'usr/local/sbin/platform-x': '#!/bin/sh\n',
      'plan.ts': 'not for the host',
      'keyrings/a.asc': 'not for the host',
    });
    const files = roleFiles(made, { domain: 'a.org' }, [
      { path: '/etc/web/**', group: 'web', phase: 'before-packages' },
      { path: '/etc/web/key.conf', mode: '0640' },
    ]);
    expect(Object.keys(files)).toEqual([
      '/etc/web/a.org.conf',
      '/etc/web/key.conf',
      '/usr/local/sbin/platform-x',
    ]);
    expect(files['/etc/web/a.org.conf']).toEqual({
      owner: 'root',
      group: 'web',
      mode: '0644',
      content: 'for a.org\n',
      phase: 'before-packages',
    });
    expect(files['/etc/web/key.conf']!.mode).toBe('0640');
    expect(files['/usr/local/sbin/platform-x']).toMatchObject({ mode: '0755', phase: 'after-packages' });
  });

  it('leave optional parts out, whose values still count as used', () => {
    const made = folder({ 'etc/a': 'a', 'etc/sip/b': '{{account}}' });
    expect(Object.keys(roleFiles(made, { account: 'x' }, [], ['/etc/sip/**']))).toEqual(['/etc/a']);
  });

  it('refuse slips: an unused value, a rule or an omission without a file', () => {
    const made = folder({ 'etc/a': 'a' });
    expect(() => roleFiles(made, { domian: 'a.org' })).toThrow(/no template uses \{\{domian\}\}/);
    expect(() => roleFiles(made, {}, [{ path: '/etc/b', mode: '0600' }])).toThrow(/no file matches \/etc\/b/);
    expect(() => roleFiles(made, {}, [], ['/etc/c/**'])).toThrow(/no file matches \/etc\/c/);
  });

  it('take plain files as they are, from a folder that may be missing', () => {
    const made = folder({ 'mod_a.lua': '{{ not a template }}', 'README.md': '' });
    const files = plainFiles(made, '.lua', '/usr/local/lib/prosody/platform');
    expect(Object.keys(files)).toEqual(['/usr/local/lib/prosody/platform/mod_a.lua']);
    expect(files['/usr/local/lib/prosody/platform/mod_a.lua']!.content).toBe('{{ not a template }}');
    expect(plainFiles(join(made, 'missing'), '.lua', '/x')).toEqual({});
  });

  it.each([
    ['/etc/*', '/etc/a', true],
    ['/etc/*', '/etc/a/b', false],
    ['/etc/**', '/etc/a/b', true],
    ['/etc/a.b', '/etc/aXb', false],
    ['/etc/*.conf', '/etc/a.conf.bak', false],
  ])('glob %s and %s: %s', (glob, path, hit) => expect(globPattern(glob).test(path)).toBe(hit));
});

describe('host plans', () => {
  const plan = () => plans.jitsi!();

  it.each(Object.keys(plans))('of %s are stable and free of unknowns', (name) => {
    const text = planText(plans[name]!());
    expect(planText(plans[name]!())).toBe(text);
    expect(text).not.toMatch(/undefined|\[object|NaN|Output</);
    expect(JSON.parse(text)).toMatchObject({ format: 1 });
  });

  it('have a digest that follows their text, whatever the order of keys', () => {
    const made = plan();
    const turned = Object.fromEntries(Object.entries(made).reverse()) as unknown as HostPlan;
    expect(planDigest(turned)).toBe(planDigest(made));
    expect(planDigest({ ...made, ready: 'false' })).not.toBe(planDigest(made));
    expect(planDigest(made)).toMatch(/^[0-9a-f]{64}$/);
  });

  const file = { owner: 'root', group: 'root', mode: '0644', content: '', phase: 'after-packages' } as const;
  it.each<[string, Partial<HostPlan>, RegExp]>([
    [
      'an unknown host value',
      { files: { '/a': { ...file, content: '{{host.nmae}}' } } },
      /\/a: \{\{host\.nmae\}\} is not known/,
    ],
    [
      'an unlisted secret',
      { files: { '/a': { ...file, content: '{{secret.x}}' } } },
      /not among the plan's secrets/,
    ],
    [
      'a secret that all can read',
      { files: { '/a': { ...file, content: '{{secret.deploy-keys}}' } }, secrets: ['deploy-keys'] },
      /readable by all \(mode 0644\)/,
    ],
    [
      'a secret of another role',
      { secrets: ['store-access-key-id'] },
      /not a secret of the role jitsi; known: jwt-secret/,
    ],
    ['a relative path', { files: { 'etc/a': file } }, /"etc\/a" is not a plain absolute path/],
    ['a path with ..', { links: { '/etc/../a': '/b' } }, /not a plain absolute path/],
    ['a mode', { files: { '/a': { ...file, mode: '644' } } }, /mode "644" is not four octal digits/],
    ['a file that is absent', { files: { '/a': file }, absent: ['/a'] }, /both a file and a link or absent/],
    [
      'a unit that is enabled and masked',
      { units: { enabled: ['a.service'], disabled: [], masked: ['a.service'] } },
      /both enabled and/,
    ],
    [
      'a value that was forgotten',
      { files: { '/a': { ...file, content: '{{domain}}' } } },
      /\{\{domain\}\} is not known/,
    ],
  ])('refuse %s', (_, change, reason) => {
    const empty = {
      aptSources: [],
      packages: [],
      debconf: [],
      users: {},
      directories: {},
      files: {},
      links: {},
      absent: [],
    };
    const units = { enabled: [], disabled: [], masked: [] };
    expect(() =>
      checkHostPlan({
        role: 'jitsi',
        format: 1,
        ...empty,
        units,
        services: [],
        secrets: [],
        ready: 'true',
        ...change,
      }),
    ).toThrow(reason);
  });

  it('refuse a path that the role and common both declare', () => {
    expect(() => hostPlanOf('bridge', commonValues, { files: { '/etc/nftables.conf': file } })).toThrow(
      /declared twice/,
    );
  });

  it('take the shipped key of a package source, or the given one, and refuse none', () => {
    const source = { uri: 'https://x.example.org', suite: 'stable/', components: '', key: '' };
    expect(aptSource('jitsi', source).keyring).toMatch(/^-----BEGIN PGP PUBLIC KEY BLOCK-----/);
    expect(aptSource('jitsi', { ...source, key: ' KEY\r\nKEY\n' }).keyring).toBe('KEY\nKEY');
    expect(aptSource('debian', source).keyring).toBe('');
    expect(() => aptSource('other', source)).toThrow(/package source other: no key given/);
  });

  it('have no empty nftables set', () => {
    expect(nftElements([])).toBe('');
    const firewall = hostPlanOf('bridge', { ...commonValues, adminCidrs: [] }, {}).files[
      '/etc/nftables.conf'
    ]!.content;
    expect(firewall).not.toContain('elements');
  });
});

describe('user data', () => {
  interface CloudConfig {
    bootcmd: string[];
    ssh_keys: Record<string, string>;
    ssh_authorized_keys: string[];
    write_files: { path: string; permissions: string; encoding?: string; content: string }[];
  }

  function unpacked(text: string): { config: CloudConfig; files: Record<string, string> } {
    expect(text.startsWith('#cloud-config\n')).toBe(true);
    const config = parse(text) as CloudConfig;
    const files = config.write_files.map(({ path, encoding, content }) => [
      path,
      encoding ? gunzipSync(Buffer.from(content, 'base64')).toString() : content,
    ]);
    return { config, files: Object.fromEntries(files) as Record<string, string> };
  }

  it.each(Object.keys(plans))('of %s fits, and its size is printed', (name) => {
    const plan = plans[name]!();
    const { bytes, text } = describedUserData(
      plan,
      hostValues(plan.role),
      name.includes('extreme') ? extremeAccess : access,
    );
    console.log(`${name}: plan ${planText(plan).length} bytes, user data ${bytes} bytes`);
    expect(bytes).toBe(Buffer.byteLength(text));
    expect(bytes).toBeLessThanOrEqual(USER_DATA_LIMIT);
    // The engine's state holds it for each host of a pool.
    if (name === 'recorder') expect(bytes).toBeLessThan(12 * 1024);
  });

  it('brings the keys, the host values and the programs, byte for byte', () => {
    const plan = plans.recorder!();
    const { config, files } = unpacked(userData(plan, hostValues('recorder'), access));
    expect(config.ssh_keys).toEqual({
      ed25519_private: access.hostKeyPrivate,
      ed25519_public: access.hostKeyPublic.trim(),
    });
    expect(config.ssh_authorized_keys).toEqual(access.authorizedKeys);
    expect(config.bootcmd[0]).toContain('169.254.169.254');
    expect(JSON.parse(files['/etc/platform/host.json']!)).toEqual({
      name: 'recorder-7',
      role: 'recorder',
      privateAddress: '10.10.2.7',
      domain: 'meet.example.org',
      bootGeneration: bootGeneration(plan, 'debian-12'),
    });
    for (const path of ['/usr/local/sbin/platform-apply', '/usr/local/sbin/platform-secrets']) {
      expect(files[path]).toBe(readFileSync(join(__dirname, '../../cloud-init/boot', path), 'utf8'));
      expect(plan.files[path]!.content, 'the plan brings the whole program').not.toBe(files[path]);
    }
  });

  it('does not carry the plan, and is the same for the same values', () => {
    const plan = plans.recorder!();
    const text = userData(plan, hostValues('recorder'), access);
    expect(text).not.toContain('host-plan.json');
    expect(userData(plans.recorder!(), hostValues('recorder'), access)).toBe(text);
  });

  it('keeps YAML safe from what a value holds', () => {
    const key = 'ssh-ed25519 AAAA "quoted": # - {Учитель} \\ \'';
    const { config } = unpacked(
      userData(plans.bridge!(), hostValues('bridge'), { ...access, authorizedKeys: [key] }),
    );
    expect(config.ssh_authorized_keys).toEqual([key]);
  });

  it('names size and largest parts when it is too large', () => {
    const authorizedKeys = Array.from({ length: 80 }, () => `ssh-rsa ${'A'.repeat(540)} x`);
    expect(() => userData(plans.bridge!(), hostValues('bridge'), { ...access, authorizedKeys })).toThrow(
      /user data of bridge-1-2 is \d+ bytes, at most 32768 are allowed; largest parts in bytes: keys \d+/,
    );
  });

  it('refuses keys that are none and a plan of another role', () => {
    const of = (more: object) => () =>
      userData(plans.bridge!(), hostValues('bridge'), { ...access, ...more });
    expect(of({ hostKeyPrivate: '-----BEGIN EC PRIVATE KEY-----' })).toThrow(/not in OpenSSH's format/);
    expect(of({ hostKeyPrivate: 'SECRET' })).not.toThrow(/SECRET/);
    expect(of({ authorizedKeys: [] })).toThrow(/nobody could enter/);
    expect(of({ authorizedKeys: ['ssh-ed25519 AAAA x\nssh-rsa BBBB'] })).toThrow(/not an OpenSSH public key/);
    expect(() => userData(plans.bridge!(), hostValues('jitsi'), access)).toThrow(/jitsi-1 is a jitsi/);
  });

  it('has a generation that changes with the image and not with the plan’s files', () => {
    const plan = plans.jitsi!();
    const generation = bootGeneration(plan, 'debian-12');
    expect(generation).toMatch(/^[0-9a-f]{12}$/);
    const changed = { ...plan, files: {}, packages: ['other'] };
    expect(bootGeneration(changed, 'debian-12')).toBe(generation);
    expect(bootGeneration(plan, 'debian-13')).not.toBe(generation);
  });
});
