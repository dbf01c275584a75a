import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { existsSync, readdirSync, readlinkSync, statSync, lstatSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { planText, type HostFile, type HostPlan } from '../../cloud-init/host-plan';

const project = join(__dirname, '..', '..');
const common = join(project, 'cloud-init', 'common');
const programs = [
  'systemctl',
  'apt-get',
  'apt-mark',
  'dpkg',
  'dpkg-query',
  'debconf-set-selections',
  'journalctl',
];
const own = ['useradd', 'usermod', 'demo-check', 'demo-verify'];

export interface Outcome {
  code: number | null;
  output: string;
}

export interface Status {
  state: string;
  phase: string;
  plan: string;
  changed: string[];
  actions: { unit: string; action: string }[];
  installed: string[];
  waitingForSecrets: string[];
  pending: { unit: string; since: string }[];
  failures: { unit?: string; step: string; reason: string }[];
}

export function file(content: string, more: Partial<HostFile> = {}): HostFile {
  return { owner: 'root', group: 'root', mode: '0644', phase: 'after-packages', content, ...more };
}

/** A plan of two demo services: `web` reloads after a check, `rooms` ends lessons when it restarts. */
export function demoPlan(files: Record<string, HostFile> = {}, more: Partial<HostPlan> = {}): HostPlan {
  return {
    role: 'jitsi',
    format: 1,
    aptSources: [
      { name: 'jitsi', uri: 'https://apt.example.org', suite: 'stable/', components: '', keyring: 'KEY' },
    ],
    packages: ['web', 'rooms=2.1'],
    debconf: ['rooms rooms/secret password {{throwaway}}'],
    users: {},
    directories: { '/etc/web': { owner: 'root', group: 'root', mode: '0750' } },
    files: {
      '/etc/web/site.conf': file('site {{host.name}} {{host.privateAddress}}\n', {
        phase: 'before-packages',
      }),
      '/etc/web/extra.conf': file('extra\n'),
      '/etc/rooms/main.conf': file('turn = {{secret.turn-secret}}\n', { mode: '0640' }),
      ...files,
    },
    links: { '/etc/web/enabled.conf': '/etc/web/site.conf' },
    absent: ['/etc/web/default.conf'],
    units: {
      enabled: ['web.service', 'rooms.service'],
      disabled: ['noise.service'],
      masked: ['other.service'],
    },
    services: [
      { unit: 'web.service', reload: true, check: 'demo-check', files: ['/etc/web/*'] },
      { unit: 'rooms.service', endsLessons: true, verify: 'demo-verify rooms', files: ['/etc/rooms/**'] },
    ],
    secrets: ['turn-secret'],
    ready: 'true',
    ...more,
  };
}

/** A folder that stands for a machine, with stand-ins for the programs that converge calls. */
export class ScratchHost {
  readonly folder: string;

  constructor(from?: ScratchHost) {
    this.folder = mkdtempSync(join(tmpdir(), 'scratch-host-'));
    if (from) {
      cpSync(from.folder, this.folder, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
      return;
    }
    for (const name of ['bin', 'state', 'root']) mkdirSync(join(this.folder, name));
    for (const name of [...programs, ...own]) {
      symlinkSync(join(__dirname, 'fake-machine.py'), join(this.folder, 'bin', name));
    }
    cpSync(join(common, 'usr'), this.path('/usr'), { recursive: true });
    this.write(
      '/etc/platform/host.json',
      JSON.stringify({ name: 'jitsi-1', role: 'jitsi', privateAddress: '10.10.1.1' }),
    );
    this.write('/run/cloud-init/instance-data.json', JSON.stringify({ v1: { instance_id: '4711' } }));
    this.write('/etc/web/default.conf', 'from the package\n');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  path(path: string): string {
    return join(this.folder, 'root', path);
  }

  write(path: string, content: string, mode = 0o644): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), content);
    chmodSync(this.path(path), mode);
  }

  discard(path: string): void {
    rmSync(this.path(path), { recursive: true });
  }

  read(path: string): string {
    return readFileSync(this.path(path), 'utf8');
  }

  has(path: string): boolean {
    return existsSync(this.path(path));
  }

  mode(path: string): string {
    return (statSync(this.path(path)).mode & 0o7777).toString(8).padStart(4, '0');
  }

  plan(plan: HostPlan): void {
    this.write('/var/lib/platform/host-plan.json', planText(plan));
  }

  environment(): NodeJS.ProcessEnv {
    return {
      PATH: `${join(this.folder, 'bin')}:/usr/bin:/bin`,
      FAKE_STATE: join(this.folder, 'state'),
      FAKE_ROOT: join(this.folder, 'root'),
      PLATFORM_ROOT: join(this.folder, 'root'),
      TOUCHES: join(this.folder, 'touches'),
    };
  }

  run(program: string, args: string[] = [], input = ''): Outcome {
    const command = this.path(`/usr/local/sbin/${program}`);
    const done = spawnSync(command, args, {
      env: this.environment(),
      input,
      encoding: 'utf8',
      timeout: 60_000,
    });
    if (done.error) throw done.error;
    return { code: done.status, output: done.stdout + done.stderr };
  }

  converge(...args: string[]): Outcome {
    return this.run('platform-converge', ['--root', join(this.folder, 'root'), ...args]);
  }

  /** Ends converge at its n-th touch of the file system or of a program; n = 0 counts the touches. */
  killed(n: number): number {
    const script = this.path('/usr/local/sbin/platform-converge');
    const args = [join(__dirname, 'killed.py'), String(n), script, '--root', join(this.folder, 'root')];
    const done = spawnSync('/usr/bin/python3', args, {
      env: this.environment(),
      encoding: 'utf8',
      timeout: 60_000,
    });
    if (n > 0) return done.status ?? -1;
    return Number(readFileSync(join(this.folder, 'touches'), 'utf8'));
  }

  secrets(secrets: Record<string, string>): Outcome {
    return this.run('platform-secrets', [], JSON.stringify(secrets));
  }

  status(): Status {
    return JSON.parse(this.read('/var/lib/platform/status.json')) as Status;
  }

  /** What was asked of systemctl, apt-get and so on since the last call. */
  calls(): string[] {
    const log = join(this.folder, 'state', 'calls');
    if (!existsSync(log)) return [];
    const calls = readFileSync(log, 'utf8').trim().split('\n');
    rmSync(log);
    return calls;
  }

  note(name: string, content: string): void {
    writeFileSync(join(this.folder, 'state', name), content);
  }

  noted(name: string): string {
    return readFileSync(join(this.folder, 'state', name), 'utf8');
  }

  forget(name: string): void {
    rmSync(join(this.folder, 'state', name));
  }

  /** While the file holds the text: `check` demo-check fails, `service` the named unit does not start. */
  refuse(...rules: [kind: 'check' | 'service' | 'apt', name: string, path: string, text: string][]): void {
    this.note('refuse.json', JSON.stringify(rules));
  }

  /** The files that a unit read when it last started or reloaded. */
  running(unit: string): Record<string, string> {
    const units = JSON.parse(readFileSync(join(this.folder, 'state', 'units.json'), 'utf8')) as Record<
      string,
      { running: Record<string, string> }
    >;
    return units[unit]!.running;
  }

  lessons(count: number): void {
    this.write('/usr/local/sbin/platform-lessons', `#!/bin/sh\necho ${count}\n`, 0o755);
  }

  /** Every path with its mode and content, but for what tells the time. */
  tree(): Record<string, string> {
    const found: Record<string, string> = {};
    const walk = (folder: string) => {
      for (const entry of readdirSync(this.path(folder), { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (['/var/log', '/run/platform', '/var/lib/platform/status.json'].includes(path)) continue;
        if (entry.isSymbolicLink()) found[path] = `link ${readlinkSync(this.path(path))}`;
        else if (entry.isDirectory()) {
          found[path] = `folder ${this.mode(path)}`;
          walk(path);
        } else found[path] = `${lstatSync(this.path(path)).mode.toString(8)} ${this.read(path)}`;
      }
    };
    walk('/');
    return found;
  }
}

/** Why a test that needs a program cannot run here, or null. */
export function missing(program: string): string | null {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return null;
  } catch {
    return `${program} is not installed (Debian package of the same name)`;
  }
}
