import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where cgroup2 is mounted, alone or beside version 1; undefined when it is not. */
export function cgroupMount(): string | undefined {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2')?.[1];
}

function mountPoint(): string {
  const mount = cgroupMount();
  if (mount === undefined) throw new Error('cgroup2 is not mounted');
  return mount;
}

/** Makes a cgroup, by its path below the mount point; answers its folder. */
export function makeCgroup(path: string): string {
  const folder = join(mountPoint(), path);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A command that runs another one in a cgroup. */
export const inCgroup = (folder: string, command: readonly string[]): string[] => [
  'sh',
  '-c',
  'echo $$ >"$0"/cgroup.procs && exec "$@"',
  folder,
  ...command,
];

/** Ends every process in a cgroup and in those below it, and removes them. Nothing to do when it is not there. */
export async function endCgroup(path: string): Promise<void> {
  const folder = join(mountPoint(), path);
  if (!existsSync(folder)) return;
  for (let tries = 0; ; tries++) {
    killAll(folder);
    try {
      removeTree(folder);
      return;
    } catch (error) {
      if (tries === 1200) throw new Error(`processes in ${folder} do not end`, { cause: error });
    }
    await sleep(25);
  }
}

function killAll(folder: string): void {
  try {
    writeFileSync(join(folder, 'cgroup.kill'), '1');
    return;
  } catch {
    // Kernels before 5.14 cannot: one by one.
  }
  for (const inner of [folder, ...innerCgroups(folder)]) {
    for (const pid of processes(inner)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has gone already.
      }
    }
  }
}

function innerCgroups(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(folder, entry.name), ...innerCgroups(join(folder, entry.name))]);
}

function removeTree(folder: string): void {
  for (const inner of innerCgroups(folder).reverse()) rmdirSync(inner);
  rmdirSync(folder);
}

/** Processes of one cgroup, without those below it. */
function processes(folder: string): number[] {
  try {
    return readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** All processes of a cgroup and of those below it; none when it is not there. */
export function processesIn(path: string): number[] {
  const folder = join(mountPoint(), path);
  return [folder, ...innerCgroups(folder)].flatMap(processes);
}
