import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { whyNoMachines } from '../../local/machines/requirements';

/** What the maintainer scripts call of packages that are not there: each call is a line of /calls. */
const fakes = {
  prosodyctl: `echo "prosodyctl $*" >>/calls
case "$*" in
    *"cert generate"*) touch "/var/lib/prosody/$5.crt" "/var/lib/prosody/$5.key" ;;
esac`,
  'invoke-rc.d': 'echo "$*" >>/calls',
  'update-ca-certificates': 'echo update-ca-certificates >>/calls',
  sleep: ':',
};

/** A Debian that packages are installed in, over a root file system that stays as it is. */
export class PackageRoot {
  private readonly folder = mkdtempSync(join(tmpdir(), 'lesson-platform-packages-'));

  /**
   * @param lower root file system of a Debian
   * @param packages folder of .deb files, found at /packages
   */
  constructor(
    private readonly lower: string,
    packages: string,
  ) {
    for (const part of ['upper', 'work', 'root']) mkdirSync(join(this.folder, part), { mode: 0o755 });
    cpSync(packages, join(this.folder, 'upper', 'packages'), { recursive: true });
    for (const [name, script] of Object.entries(fakes)) {
      this.write(`/usr/local/sbin/${name}`, `#!/bin/sh\n${script}\n`, 0o755);
    }
    // Of prosody, nginx and coturn.
    this.write('/etc/prosody/prosody.cfg.lua', 'Include "conf.d/*.cfg.lua"\n');
    for (const folder of [
      '/etc/prosody/conf.avail',
      '/etc/prosody/conf.d',
      '/etc/prosody/certs',
      '/var/lib/prosody',
      '/etc/nginx/sites-available',
      '/etc/nginx/sites-enabled',
    ]) {
      mkdirSync(this.path(folder), { recursive: true });
    }
    this.write('/etc/default/coturn', '#TURNSERVER_ENABLED=1\n');
  }

  private path(path: string): string {
    return join(this.folder, 'upper', path);
  }

  write(path: string, content: string, mode = 0o644): void {
    mkdirSync(dirname(this.path(path)), { recursive: true, mode: 0o755 });
    writeFileSync(this.path(path), content, { mode });
  }

  read(path: string): string {
    return readFileSync(this.path(path), 'utf8');
  }

  exists(path: string): boolean {
    return existsSync(this.path(path));
  }

  /** Calls to the programs that are faked, since the last time. */
  calls(): string[] {
    const lines = this.exists('/calls') ? this.read('/calls').trimEnd().split('\n') : [];
    rmSync(this.path('/calls'), { force: true });
    return lines;
  }

  /** Runs a shell script as root in it; its mounts are its own and go with it. */
  run(script: string): { code: number | null; output: string } {
    const mounts = `cd "$1"
      mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" root
      mount -t proc proc root/proc
      exec chroot root env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh -euc "$3"`;
    const command = [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-ec',
      mounts,
      'sh',
      this.folder,
      this.lower,
    ];
    const done = spawnSync('unshare', [...command, script], { encoding: 'utf8' });
    return { code: done.status, output: done.stdout + done.stderr };
  }

  /** Installs packages without those that they depend on: their own scripts run, with their own questions. */
  install(...names: string[]): { code: number | null; output: string } {
    const files = names.map((name) => `/packages/${name}_*.deb`).join(' ');
    // confmodule's frontend runs the config script before postinst.
    return this.run(`dpkg --force-depends --install ${files}`);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * Why packages cannot be tried out here, in half a sentence; undefined when they can. Installs what is missing of
 * programs.
 */
export function whyNoPackageRoot(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'lesson-platform-packages-'));
  try {
    return whyNoMachines(folder, (line) => process.stdout.write(`${line}\n`));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
