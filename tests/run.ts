import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensurePrograms, MissingPackages } from '../local/command/system';
import { machinePrograms, whyNoMachines } from '../local/machines/requirements';

/**
 * Runs the suites of a tier and ends with one line of counts. A suite that this machine cannot run is skipped by
 * name with the reason; in CI that is a failure.
 *
 * usage: npm test [-- SUITE…] | npm run test:rehearsal | npm run test:soak
 */

interface Suite {
  name: string;
  /** What is real in it. */
  about: string;
  /** Programs that it runs → the Debian package that has each. */
  needs: Record<string, string>;
  /** Why this machine cannot run it although the programs are there; undefined when it can. */
  obstacle?(): string | undefined;
  run(): Counts;
}

interface Counts {
  passed: number;
  failed: number;
  skipped: string[];
}

const root = join(__dirname, '..');
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function npmScripts(...scripts: string[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: [] };
  for (const script of scripts) {
    const result = spawnSync('npm', ['run', '--silent', script], { cwd: root, stdio: 'inherit' });
    if (result.status === 0) counts.passed += 1;
    else counts.failed += 1;
  }
  return counts;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  success: boolean;
  testResults: { assertionResults: { status: string; fullName: string }[] }[];
}

function vitest(folder: string, env: Record<string, string> = {}, ...more: string[]): Counts {
  const scratch = mkdtempSync(join(tmpdir(), 'lesson-platform-tests-'));
  const report = join(scratch, 'report.json');
  const args = [
    'vitest',
    'run',
    '--dir',
    folder,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...more,
  ];
  const { status } = spawnSync('npx', args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  try {
    const result = JSON.parse(readFileSync(report, 'utf8')) as VitestReport;
    const tests = result.testResults.flatMap((file) => file.assertionResults);
    const skipped = tests.filter((test) => test.status === 'skipped' || test.status === 'pending');
    return {
      passed: result.numPassedTests,
      // A file that does not load has no tests of its own to fail.
      failed: Math.max(result.numFailedTests, status === 0 ? 0 : 1),
      skipped: skipped.map((test) => test.fullName),
    };
  } catch {
    return { passed: 0, failed: 1, skipped: [] };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const go = { go: 'golang-go' };
const bootNeeds = {
  ...go,
  ...machinePrograms,
  ssh: 'openssh-client',
  'apt-ftparchive': 'apt-utils',
  'dpkg-deb': 'dpkg',
  gpg: 'gpg',
  openssl: 'openssl',
  curl: 'curl',
  socat: 'socat',
  turnutils_uclient: 'coturn',
  ffmpeg: 'ffmpeg',
};
/** Schools know nothing of each other, and an engine leaves one of two cores idle. */
const sideBySide = ['--fileParallelism', '--maxWorkers=2'];

/** The shard's signalling on this machine: Prosody of both releases, nginx and the stand-in focus. */
const signalling = {
  prosody: 'prosody',
  nginx: 'nginx-full',
  luacheck: 'lua-check',
  openssl: 'openssl',
  mmdebstrap: 'mmdebstrap',
  '/usr/share/keyrings/debian-archive-keyring.gpg': 'debian-archive-keyring',
  '/usr/share/lua/5.2/basexx.lua': 'lua-basexx',
  '/usr/share/lua/5.2/inspect.lua': 'lua-inspect',
  '/usr/share/lua/5.4/openssl/auxlib.lua': 'lua-luaossl',
  '/usr/share/lua/5.4/cjson/util.lua': 'lua-cjson',
  '/usr/share/lua/5.4/ssl.lua': 'lua-sec',
  '/usr/lib/python3/dist-packages/slixmpp/__init__.py': 'python3-slixmpp',
};

const tiers: Record<string, Suite[]> = {
  test: [
    {
      name: 'check',
      about: 'format, lint, types',
      needs: {},
      run: () => npmScripts('check:format', 'check:lint', 'check:types'),
    },
    {
      name: 'unit',
      about: 'plain functions, and the program on mocks',
      needs: {},
      run: () => vitest('tests/unit'),
    },
    {
      name: 'host',
      about: 'host files and scripts, by the programs that will read them',
      needs: {
        shellcheck: 'shellcheck',
        luacheck: 'lua-check',
        'cloud-init': 'cloud-init',
        python3: 'python3',
        nft: 'nftables',
        // With its stream module, for TURN on 443.
        nginx: 'nginx-full',
        hocon: 'ruby-hocon',
        'luac5.4': 'lua5.4',
        'systemd-analyze': 'systemd',
        prosodyctl: 'prosody',
        turnserver: 'coturn',
        openssl: 'openssl',
        gpgv: 'gpgv',
      },
      run: () => vitest('tests/host'),
    },
    {
      name: 'prosody',
      about: 'the real Prosody 0.12 and 13, with real XMPP clients through the real nginx',
      // A recorder's settings, and what it records with.
      needs: { ...signalling, hocon: 'ruby-hocon', ffmpeg: 'ffmpeg', ffprobe: 'ffmpeg' },
      run: () => vitest('tests/prosody'),
    },
    {
      name: 'protocol',
      about: "what the stand-ins say, by Jitsi's own protocol classes",
      needs: { ...signalling, mvn: 'maven', javac: 'default-jdk-headless', hocon: 'ruby-hocon' },
      run: () => vitest('tests/protocol'),
    },
    {
      name: 'store',
      about: 'recordings by the real ffmpeg, on their way to a real S3 server',
      needs: { ...go, ffmpeg: 'ffmpeg', rclone: 'rclone', python3: 'python3' },
      run: () => vitest('tests/store'),
    },
    {
      name: 'cloud',
      about: 'the local cloud, by the official Go client',
      needs: go,
      run: () => vitest('tests/cloud'),
    },
    {
      name: 'engine',
      about: 'the Pulumi CLI on the local cloud',
      needs: { ...go, openssl: 'openssl', 'ssh-keygen': 'openssh-client' },
      run: () => vitest('tests/engine', {}, ...sideBySide),
    },
    {
      name: 'boot',
      about: 'hosts that really boot, with systemd and cloud-init',
      needs: bootNeeds,
      obstacle: () => whyNoMachines(tmpdir(), say),
      run: () => vitest('tests/boot'),
    },
  ],
  rehearsal: [
    {
      name: 'cloud-rehearsal',
      about: "the local cloud, Cloudflare's own client included",
      needs: go,
      run: () => vitest('tests/cloud', { TIER: 'rehearsal' }),
    },
    {
      name: 'engine-rehearsal',
      about: 'the engine suite, its long cases included',
      needs: { ...go, openssl: 'openssl', 'ssh-keygen': 'openssh-client' },
      run: () => vitest('tests/engine', { TIER: 'rehearsal' }, ...sideBySide),
    },
    {
      name: 'boot-rehearsal',
      about: 'booted hosts, with a rebuild that is broken off and more ways to lose a recorder',
      needs: bootNeeds,
      obstacle: () => whyNoMachines(tmpdir(), say),
      run: () => vitest('tests/boot', { TIER: 'rehearsal' }),
    },
  ],
  soak: [
    {
      name: 'store-soak',
      about: '100 recordings through kills, cuts and a slow store',
      needs: { ...go, ffmpeg: 'ffmpeg', rclone: 'rclone', python3: 'python3' },
      run: () => vitest('tests/store', { TIER: 'soak' }),
    },
    {
      name: 'cloud-soak',
      about: 'kills of the local cloud, many times over',
      needs: go,
      run: () => vitest('tests/cloud', { TIER: 'soak' }),
    },
  ],
};

function main(args: string[]): number {
  if (args.includes('--help')) {
    say('usage: npm test [-- SUITE…] | npm run test:rehearsal | npm run test:soak\n');
    for (const [tier, suites] of Object.entries(tiers)) {
      for (const { name, about } of suites) say(`  ${tier.padEnd(10)} ${name.padEnd(18)} ${about}`);
    }
    return 0;
  }
  const tierAt = args.indexOf('--tier');
  const tier = tierAt === -1 ? 'test' : args[tierAt + 1];
  const wanted = args.filter((_, index) => tierAt === -1 || (index !== tierAt && index !== tierAt + 1));
  const suites = (tiers[tier ?? ''] ?? []).filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  if (suites.length === 0) {
    say(
      `no suite of that name; there are: ${Object.values(tiers)
        .flat()
        .map(({ name }) => name)
        .join(', ')}`,
    );
    return 2;
  }

  const total: Counts = { passed: 0, failed: 0, skipped: [] };
  const times: string[] = [];
  for (const suite of suites) {
    say(`\n=== ${suite.name}: ${suite.about}`);
    const started = Date.now();
    const counts = runOrSkip(suite);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped.push(...counts.skipped);
    times.push(`${suite.name.padEnd(18)} ${((Date.now() - started) / 1000).toFixed(1).padStart(7)} s`);
  }
  say(`\nTimes:\n${times.join('\n')}`);
  for (const reason of total.skipped) say(`skipped: ${reason}`);
  if (process.env['CI'] === 'true' && total.skipped.length > 0) {
    say('In CI nothing may be skipped.');
    total.failed += total.skipped.length;
  }
  const skipped = total.skipped.length > 0 ? `, ${total.skipped.length} skipped` : '';
  say(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

function runOrSkip(suite: Suite): Counts {
  try {
    ensurePrograms(suite.needs, say);
  } catch (error) {
    if (!(error instanceof MissingPackages)) throw error;
    say(error.message);
    return skip(suite, error.message.split('\n')[0]!);
  }
  const obstacle = suite.obstacle?.();
  if (obstacle === undefined) return suite.run();
  say(obstacle);
  return skip(suite, obstacle);
}

const skip = ({ name }: Suite, reason: string): Counts => ({
  passed: 0,
  failed: 0,
  skipped: [`suite ${name}: ${reason}`],
});

process.exitCode = main(process.argv.slice(2));
