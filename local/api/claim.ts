import { readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { placeOf } from '../machines/place';

/** Exit status of a cloud that finds another one with its state. */
export const ALREADY_RUNNING = 3;

/** A local cloud with this state is running already, or just starting. */
export class AlreadyRunning extends Error {}

/**
 * Takes a state folder for this process, until the process ends in whatever way: two clouds with one state would
 * overwrite each other's changes, and take each other's machines for what a crash has left.
 *
 * @throws AlreadyRunning
 */
export async function claim(directory: string): Promise<void> {
  const name = socketOf(directory);
  if (await listen(name)) return;
  // Elsewhere than on Linux and Windows the name is a file, which outlives a crash.
  if (process.platform !== 'linux' && process.platform !== 'win32' && !(await answers(name))) {
    rmSync(name, { force: true });
    if (await listen(name)) return;
  }
  throw new AlreadyRunning(`a local cloud with this state is running already${whichOne(directory)}`);
}

/** Which one, as far as it has said so yet. */
function whichOne(directory: string): string {
  try {
    const text = readFileSync(join(directory, 'endpoint.json'), 'utf8');
    const { pid, url } = JSON.parse(text) as { pid: number; url: string };
    return `: process ${pid} at ${url}`;
  } catch {
    return '';
  }
}

/** A name that the operating system gives to one process at a time. */
function socketOf(directory: string): string {
  const { key } = placeOf(directory);
  if (process.platform === 'linux') return `\0lesson-platform-${key}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\lesson-platform-${key}` : join(directory, 'cloud.sock');
}

function listen(path: string): Promise<boolean> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(path, () => resolve(true));
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
