import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  existsSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { HostPlan } from '../../cloud-init/host-plan';

const hostValues: Record<string, string> = {
  name: 'jitsi-1',
  role: 'jitsi',
  index: '1',
  privateAddress: '10.10.1.1',
  publicAddress: '198.18.0.5',
  serverId: '4711',
};

/** Fills what a host fills: its own values, and secrets, here `value-of-NAME` unless given. */
export function filled(content: string, secrets: Record<string, string> = {}, host = hostValues): string {
  return content
    .replace(/\{\{host\.(\w+)\}\}/g, (_, name: string) => host[name] ?? `unknown host.${name}`)
    .replace(/\{\{secret\.([\w-]+)\}\}/g, (_, name: string) => secrets[name] ?? `value-of-${name}`);
}

/** A plan's files in a scratch folder, as they would lie on a host, for the programs that read them. */
export class RenderedRole {
  readonly root = mkdtempSync(join(tmpdir(), 'lesson-platform-role-'));

  constructor(
    readonly plan: HostPlan,
    secrets: Record<string, string> = {},
    host: Record<string, string> = {},
  ) {
    // Prosody reads its configuration as a user of its own.
    chmodSync(this.root, 0o755);
    for (const [path, file] of Object.entries(plan.files)) {
      this.write(
        path,
        filled(file.content, secrets, { ...hostValues, ...host }),
        Number.parseInt(file.mode, 8),
      );
    }
    for (const [path, target] of Object.entries(plan.links)) {
      mkdirSync(dirname(this.path(path)), { recursive: true });
      symlinkSync(target.startsWith('/') ? this.path(target) : target, this.path(path));
    }
  }

  path(path: string): string {
    return join(this.root, path);
  }

  write(path: string, content: string, mode = 0o644): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), content, { mode });
  }

  append(path: string, content: string): void {
    appendFileSync(this.path(path), content);
  }

  read(path: string): string {
    return readFileSync(this.path(path), 'utf8');
  }

  exists(path: string): boolean {
    return existsSync(this.path(path));
  }

  mode(path: string): string {
    return (statSync(this.path(path)).mode & 0o7777).toString(8).padStart(4, '0');
  }

  /** Replaces text in one file: addresses, ports and folders that a test machine does not have. */
  adapt(path: string, changes: [string | RegExp, string][]): void {
    let text = this.read(path);
    for (const [from, to] of changes) {
      const next = text.replaceAll(from instanceof RegExp ? new RegExp(from, from.flags + 'g') : from, to);
      if (next === text) throw new Error(`${path} does not hold ${String(from)}`);
      text = next;
    }
    writeFileSync(this.path(path), text);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Whether a program is on the PATH. */
export const has = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0;

export interface Ended {
  code: number | null;
  output: string;
}

/** Runs a program to its end; output is both streams together. */
export function run(
  command: string,
  args: string[],
  options: { env?: Record<string, string>; input?: string } = {},
): Ended {
  const done = spawnSync(command, args, {
    encoding: 'utf8',
    input: options.input ?? '',
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...options.env },
    timeout: 25_000,
  });
  return { code: done.status, output: (done.stdout ?? '') + (done.stderr ?? '') };
}
