import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { clientsOf, TOKEN } from './local-cloud';

const MAIN = join(__dirname, '../../local/api/main.ts');

/** Runs the daemon's command line to its end. */
export async function daemonOutput(args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawnDaemon(args);
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

/** Starts the daemon on a directory and waits until it listens; it is killed with the test. */
export async function startedDaemon(directory: string, args: string[] = []) {
  const tokenFile = join(directory, 'token');
  await writeFile(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
  const child = spawnDaemon(['--state', directory, '--token-file', tokenFile, ...args]);
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  onTestFinished(() => void child.kill('SIGKILL'));

  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ready = new Promise<void>((resolve) => {
    child.stdout?.on('data', () => output.includes('local cloud at') && resolve());
  });
  const early = exited.then(() => {
    throw new Error(`the daemon ended before it listened: ${output}`);
  });
  await Promise.race([ready, early]);
  early.catch(() => undefined);

  const endpoint = JSON.parse(await readFile(join(directory, 'endpoint.json'), 'utf8')) as {
    url: string;
    pid: number;
    token: string;
  };
  return { child, exited, endpoint, output: () => output, ...clientsOf(endpoint.url) };
}

function spawnDaemon(args: string[]): ChildProcess {
  // In this very process, so that a SIGKILL reaches it.
  return spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}
