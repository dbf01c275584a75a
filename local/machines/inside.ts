import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processesIn } from './cgroup';
import type { Place } from './place';
import { run } from './run';

/** Cgroup of a machine's processes. */
export const machineCgroup = (place: Place, id: number): string => `${place.cgroup}/machine-${id}`;

/** What a machine has written to its disk lies here, at its own paths; what it never wrote does not. */
export const writtenFiles = (place: Place, id: number): string => join(place.disks, String(id), 'upper');

/** The machine's first process, as this machine numbers it; undefined while it is off. */
export function firstProcess(place: Place, id: number): number | undefined {
  return processesIn(`${machineCgroup(place, id)}/payload/init.scope`)[0];
}

/**
 * A command that runs another one as root in a running machine, without network or keys.
 *
 * @throws when the machine is off
 */
export function inMachine(place: Place, id: number, command: readonly string[]): string[] {
  const pid = firstProcess(place, id);
  if (pid === undefined) throw new Error('the host is off');
  const environment = [
    'HOME=/root',
    'USER=root',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    `TERM=${process.env['TERM'] ?? 'dumb'}`,
    'LANG=C.UTF-8',
  ];
  const script = 'cd; exec "$@"';
  return [
    'nsenter',
    `--target=${pid}`,
    '--all',
    '--',
    'env',
    '-i',
    ...environment,
    'sh',
    '-c',
    script,
    'sh',
    ...command,
  ];
}

/** How far a machine is. */
export interface Progress {
  /**
   * `off` when it went off by itself, `booting`, `booted` without a host plan yet, then what converge says of it, in the
   * end `ready` or `not ready`.
   */
  state: string;
  /** What its own check said last, once that is asked; else empty. */
  says: string;
}

/** How far a machine is that the cloud says is running. */
export async function progressOf(place: Place, id: number): Promise<Progress> {
  const only = (state: string): Progress => ({ state, says: '' });
  if (firstProcess(place, id) === undefined) return only('off');
  const written = writtenFiles(place, id);
  if (!existsSync(join(written, 'var/lib/cloud/data/result.json'))) return only('booting');
  const report = join(written, 'var/lib/platform/status.json');
  if (!existsSync(report)) {
    return only(existsSync(join(written, 'var/lib/platform/host-plan.json')) ? 'converging' : 'booted');
  }
  const { state } = JSON.parse(readFileSync(report, 'utf8')) as { state: string };
  if (state !== 'converged') return only(state);
  const plan = JSON.parse(readFileSync(join(written, 'var/lib/platform/host-plan.json'), 'utf8')) as {
    ready: string;
  };
  const script = 'said=$(timeout 20 sh -c "$0") && echo ready || echo not ready; echo "$said" | tail -n 1';
  const asked = run(inMachine(place, id, ['sh', '-c', script, plan.ready])).catch(() => 'not ready\n');
  const [answer = '', says = ''] = (await asked).split('\n');
  return { state: answer, says };
}
