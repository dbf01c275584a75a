import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { cacheFolder } from '../command/paths';
import { ensurePrograms } from '../command/system';
import { exportedKey, signRelease } from './signature';

/** A signed apt repository in a folder. */
export interface Repository {
  /** Root of the repository; suites: `stable/` with the packages, `prosody/` with none. */
  folder: string;
  /** The public key that signs it, armoured. */
  key: string;
}

export interface RepositoryOptions {
  /** Added to the last number of every version, to try upgrades out. Default 0. */
  raise?: number;
  /** Where repositories are kept. Default: the user's cache. */
  cache?: string;
}

const packagesFolder = join(__dirname, 'packages');

/** What packages take from outside their own folder: path in the package → source beside this file. */
const shared: Record<string, Record<string, string>> = {
  'jitsi-meet-prosody': { 'usr/share/jitsi-meet/prosody-plugins': 'prosody-plugins' },
  jicofo: {
    ...Object.fromEntries(
      ['focus', 'conference', 'recording', 'brewery'].map((name) => [
        `usr/share/jicofo/${name}.py`,
        `focus/${name}.py`,
      ]),
    ),
    'usr/share/jicofo/stand_in.py': 'packages/common/stand_in.py',
  },
  'jitsi-videobridge2': { 'usr/share/jitsi-videobridge/stand_in.py': 'packages/common/stand_in.py' },
  jibri: { 'usr/share/jibri/stand_in.py': 'packages/common/stand_in.py' },
  jigasi: { 'usr/share/jigasi/stand_in.py': 'packages/common/stand_in.py' },
};

/** Symbolic links, which not every checkout can hold. Under this name Python is a process called java. */
const links: Record<string, Record<string, string>> = {
  jicofo: { 'usr/share/jicofo/java': '/usr/bin/python3' },
  'jitsi-videobridge2': { 'usr/share/jitsi-videobridge/java': '/usr/bin/python3' },
  jigasi: { 'usr/share/jigasi/java': '/usr/bin/python3' },
};

/** Names of the packages that are built. */
export const standIns: readonly string[] = readdirSync(packagesFolder, { withFileTypes: true })
  .filter((entry) => existsSync(join(packagesFolder, entry.name, 'DEBIAN')))
  .map((entry) => entry.name)
  .sort();

const programs = {
  'dpkg-deb': 'dpkg',
  'dpkg-scanpackages': 'dpkg-dev',
  'apt-ftparchive': 'apt-utils',
  gpg: 'gnupg',
};

/** Time stamp of everything in the packages, so that the same sources give the same packages. */
const epoch = String(Date.UTC(2026, 7, 1) / 1000);

/**
 * The repository of stand-in packages for Jitsi's, built when the cache has none of these sources (about 5 s).
 *
 * @param say told of what takes time, and that these are stand-ins
 * @throws with `REAL=1`, which wants no stand-ins; when programs are missing that cannot be installed here; when a
 *   package cannot be built
 */
export async function standInRepository(
  say: (line: string) => void,
  { raise = 0, cache = join(cacheFolder, 'stand-ins') }: RepositoryOptions = {},
): Promise<Repository> {
  if (process.env['REAL'] === '1') {
    throw new Error(
      "REAL=1 refuses stand-ins, and Jitsi's packages are to come from elsewhere: name a repository that the hosts " +
        "reach, e.g. pulumi config set jitsiRepository 'https://mirror.school.example/jitsi stable/'",
    );
  }
  const folder = join(cache, digestOfSources(raise));
  if (!existsSync(folder)) {
    say("Building stand-in packages for Jitsi's, which cannot be had here: signalling is real, media is not");
    ensurePrograms(programs, say);
    const making = join(cache, `making-${randomBytes(4).toString('hex')}`);
    try {
      await build(making, raise);
      // Two checkouts may build the same at once; the first is kept.
      if (!existsSync(folder)) renameSync(making, folder);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  }
  return { folder, key: readFileSync(join(folder, 'key.asc'), 'utf8') };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/__pycache__|\.luacheckrc$/.test(file))
    .sort();
}

/** Changes with everything that the packages are made from. */
function digestOfSources(raise: number): string {
  const digest = createHash('sha256').update(`${epoch} ${raise}\n`);
  for (const file of filesBelow(__dirname)) {
    digest
      .update(`${relative(__dirname, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return digest.digest('hex').slice(0, 16);
}

async function build(folder: string, raise: number): Promise<void> {
  const stable = join(folder, 'stable');
  mkdirSync(stable, { recursive: true, mode: 0o755 });
  // Stands for Prosody's repository, which cannot be had where Jitsi's cannot: hosts take Debian's Prosody.
  mkdirSync(join(folder, 'prosody'), { mode: 0o755 });
  const scratch = mkdtempSync(join(tmpdir(), 'stand-ins-'));
  try {
    for (const name of standIns) {
      stage(name, join(scratch, name), raise);
      run(folder, ['dpkg-deb', '--root-owner-group', '--build', join(scratch, name), stable]);
    }
    for (const suite of ['stable', 'prosody']) {
      writeFileSync(join(folder, suite, 'Packages'), run(folder, ['dpkg-scanpackages', suite]));
      writeFileSync(join(folder, suite, 'Release'), run(folder, releaseOf(suite)));
    }
    const home = join(scratch, 'gnupg');
    for (const suite of ['stable', 'prosody']) await signRelease(home, join(folder, suite));
    writeFileSync(join(folder, 'key.asc'), await exportedKey(home));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const releaseOf = (suite: string): string[] => [
  'apt-ftparchive',
  '-o',
  'APT::FTPArchive::Release::Origin=stand-ins',
  '-o',
  `APT::FTPArchive::Release::Label=stand-ins for Jitsi's packages`,
  '-o',
  `APT::FTPArchive::Release::Suite=${suite}`,
  'release',
  suite,
];

/** A package's tree as dpkg-deb wants it. */
function stage(name: string, tree: string, raise: number): void {
  cpSync(join(packagesFolder, name), tree, { recursive: true });
  for (const [target, source] of Object.entries(shared[name] ?? {})) {
    mkdirSync(dirname(join(tree, target)), { recursive: true });
    cpSync(join(__dirname, source), join(tree, target), {
      recursive: true,
      filter: (file) => !/__pycache__|\.luacheckrc$/.test(file),
    });
  }
  const control = join(tree, 'DEBIAN', 'control');
  writeFileSync(control, controlOf(name, raise));
  const files = filesBelow(tree);
  for (const file of files) {
    // Modes and line endings do not depend on the checkout.
    const content = readFileSync(file, 'latin1').replaceAll('\r\n', '\n');
    writeFileSync(file, content, 'latin1');
    chmodSync(file, content.startsWith('#!') ? 0o755 : 0o644);
  }
  const sums = files
    .filter((file) => !relative(tree, file).startsWith('DEBIAN'))
    .map(
      (file) => `${createHash('md5').update(readFileSync(file)).digest('hex')}  ${relative(tree, file)}\n`,
    );
  writeFileSync(join(tree, 'DEBIAN', 'md5sums'), sums.join(''), { mode: 0o644 });
  for (const [target, source] of Object.entries(links[name] ?? {})) symlinkSync(source, join(tree, target));
  for (const entry of readdirSync(tree, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o755);
  }
  chmodSync(tree, 0o755);
}

const controlText = (name: string): string =>
  readFileSync(join(packagesFolder, name, 'DEBIAN', 'control'), 'utf8').replaceAll('\r\n', '\n');

/** Version of a stand-in, its last number raised: `1.0.9000-1` → `1.0.9001-1`, `2.3-300-g0000000-1` likewise. */
export function versionOf(name: string, raise = 0): string {
  const version = /^Version: (.*)$/m.exec(controlText(name))![1]!;
  return version.replace(/(\d+)(?=(-g[0-9a-f]+)?-1$)/, (number) => String(Number(number) + raise));
}

/** A package's control file; `${NAME:Version}` is another stand-in's version. */
function controlOf(name: string, raise: number): string {
  return controlText(name)
    .replace(/^Version: .*$/m, `Version: ${versionOf(name, raise)}`)
    .replace(/\$\{(.*?):Version\}/g, (_, other: string) => versionOf(other, raise));
}

function run(cwd: string, [program, ...args]: string[]): string {
  const env = { ...process.env, SOURCE_DATE_EPOCH: epoch, LC_ALL: 'C.UTF-8' };
  const done = spawnSync(program!, args, { cwd, env, encoding: 'utf8' });
  if (done.status !== 0) {
    throw new Error(`${program} ${args.join(' ')}: ${(done.stderr || String(done.error)).trim()}`);
  }
  return done.stdout;
}
