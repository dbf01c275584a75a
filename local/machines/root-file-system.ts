import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../command/paths';

/** Images of the catalogue that can boot here → the Debian release that is in them. */
const releases: Record<string, string> = { 'debian-12': 'bookworm', 'debian-13': 'trixie' };

/** What the service's images have of Debian beyond its minimal system, as far as this program needs it. */
const packages = [
  'systemd-sysv',
  'dbus',
  'libpam-systemd',
  'cloud-init',
  'netplan.io',
  'systemd-resolved',
  'openssh-server',
  'sudo',
  'curl',
  'ca-certificates',
  'gnupg',
  'iproute2',
  'nftables',
  'ufw',
  'kmod',
  'procps',
  'python3',
];

/** Run in the new system at the end. */
const finish = [
  // Each machine makes its own.
  'rm -f "$1"/etc/ssh/ssh_host_*',
  ': >"$1"/etc/machine-id',
  'rm -f "$1"/var/lib/dbus/machine-id',
  'chroot "$1" systemctl --quiet enable systemd-networkd systemd-resolved',
  'ln -sf ../run/systemd/resolve/stub-resolv.conf "$1"/etc/resolv.conf',
  'echo localhost >"$1"/etc/hostname',
];

/** Changes with everything that the root file system of a release is made from, except the packages' versions. */
function digestOf(release: string): string {
  return createHash('sha256')
    .update(JSON.stringify([release, packages, finish]))
    .digest('hex')
    .slice(0, 16);
}

/**
 * The root file system of an image, for many machines to read; made by mmdebstrap and kept in the cache when it is
 * not there (about 40 s, 300 MB).
 *
 * @param image e.g. `debian-13`
 * @throws for an image that does not boot here, and when Debian's mirror cannot be reached
 */
export async function rootFileSystem(image: string, say: (line: string) => void): Promise<string> {
  const release = releases[image];
  if (release === undefined) {
    throw new Error(`image ${image} does not boot here; those that do: ${Object.keys(releases).join(', ')}`);
  }
  const folder = join(cacheFolder, 'machines', digestOf(release));
  const root = join(folder, 'root');
  if (existsSync(root)) return root;
  say(`Making the root file system of ${image} (once, about a minute)`);
  const started = Date.now();
  mkdirSync(folder, { recursive: true });
  removeHalfMade(folder);
  const making = join(folder, `making-${process.pid}-${randomBytes(4).toString('hex')}`);
  const progress = setInterval(() => say(`  ${seconds(started)} s`), 15_000);
  try {
    await debootstrap(release, making);
    // Two checkouts may make the same at once; the first is kept.
    if (!existsSync(root)) renameSync(making, root);
    writeFileSync(join(folder, 'image'), `${image}\n`);
  } catch (error) {
    if (!existsSync(root)) throw error;
  } finally {
    clearInterval(progress);
    rmSync(making, { recursive: true, force: true });
  }
  say(`  made in ${seconds(started)} s`);
  return root;
}

const seconds = (since: number): number => Math.round((Date.now() - since) / 1000);

/** What was left by a process that is gone. */
function removeHalfMade(folder: string): void {
  for (const name of readdirSync(folder)) {
    const maker = /^making-(\d+)-/.exec(name)?.[1];
    if (maker !== undefined && !existsSync(`/proc/${maker}`)) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}

async function debootstrap(release: string, target: string): Promise<void> {
  const args = [
    '--variant=minbase',
    `--include=${packages.join(',')}`,
    '--aptopt=Acquire::Retries "5"',
    ...finish.map((line) => `--customize-hook=${line}`),
    release,
    target,
  ];
  for (let attempt = 1; ; attempt++) {
    const { code, output } = await run('mmdebstrap', args);
    if (code === 0) return;
    rmSync(target, { recursive: true, force: true });
    if (attempt === 3) throw new Error(`mmdebstrap of ${release} failed three times:\n${output}`);
  }
}

function run(command: string, args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const lines: string[] = [];
    child.stderr.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n')));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output: lines.slice(-15).join('\n') }));
  });
}
