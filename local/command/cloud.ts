import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineMode } from './machines';
import { projectRoot } from './paths';

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
  if (!existsSync(tokenFile)) writeFileSync(tokenFile, randomBytes(32).toString('hex'), { mode: 0o600 });
  const main = join(projectRoot, 'local', 'api', 'main.ts');
  return [
    ...['--import', 'tsx', main, '--state', folder, '--token-file', tokenFile],
    ...(mode.boot ? ['--machines'] : []),
    ...(mode.boot && mode.packages ? ['--packages', mode.packages] : []),
  ];
}

/** Starts the local cloud in the background, or finds it running. It keeps running until `down`. */
export async function ensureCloud(folder: string, mode = planOnly): Promise<CloudEndpoint> {
  const running = await runningCloud(folder);
  if (running) return running;
  const args = daemon(folder, mode);
  rmSync(join(folder, 'endpoint.json'), { force: true });
  const log = openSync(join(folder, 'cloud.log'), 'a');
  const child = spawn(process.execPath, args, {
    cwd: projectRoot,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let exit: number | null | undefined;
  child.on('exit', (code) => (exit = code));
  child.unref();
  // With machines it boots what ran before.
  for (let tries = 0; tries < (mode.boot ? 1200 : 300); tries++) {
    const endpoint = await runningCloud(folder);
    if (endpoint) return endpoint;
    if (exit !== undefined) break;
    await sleep(100);
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

/** Stops the local cloud and waits until its process is gone. */
export async function stopCloud(folder: string): Promise<void> {
  const endpoint = await runningCloud(folder);
  if (!endpoint) return;
  process.kill(endpoint.pid, 'SIGTERM');
  // It removes the file last, when its machines are gone.
  const file = join(folder, 'endpoint.json');
  for (let tries = 0; tries < 300 && existsSync(file); tries++) await sleep(100);
}
