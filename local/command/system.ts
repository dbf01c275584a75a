import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Not on everybody's PATH, but where Debian has what only root can use. */
const systemFolders = ['/usr/sbin', '/sbin'];

/** Path of a program on PATH, or undefined. */
export function which(program: string, path = process.env['PATH'] ?? ''): string | undefined {
  for (const folder of [...path.split(delimiter), ...systemFolders]) {
    const candidate = join(folder, program);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** A word as a POSIX shell takes it whole, whatever is in it. */
export const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const canInstall = (): boolean => process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');

/** The machine lacks something that the command may not install by itself; the message holds the line to run. */
export class MissingPackages extends Error {}

/**
 * Sees to it that programs are there, from Debian packages: installs them when this is root on Debian or Ubuntu,
 * after saying so.
 *
 * @param programs program, or absolute path of a file → Debian package that has it
 * @throws MissingPackages with the line to run, elsewhere
 */
export function ensurePrograms(programs: Record<string, string>, say: (line: string) => void): void {
  const isThere = (name: string) => (name.startsWith('/') ? existsSync(name) : which(name) !== undefined);
  const missing = Object.entries(programs).filter(([program]) => !isThere(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, name]) => name))];
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...packages];
  if (!canInstall()) {
    throw new MissingPackages(
      `This machine lacks ${missing.map(([program]) => program).join(', ')}. On Debian or Ubuntu run:\n` +
        `  sudo apt-get update && sudo ${install.join(' ')}`,
    );
  }
  say(`Installing Debian packages (their services are not started): ${packages.join(' ')}`);
  if (packages.includes('cloud-init')) keepCloudInitAway();
  withoutStartingServices(() => aptInstall(install, say));
}

/** cloud-init is wanted for its checks; with this file it never configures the machine that runs them. */
function keepCloudInitAway(): void {
  mkdirSync('/etc/cloud', { recursive: true });
  writeFileSync('/etc/cloud/cloud-init.disabled', '');
}

/** Debian's own switch: while it is there, a package that brings a service does not start it. */
const servicePolicy = '/usr/sbin/policy-rc.d';

function withoutStartingServices(install: () => void): void {
  const ours = !existsSync(servicePolicy);
  if (ours) writeFileSync(servicePolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    if (ours) rmSync(servicePolicy, { force: true });
  }
}

function aptInstall(install: readonly string[], say: (line: string) => void): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (let attempt = 1; ; attempt++) {
    const update = spawnSync('apt-get', ['update'], { env, encoding: 'utf8' });
    const [command, ...args] = install;
    const result = spawnSync(command!, args, { env, encoding: 'utf8' });
    if (result.status === 0) return;
    if (attempt === 3) {
      throw new Error(`${install.join(' ')} failed three times:\n${update.stderr}${result.stderr}`);
    }
    say(`apt-get failed, trying again (${attempt} of 3)`);
  }
}
