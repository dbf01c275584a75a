import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineMode } from './machines';
import { ALREADY_RUNNING } from '../api/claim';
import { makeOnce, projectRoot } from './paths';
import { isAlive } from './system';

/** Servers are in the API only. */
const planOnly: MachineMode = { boot: false };

/** Where a running local cloud answers. */
export interface CloudEndpoint {
  url: string;
  token: string;
  pid: number;
}

function endpointOf(folder: string): CloudEndpoint | undefined {
  const file = join(folder, 'endpoint.json');
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as CloudEndpoint;
  } catch {
    return undefined;
  }
}

async function answers(endpoint: CloudEndpoint): Promise<boolean> {
  try {
    const response = await fetch(`${endpoint.url}/local/status`, { signal: AbortSignal.timeout(2000) });
    const status = (await response.json()) as { pid: number };
    return status.pid === endpoint.pid;
  } catch {
    return false;
  }
}

/** The local cloud that keeps its state in a folder, when it runs. */
export async function runningCloud(folder: string): Promise<CloudEndpoint | undefined> {
  const endpoint = endpointOf(folder);
  return endpoint && (await answers(endpoint)) ? endpoint : undefined;
}

/** Arguments of the daemon; its token outlives it, so that a shell that was pointed at it stays so. */
function daemon(folder: string, mode: MachineMode): string[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const tokenFile = join(folder, 'token');
  makeOnce(tokenFile, randomBytes(32).toString('hex'));
  const main = join(projectRoot, 'local', 'api', 'main.ts');
  return [
    ...['--import', 'tsx', main, '--state', folder, '--token-file', tokenFile],
    ...(mode.boot ? ['--machines'] : []),
    ...(mode.boot && mode.packages ? ['--packages', mode.packages] : []),
    ...(mode.boot && mode.store ? ['--store', mode.store] : []),
  ];
}

/** One that this process has begun to start, until it answers. */
let starting: ChildProcess | undefined;

const exited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** Starts the local cloud in the background, or finds it running. It keeps running until `down`. */
export async function ensureCloud(folder: string, mode = planOnly): Promise<CloudEndpoint> {
  const running = await runningCloud(folder);
  if (running) return running;
  const args = daemon(folder, mode);
  const log = openSync(join(folder, 'cloud.log'), 'a');
  const child = spawn(process.execPath, args, {
    cwd: projectRoot,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  starting = child;
  try {
    // With machines it boots what ran before.
    for (let tries = 0; tries < (mode.boot ? 1200 : 300); tries++) {
      const endpoint = await runningCloud(folder);
      if (endpoint) return endpoint;
      // Another command may be starting it at this very moment.
      if (exited(child) && child.exitCode !== ALREADY_RUNNING) break;
      await sleep(100);
    }
  } finally {
    starting = undefined;
  }
  throw new Error(`The local cloud did not start; its log is ${join(folder, 'cloud.log')}`);
}

/**
 * Runs the local cloud in the foreground until it is interrupted; answers its exit status.
 *
 * @param ready told once it answers
 */
export function runCloud(
  folder: string,
  mode: MachineMode,
  ready: (endpoint: CloudEndpoint) => void,
): Promise<number> {
  const child = spawn(process.execPath, daemon(folder, mode), { cwd: projectRoot, stdio: 'inherit' });
  // Ctrl-C reaches the child as well; this process stays to hand its status on.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  void (async () => {
    while (child.exitCode === null) {
      const endpoint = await runningCloud(folder);
      if (endpoint) return ready(endpoint);
      await sleep(100);
    }
  })();
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}

/** How long a cloud may take to stop, with machines that are just being made, in milliseconds. */
const STOP_MS = 120_000;

/**
 * Stops the local cloud, also one that is just being started here, and waits until its process is gone.
 *
 * @throws when it does not stop
 */
export async function stopCloud(folder: string): Promise<void> {
  const pid = starting?.pid ?? (await runningCloud(folder))?.pid;
  if (pid === undefined) return;
  const file = join(folder, 'endpoint.json');
  const answered = existsSync(file);
  process.kill(pid, 'SIGTERM');
  for (const started = Date.now(); Date.now() - started < STOP_MS;) {
    // Its last act is to remove the file; its parent may be late to collect it.
    if (!isAlive(pid) || (answered && !existsSync(file))) return;
    await sleep(50);
  }
  throw new Error(`The local cloud, process ${pid}, does not stop; its log is ${join(folder, 'cloud.log')}`);
}
