import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rootFileSystem } from '../../local/machines/root-file-system';
import { standInRepository, standIns, versionOf, type Repository } from '../../local/stand-ins/build';
import { PackageRoot, whyNoPackageRoot } from './package-root';
import { filled, has, run } from './rendered-role';
import { rolePlans } from './role-values';

const scratch = mkdtempSync(join(tmpdir(), 'lesson-platform-stand-ins-'));
const sources = join(__dirname, '../../local/stand-ins/packages');
const build = (cache: string, raise = 0) => {
  process.env['REAL'] = '';
  return standInRepository(() => undefined, { raise, cache: join(scratch, cache) });
};

let repository: Repository;
beforeAll(async () => {
  repository = await build('first');
}, 120_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const debs = ({ folder }: Repository) =>
  readdirSync(join(folder, 'stable')).filter((name) => name.endsWith('.deb'));
const debOf = (name: string, { folder } = repository) =>
  join(
    folder,
    'stable',
    debs({ folder, key: '' }).find((file) => file.startsWith(`${name}_`))!,
  );
const field = (name: string, which: string) => run('dpkg-deb', ['--field', debOf(name), which]).output.trim();

/** Version pattern and what must be among the dependencies, as Jitsi's packages have them. */
const packages: Record<string, { version: RegExp; preDepends?: string[]; depends?: string[] }> = {
  'jitsi-meet-web': { version: /^1\.0\.\d+-1$/ },
  'jitsi-meet-web-config': {
    version: /^1\.0\.\d+-1$/,
    preDepends: ['nginx | nginx-full | nginx-extras | openresty | apache2'],
    depends: ['openssl', 'curl'],
  },
  'jitsi-meet-prosody': {
    version: /^1\.0\.\d+-1$/,
    depends: [
      ...['prosody (>= 0.12', 'openssl', 'ca-certificates-java'],
      ...['lua-sec', 'lua-basexx', 'lua-luaossl', 'lua-cjson', 'lua-inspect'],
    ],
  },
  'jitsi-meet-tokens': { version: /^1\.0\.\d+-1$/, depends: ['prosody (>= 0.12', 'jitsi-meet-prosody'] },
  'jitsi-meet-turnserver': {
    version: /^1\.0\.\d+-1$/,
    preDepends: ['jitsi-meet-web-config'],
    depends: ['jitsi-meet-prosody', 'coturn', 'dnsutils'],
  },
  jicofo: { version: /^1\.0-\d+-1$/, depends: ['openjdk-17-jre-headless', 'ruby-hocon', 'jq'] },
  'jitsi-videobridge2': {
    version: /^2\.3-\d+-g[0-9a-f]+-1$/,
    preDepends: ['openjdk-17-jre-headless', 'libssl3 | libssl1.1'],
    depends: ['procps', 'uuid-runtime', 'ruby-hocon'],
  },
  jibri: {
    version: /^8\.0-\d+-g[0-9a-f]+-1$/,
    depends: [
      ...['openjdk-17-jre-headless', 'ffmpeg', 'curl', 'alsa-utils', 'icewm'],
      ...['xserver-xorg-video-dummy', 'procps', 'ruby-hocon'],
    ],
  },
  jigasi: {
    version: /^1\.1-\d+-g[0-9a-f]+-1$/,
    depends: ['openjdk-17-jre-headless', 'openssl', 'ruby-hocon'],
  },
  'jitsi-meet': {
    version: /^2\.0\.\d+-1$/,
    preDepends: ['jitsi-videobridge2 (='],
    depends: ['jicofo (=', 'jitsi-meet-web (=', 'jitsi-meet-web-config (=', 'jitsi-meet-prosody (='],
  },
};

/** debconf question → its type, and who registers it. */
const questions: Record<string, [string, string[]]> = {
  'jitsi-videobridge/jvb-hostname': [
    'string',
    [
      ...['jitsi-videobridge2', 'jicofo', 'jitsi-meet-prosody', 'jitsi-meet-web-config'],
      ...['jitsi-meet-turnserver', 'jigasi'],
    ],
  ],
  'jitsi-videobridge/jvbsecret': ['password', ['jitsi-videobridge2', 'jitsi-meet-prosody']],
  'jicofo/jicofo-authpassword': ['password', ['jicofo', 'jitsi-meet-prosody']],
  'jitsi-meet-prosody/turn-secret': ['string', ['jitsi-meet-prosody']],
  'jitsi-meet-prosody/jvb-hostname': ['string', ['jitsi-meet-prosody']],
  'jitsi-meet/jvb-hostname': ['string', ['jitsi-meet-web-config']],
  'jitsi-meet-turnserver/jvb-hostname': ['string', ['jitsi-meet-turnserver']],
  'jitsi-meet/cert-choice': ['select', ['jitsi-meet-web-config']],
  'jitsi-meet/cert-path-key': ['string', ['jitsi-meet-web-config']],
  'jitsi-meet/cert-path-crt': ['string', ['jitsi-meet-web-config']],
  'jitsi-meet/email': ['string', ['jitsi-meet-web-config']],
  'jitsi-meet/jaas-choice': ['boolean', ['jitsi-meet-web-config']],
  'jitsi-meet-tokens/appid': ['string', ['jitsi-meet-tokens']],
  'jitsi-meet-tokens/appsecret': ['password', ['jitsi-meet-tokens']],
  'jitsi-meet-prosody/prosody_config': ['string', ['jitsi-meet-tokens']],
  'jigasi/sip-account': ['string', ['jigasi']],
  'jigasi/sip-password': ['password', ['jigasi']],
};

describe('the packages', () => {
  it('are those of Jitsi, and no others', () => {
    expect([...standIns]).toEqual(Object.keys(packages).sort());
    expect(debs(repository)).toHaveLength(standIns.length);
  });

  it.each(Object.keys(packages))('%s: version, dependencies, and says what it is', (name) => {
    const { version, preDepends = [], depends = [] } = packages[name]!;
    expect(run('dpkg-deb', ['--info', debOf(name)]).code).toBe(0);
    expect(field(name, 'Version')).toMatch(version);
    for (const each of preDepends) expect(field(name, 'Pre-Depends')).toContain(each);
    for (const each of depends) expect(field(name, 'Depends')).toContain(each);
    expect(field(name, 'Description')).toMatch(/^stand-in /);
    expect(field(name, 'Maintainer')).not.toMatch(/jitsi/i);
  });

  it.each(Object.keys(packages))(
    '%s: everything is root’s, nobody else may write, scripts can run',
    (name) => {
      const listed = run('dpkg-deb', ['--contents', debOf(name)])
        .output.trim()
        .split('\n');
      for (const line of listed) {
        expect(line).toMatch(/^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx) root\/root /);
        if (line.endsWith('.sh')) expect(line).toMatch(/^-rwxr-xr-x/);
      }
      const unpacked = join(scratch, `control-${name}`);
      run('dpkg-deb', ['--control', debOf(name), unpacked]);
      for (const script of ['config', 'preinst', 'postinst', 'prerm', 'postrm']) {
        const file = join(unpacked, script);
        if (existsSync(file)) expect(run('test', ['-x', file]).code, script).toBe(0);
      }
      for (const conffile of conffilesOf(unpacked)) {
        expect(
          listed.some((line) => line.endsWith(` .${conffile}`)),
          conffile,
        ).toBe(true);
      }
    },
  );

  const conffilesOf = (control: string) => {
    const file = join(control, 'conffiles');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  };

  it('ask the questions of Jitsi’s, at priority critical', () => {
    const found: Record<string, [string, string[]]> = {};
    for (const name of standIns) {
      const file = join(sources, name, 'DEBIAN', 'templates');
      if (!existsSync(file)) continue;
      for (const [, question, type] of readFileSync(file, 'utf8').matchAll(
        /^Template: (.+)\nType: (.+)$/gm,
      )) {
        (found[question!] ??= [type!, []])[1].push(name);
      }
    }
    const sorted = (table: typeof questions) =>
      Object.fromEntries(
        Object.entries(table).map(([key, [type, names]]) => [key, [type, [...names].sort()]]),
      );
    expect(sorted(found)).toEqual(sorted(questions));
    for (const name of standIns) {
      for (const script of ['config', 'postinst']) {
        const file = join(sources, name, 'DEBIAN', script);
        if (existsSync(file)) expect(readFileSync(file, 'utf8')).not.toMatch(/db_input (?!critical)/);
      }
    }
  });

  const scriptsBelow = (pattern: RegExp) =>
    readdirSync(sources, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => pattern.test(readFileSync(file, 'utf8').split('\n')[0]!) || pattern.test(file));

  (has('shellcheck') ? it : it.skip)('have clean shell scripts (needs shellcheck)', () => {
    const scripts = scriptsBelow(/^#!\/bin\/(ba)?sh/);
    expect(scripts.length).toBeGreaterThan(25);
    // What a script reads from the host is not here.
    expect(run('shellcheck', ['--exclude=SC1091', ...scripts])).toEqual({ code: 0, output: '' });
  });

  it('have Python that parses', () => {
    const parse =
      'import ast, pathlib, sys\nfor path in sys.argv[1:]: ast.parse(pathlib.Path(path).read_text(), path)';
    const files = scriptsBelow(/\.py$/);
    expect(files.length).toBeGreaterThan(3);
    expect(run('python3', ['-W', 'error', '-c', parse, ...files])).toEqual({ code: 0, output: '' });
  });

  it('are the same bytes when built again', async () => {
    const digests = (of: Repository) =>
      debs(of).map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(of.folder, 'stable', name)))
          .digest('hex'),
      ]);
    expect(digests(await build('second'))).toEqual(digests(repository));
  });

  it('are upgrades of themselves when raised', async () => {
    const raised = await build('first', 1);
    expect(raised.folder).not.toBe(repository.folder);
    for (const name of standIns) {
      const [old, fresh] = [versionOf(name), versionOf(name, 1)];
      expect(run('dpkg', ['--compare-versions', fresh, 'gt', old]).code, `${fresh} > ${old}`).toBe(0);
      expect(run('dpkg-deb', ['--field', debOf(name, raised), 'Version']).output.trim()).toBe(fresh);
    }
    const needs = run('dpkg-deb', ['--field', debOf('jitsi-meet', raised), 'Depends']).output;
    expect(needs).toContain(`jicofo (= ${versionOf('jicofo', 1)})`);
  });

  it('are refused with REAL=1, with what to do', async () => {
    process.env['REAL'] = '1';
    try {
      await expect(standInRepository(() => undefined, { cache: join(scratch, 'first') })).rejects.toThrow(
        /REAL=1.*pulumi config set jitsiRepository/,
      );
    } finally {
      delete process.env['REAL'];
    }
  });
});

describe('the repository', () => {
  const gpgv = (file: string) => {
    const keyring = join(scratch, 'keyring.gpg');
    const dearmored = spawnSync('gpg', ['--dearmor'], { input: repository.key });
    writeFileSync(keyring, dearmored.stdout);
    return run('gpgv', ['--keyring', keyring, file]);
  };

  it.each(['stable', 'prosody'])('%s is signed by the exported key', (suite) => {
    const signed = join(repository.folder, suite, 'InRelease');
    expect(gpgv(signed)).toMatchObject({ code: 0 });
    const changed = join(scratch, 'InRelease');
    writeFileSync(changed, readFileSync(signed, 'utf8').replace(/^Origin: .*$/m, 'Origin: another'));
    expect(gpgv(changed).code).not.toBe(0);
  });

  it('signs what it serves', () => {
    const release = readFileSync(join(repository.folder, 'stable', 'Release'), 'utf8');
    const index = readFileSync(join(repository.folder, 'stable', 'Packages'));
    expect(release).toContain(createHash('sha256').update(index).digest('hex'));
    const files = [...index.toString().matchAll(/^Filename: (.*)$/gm)].map(([, name]) => name!);
    expect(files).toHaveLength(standIns.length);
    for (const name of files) expect(existsSync(join(repository.folder, name)), name).toBe(true);
  });

  it('holds no secret key', () => {
    const names = readdirSync(repository.folder, { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => /secring|private|\.gnupg/.test(name))).toEqual([]);
    expect(repository.key).toMatch(/^-----BEGIN PGP PUBLIC KEY BLOCK-----/);
  });
});

const obstacle = whyNoPackageRoot();
const onDebian = obstacle === undefined ? describe : describe.skip;

onDebian(`installed on a Debian 13${obstacle ? ` (${obstacle})` : ''}`, { timeout: 60_000 }, () => {
  const plan = rolePlans()['jitsi']!;
  const domain = 'meet.example.org';
  const own = `/etc/prosody/conf.avail/${domain}.cfg.lua`;
  const ownText = filled(plan.files[own]!.content);
  let debian: string;
  let root: PackageRoot;

  beforeAll(async () => {
    debian = await rootFileSystem('debian-13', (line) => process.stdout.write(`${line}\n`));
  }, 600_000);
  beforeEach(() => {
    root = new PackageRoot(debian, join(repository.folder, 'stable'));
  });
  afterEach(() => root.remove());

  const seed = (...lines: string[]) => {
    const text = lines.map((line) => `x ${line}`).join('\n');
    expect(root.run(`debconf-set-selections <<'SEEDS'\n${text}\nSEEDS`)).toMatchObject({ code: 0 });
  };
  const ownCertificate = [
    'jitsi-meet/cert-choice select I want to use my own certificate',
    'jitsi-meet/cert-path-crt string /etc/ssl/platform/public.crt',
    'jitsi-meet/cert-path-key string /etc/ssl/platform/public.key',
    'jitsi-meet/jaas-choice boolean false',
  ];
  const seedOwn = () =>
    seed(
      `jitsi-videobridge/jvb-hostname string ${domain}`,
      ...ownCertificate,
      'jitsi-meet-tokens/appid string lessons',
      'jitsi-meet-tokens/appsecret password not-used',
      'jitsi-meet-prosody/turn-secret string not-used',
    );
  /** Everything that the host plan writes before the packages. */
  const writeOwn = (text = ownText) => {
    for (const [path, file] of Object.entries(plan.files)) {
      if (file.phase === 'before-packages') {
        root.write(path, path === own ? text : filled(file.content), Number.parseInt(file.mode, 8));
      }
    }
    root.run(
      Object.entries(plan.links)
        .map(([from, to]) => `mkdir -p "$(dirname ${from})"; ln -sf ${to} ${from}`)
        .join('\n'),
    );
  };
  const all = [
    'jitsi-meet-web',
    'jitsi-meet-web-config',
    'jitsi-meet-prosody',
    'jitsi-meet-tokens',
    'jitsi-meet-turnserver',
  ];

  it('what the host plan wrote before stays byte for byte, and Prosody is not restarted', () => {
    seedOwn();
    writeOwn();
    const done = root.install(...all);
    expect(done.code, done.output).toBe(0);
    for (const [path, file] of Object.entries(plan.files)) {
      if (file.phase === 'before-packages') expect(root.read(path), path).toBe(filled(file.content));
    }
    expect(root.calls()).toEqual(['nginx reload']);
  });

  it('without a file it writes one, with the focus user, and tokens fill it in', () => {
    seedOwn();
    const done = root.install(...all);
    expect(done.code, done.output).toBe(0);
    const text = root.read(own);
    expect(text).toContain('authentication = "token" -- do not delete me');
    expect(text).toContain('app_id="lessons"');
    expect(text).toMatch(/^ +"token_verification";/m);
    expect(
      root.exists(`/etc/prosody/conf.d/${domain}.cfg.lua`) ||
        root.run(`test -L /etc/prosody/conf.d/${domain}.cfg.lua`).code === 0,
    ).toBe(true);
    const calls = root.calls();
    expect(calls).toContain(`prosodyctl adduser focus@auth.${domain}`);
    expect(calls.filter((call) => call === 'prosody restart')).toHaveLength(3);
    expect(root.read('/etc/turnserver.conf')).toContain('not-used');
  });

  it.each([
    ['component_admins_as_room_owners = ', /^component_admins_as_room_owners = true\n/],
    ['unlimited_jids', /^unlimited_jids = \{/],
    [`Component "polls.${domain}"`, /\nComponent "polls\.meet\.example\.org" "polls_component"\n$/],
    [`internal.auth.${domain}`, /Component "internal\.auth\.meet\.example\.org" "muc"[\s\S]*admins/],
  ])('an own file without %s is patched, and Prosody restarts twice', (text, patched) => {
    seedOwn();
    writeOwn(ownText.replaceAll(text, 'left-out'));
    expect(root.install('jitsi-meet-web-config', 'jitsi-meet-prosody').code).toBe(0);
    expect(root.read(own)).toMatch(patched);
    const calls = root.calls();
    expect(calls.filter((call) => call === 'prosody restart')).toHaveLength(2);
    // The focus user is for the template alone.
    expect(calls).not.toContain(`prosodyctl adduser focus@auth.${domain}`);
    expect(calls).toContain(`prosodyctl adduser jvb@auth.${domain}`);
  });

  it('a list of modules in one line loses its closing brace, a component with two blanks breaks', () => {
    seedOwn();
    const spaced = ownText
      .replace('    --"polls";\n', '')
      .replace(`Component "focus.${domain}" "client_proxy"`, `Component "focus.${domain}"  "client_proxy"`);
    writeOwn(`${spaced}\nmodules_enabled = { "ping"; "polls"; }\n`);
    root.install('jitsi-meet-web-config', 'jitsi-meet-prosody');
    expect(root.read(own)).toContain('modules_enabled = { "ping"; --"polls"; }');
    expect(root.read(own)).toMatch(/target_address = "focus@auth\.meet\.example\.org"\n {2}"client_proxy"/);
  });

  it('removing tokens opens the domain, in an own file too', () => {
    seedOwn();
    writeOwn();
    root.install(...all);
    expect(root.run('dpkg --force-depends --remove jitsi-meet-tokens').code).toBe(0);
    expect(root.read(own)).toContain('authentication = "jitsi-anonymous" -- do not delete me');
    expect(root.read(own)).toContain('--"token_verification"');
  });

  it('turnserver.conf is replaced without the words, and extended with the first alone', () => {
    seedOwn();
    root.write('/etc/turnserver.conf', 'realm=mine\n');
    expect(root.install(...all).code).toBe(0);
    expect(root.read('/etc/turnserver.conf.bak')).toBe('realm=mine\n');
    expect(root.run('stat -c %a /etc/turnserver.conf').output.trim()).toBe('644');
    expect(root.calls()).toContain('coturn restart');
    root.write('/etc/turnserver.conf', '# jitsi-meet coturn config\nrealm=mine\n');
    root.run(
      'dpkg-reconfigure jitsi-meet-turnserver 2>/dev/null || dpkg --force-depends --install /packages/jitsi-meet-turnserver_*.deb',
    );
    expect(root.read('/etc/turnserver.conf')).toMatch(
      /^# jitsi-meet coturn config\nrealm=mine\n[\s\S]*denied-peer-ip=/,
    );
  });

  it('an own nginx site is kept and never enabled', () => {
    seedOwn();
    root.write(`/etc/nginx/sites-available/${domain}.conf`, 'server {}\n');
    expect(root.install('jitsi-meet-web', 'jitsi-meet-web-config').code).toBe(0);
    expect(root.read(`/etc/nginx/sites-available/${domain}.conf`)).toBe('server {}\n');
    expect(root.run(`test -e /etc/nginx/sites-enabled/${domain}.conf`).code).not.toBe(0);
  });

  it.each(['a/b', 'a\\b', 'a"b', "a'b", 'a`b'])('an app secret like %s fails the install', (secret) => {
    seedOwn();
    seed(`jitsi-meet-tokens/appsecret password ${secret}`);
    writeOwn();
    expect(root.install('jitsi-meet-web-config', 'jitsi-meet-prosody').code).toBe(0);
    expect(root.install('jitsi-meet-tokens').code).not.toBe(0);
  });

  it('prosody’s package fails where nobody has chosen a certificate', () => {
    seed(`jitsi-videobridge/jvb-hostname string ${domain}`);
    const done = root.install('jitsi-meet-prosody');
    expect(done.code).not.toBe(0);
    expect(done.output).toContain('exit status 10');
  });

  it('new seeds change nothing that is installed', () => {
    seedOwn();
    root.install(...all);
    const before = root.read(own);
    seed('jitsi-meet-tokens/appsecret password another', 'jitsi-meet-tokens/appid string another');
    expect(root.install('jitsi-meet-prosody', 'jitsi-meet-tokens').code).toBe(0);
    expect(root.read(own)).toBe(before);
  });

  it('purging takes own files too', () => {
    seedOwn();
    writeOwn();
    root.install(...all);
    expect(root.run(`dpkg --force-depends --purge ${all.join(' ')}`).code).toBe(0);
    for (const path of [own, '/etc/turnserver.conf', `/etc/jitsi/meet/${domain}-config.js`]) {
      expect(root.run(`test -e ${path}`).code, path).not.toBe(0);
    }
  });

  it('apt on the host verifies the repository', () => {
    root.write('/etc/apt/keyrings/platform-jitsi.asc', repository.key);
    root.write(
      '/etc/apt/own/own.sources',
      'Types: deb\nURIs: copy:/repository\nSuites: stable/\nSigned-By: /etc/apt/keyrings/platform-jitsi.asc\n',
    );
    for (const name of ['Packages', 'InRelease']) {
      root.write(`/repository/stable/${name}`, readFileSync(join(repository.folder, 'stable', name), 'utf8'));
    }
    // Nothing else is asked.
    root.write('/own.conf', 'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "/etc/apt/own";\n');
    const update = 'export APT_CONFIG=/own.conf; apt-get update -o APT::Update::Error-Mode=any';
    const good = root.run(`${update} && apt-cache policy jitsi-meet-web`);
    expect(good.code, good.output).toBe(0);
    expect(good.output).toContain(versionOf('jitsi-meet-web'));
    root.write('/repository/stable/Packages', 'Package: jitsi-meet-web\nVersion: 9\n');
    root.run('rm -rf /var/lib/apt/lists/*');
    expect(root.run(update).code).not.toBe(0);
  });
});
