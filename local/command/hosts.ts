import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { firstProcess, inMachine, progressOf, writtenFiles, type Progress } from '../machines/inside';
import { inNamespace, placeOf } from '../machines/place';
import type { CloudEndpoint } from './cloud';

/** Whether the servers of a local cloud boot. */
export async function bootsMachines(cloud: CloudEndpoint): Promise<boolean> {
  const response = await fetch(`${cloud.url}/local/status`);
  return ((await response.json()) as { machines: boolean }).machines;
}

/** How far a booted host is: see `progressOf`. */
export const hostProgress = (cloudFolder: string, id: number): Promise<Progress> =>
  progressOf(placeOf(cloudFolder), id);

async function serverNamed(cloud: CloudEndpoint, name: string): Promise<number> {
  const headers = { authorization: `Bearer ${cloud.token}` };
  const response = await fetch(`${cloud.url}/v1/servers?name=${encodeURIComponent(name)}`, { headers });
  const { servers } = (await response.json()) as { servers: { id: number }[] };
  if (!servers[0]) throw new Error(`there is no host ${name}; npm run local -- status names them`);
  if (!(await bootsMachines(cloud))) throw new Error(`${name} is declared, not booted`);
  return servers[0].id;
}

function show([program, ...args]: string[], environment: Record<string, string> = {}): Promise<number> {
  const child = spawn(program!, args, { stdio: 'inherit', env: { ...process.env, ...environment } });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** A root shell on a host, or one command; answers its exit status. */
export async function openShell(
  cloud: CloudEndpoint,
  cloudFolder: string,
  name: string,
  command: string[],
): Promise<number> {
  const id = await serverNamed(cloud, name);
  return show(inMachine(placeOf(cloudFolder), id, command.length > 0 ? command : ['bash', '-l']));
}

/**
 * A host's logs by its own platform-logs. Of one that has not got so far, converge's log and the journal; of one that
 * is off, what of these is on its disk.
 *
 * @param args those of platform-logs; of a host without it journalctl's
 */
export async function openLogs(
  cloud: CloudEndpoint,
  cloudFolder: string,
  name: string,
  args: string[],
): Promise<number> {
  const id = await serverNamed(cloud, name);
  const place = placeOf(cloudFolder);
  const wanted = args.length > 0 ? args : ['-n', '200'];
  const on = firstProcess(place, id) !== undefined;
  const written = writtenFiles(place, id);
  if (on && existsSync(join(written, 'usr/local/sbin/platform-logs'))) {
    return show(inMachine(place, id, ['platform-logs', ...args]));
  }
  if (args.length === 0) {
    const converge = join(written, 'var/log/platform/converge.log');
    if (existsSync(converge)) {
      process.stdout.write('--- /var/log/platform/converge.log\n');
      await show(['tail', '-n', '100', converge]);
    }
    process.stdout.write('--- journal\n');
  }
  return show(
    on
      ? inMachine(place, id, ['journalctl', '--no-pager', ...wanted])
      : ['journalctl', '--no-pager', `--directory=${join(written, 'var/log/journal')}`, ...wanted],
  );
}

/** Runs a program of this machine where it reaches the hosts; answers its exit status. */
export const runOutside = (
  cloudFolder: string,
  command: string[],
  environment?: Record<string, string>,
): Promise<number> => show(inNamespace(placeOf(cloudFolder).gateway, command), environment);
