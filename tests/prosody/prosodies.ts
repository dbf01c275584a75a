import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Prosody and what Jitsi's modules need of Lua. */
const PACKAGES = ['prosody', 'lua-basexx', 'lua-luaossl', 'lua-cjson', 'lua-inspect', 'lua-sec'];
/** Debian installs two of them for Lua 5.1 to 5.3 alone; Prosody runs 5.4. */
const LUA_PATH = ';;/usr/share/lua/5.2/?.lua';
const VERSION_FILE = 'usr/lib/prosody/prosody.version';

export interface Prosody {
  /** The release that is tested. */
  release: '0.12' | '13';
  /** Why it cannot run here; undefined when it can. */
  missing?: string;
  /** Root file system that it lives in; undefined for this machine's own. */
  root?: string;
}

const releases = [
  { release: '0.12', suite: 'bookworm' },
  { release: '13', suite: 'trixie' },
] as const;

const versionIn = (root: string): string => {
  const file = join(root, VERSION_FILE);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
};

/** Both releases: the machine's own where it is that one, else from the Debian release that has it. */
export function prosodies(): Prosody[] {
  return releases.map(({ release, suite }) => {
    if (versionIn('/').startsWith(`${release}.`)) return ownPackages(release);
    if (process.getuid?.() !== 0)
      return { release, missing: `Prosody ${release} needs root, to unpack Debian's ${suite}` };
    // Where the machine is itself a container it may be barred.
    if (spawnSync('unshare', ['--mount', 'true']).status !== 0) {
      return {
        release,
        missing: `Prosody ${release} needs mounts of its own, which this machine does not give`,
      };
    }
    try {
      return { release, root: extractedRoot(release, suite) };
    } catch (error) {
      return { release, missing: `Debian's ${suite} could not be unpacked: ${(error as Error).message}` };
    }
  });
}

function ownPackages(release: Prosody['release']): Prosody {
  const lacking = PACKAGES.filter((name) => {
    const said = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { encoding: 'utf8' });
    return said.stdout !== 'installed';
  });
  return lacking.length === 0
    ? { release }
    : { release, missing: `this machine lacks ${lacking.join(', ')}` };
}

/** A minimal Debian with Prosody in it, unpacked once into the user's cache. */
function extractedRoot(release: string, suite: string): string {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'lesson-platform');
  const recipe = ['mmdebstrap', '--variant=minbase', `--include=${PACKAGES.join(',')}`, suite];
  const digest = createHash('sha256').update(recipe.join(' ')).digest('hex').slice(0, 12);
  const root = join(cache, `prosody-${release}-${digest}`);
  if (existsSync(root)) return root;
  mkdirSync(cache, { recursive: true });
  // Beside its place, and then renamed: a half of one is never taken for a whole.
  const fresh = mkdtempSync(`${root}.`);
  const [command = '', ...args] = recipe;
  process.stdout.write(`Unpacking Prosody ${release} from Debian's ${suite}, once: about a minute\n`);
  const done = spawnSync(command, [...args, fresh], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    if (done.status === 0) renameSync(fresh, root);
  } catch (error) {
    // Another checkout may have been first.
    if (!existsSync(root)) throw error;
  }
  rmSync(fresh, { recursive: true, force: true });
  if (done.status !== 0)
    throw new Error((done.stderr || String(done.error)).trim().split('\n').slice(-3).join('; '));
  return root;
}

/** Runs this Prosody in the foreground, as Debian's user prosody where this is root. */
export function runProsody(prosody: Prosody, config: string): ChildProcess {
  const env = { ...process.env, LUA_PATH };
  const stdio: ['ignore', 'ignore', 'pipe'] = ['ignore', 'ignore', 'pipe'];
  const args = ['-F', '--config', config];
  if (!prosody.root) {
    if (process.getuid?.() !== 0) return spawn('prosody', args, { env, stdio });
    return spawn('setpriv', ['--reuid=prosody', '--regid=prosody', '--clear-groups', 'prosody', ...args], {
      env,
      stdio,
    });
  }
  // The mounts are seen by this process alone and go with it.
  const script = `set -e
    root=$1 scratch=$2 config=$3
    mkdir -p "$root$scratch"
    mount --bind "$scratch" "$root$scratch"
    mount --bind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    exec chroot --userspec="$(id -u prosody):$(id -g prosody)" "$root" /usr/bin/prosody -F --config "$config"`;
  return spawn(
    'unshare',
    ['--mount', '--propagation=private', 'sh', '-c', script, 'sh', prosody.root, tmpdir(), config],
    { env, stdio },
  );
}
