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

/**
 * How far a machine is that the cloud says is running: `off` when it went off by itself, `booting`, `booted` without
 * a host plan yet, then what converge says of it, in the end `ready`.
 */
export async function progressOf(place: Place, id: number): Promise<string> {
  if (firstProcess(place, id) === undefined) return 'off';
  const written = writtenFiles(place, id);
  if (!existsSync(join(written, 'var/lib/cloud/data/result.json'))) return 'booting';
  const report = join(written, 'var/lib/platform/status.json');
  if (!existsSync(report)) {
    return existsSync(join(written, 'var/lib/platform/host-plan.json')) ? 'converging' : 'booted';
  }
  const { state } = JSON.parse(readFileSync(report, 'utf8')) as { state: string };
  if (state !== 'converged') return state;
  const plan = JSON.parse(readFileSync(join(written, 'var/lib/platform/host-plan.json'), 'utf8')) as {
    ready: string;
  };
  return run(inMachine(place, id, ['timeout', '20', 'sh', '-c', plan.ready])).then(
    () => 'ready',
    () => 'not ready',
  );
}
