import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePrograms } from '../command/system';
import { cgroupMount } from './cgroup';

/** Programs that booting takes → the Debian package that has each. A path stands for a file that must be there. */
export const machinePrograms: Record<string, string> = {
  mmdebstrap: 'mmdebstrap',
  'systemd-nspawn': 'systemd-container',
  'apt-cacher-ng': 'apt-cacher-ng',
  dnsmasq: 'dnsmasq-base',
  ip: 'iproute2',
  nft: 'nftables',
  unshare: 'util-linux',
  // Ubuntu does not bring the keys of Debian's archive along.
  '/usr/share/keyrings/debian-archive-keyring.gpg': 'debian-archive-keyring',
};

/** What the kernel must be able to do, each tried out where nothing of it stays. */
const kernelFeatures: Record<string, string> = {
  'network namespaces and veth': 'ip link add probe type veth peer name probe2',
  'nftables with connection tracking':
    "nft 'table inet probe { chain c { type filter hook input priority 0; ct state established accept; }; }'",
  cgroup2: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup',
  'overlayfs in the folder of the disks':
    'mkdir "$1/lower" "$1/upper" "$1/work" "$1/root" && ' +
    'mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work,volatile" "$1/root"',
};

/** Why nothing could make machines boot here, in half a sentence; undefined when it depends on what is installed. */
export function whyNeverMachines(): string | undefined {
  if (process.platform !== 'linux') return 'they boot on Linux only';
  if (process.getuid?.() !== 0) return 'they boot for root only, e.g. sudo -E npm run local';
  return undefined;
}

/**
 * Why machines cannot boot here, in half a sentence; undefined when they can. Installs what is missing of programs.
 *
 * @param folder where the disks are to be
 */
export function whyNoMachines(folder: string, say: (line: string) => void): string | undefined {
  const obstacle = whyNeverMachines();
  if (obstacle !== undefined) return obstacle;
  try {
    ensurePrograms(machinePrograms, say);
  } catch (error) {
    return error instanceof Error ? error.message.split('\n')[0] : String(error);
  }
  if (cgroupMount() === undefined) return 'cgroup2 is not mounted';
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(folder, 'probe-'));
  try {
    for (const [feature, probe] of Object.entries(kernelFeatures)) {
      const command = ['--mount', '--net', '--propagation', 'slave', 'sh', '-ec', probe, 'sh', scratch];
      const tried = spawnSync('unshare', command, { encoding: 'utf8' });
      if (tried.status !== 0) {
        const reason = (tried.stderr || String(tried.error ?? '')).trim().split('\n')[0];
        return `this machine's kernel or container does not allow ${feature}${reason ? ` (${reason})` : ''}`;
      }
    }
    return undefined;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
