import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder } from '../command/paths';
import { inCgroup, makeCgroup } from './cgroup';
import type { GatewayOptions } from './gateway';
import { routerAddress } from './network';
import { run } from './run';
import { localStore } from '../store/local-store';
import { inNamespace, type Place } from './place';

/**
 * Starts a program that stays, in the place's cgroup; its output goes to a log in the run folder.
 *
 * @param env what it has beside this process's environment; secrets, since process lists show arguments
 */
export function startService(
  place: Place,
  name: string,
  command: readonly string[],
  env: Record<string, string> = {},
): ChildProcess {
  const [program, ...args] = inCgroup(makeCgroup(`${place.cgroup}/${name}`), command);
  const log = openSync(join(place.run, `${name}.log`), 'w', 0o600);
  const child = spawn(program!, args, {
    stdio: ['ignore', log, log],
    detached: true,
    env: { ...process.env, ...env },
  });
  closeSync(log);
  child.unref();
  return child;
}

/** Waits until a service is there. */
async function until(
  place: Place,
  name: string,
  child: ChildProcess,
  isThere: () => boolean | Promise<boolean>,
): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    if (await isThere()) return;
    if (child.exitCode !== null) break;
    await sleep(25);
  }
  const log = readFileSync(join(place.run, `${name}.log`), 'utf8').trim();
  throw new Error(`${name} does not start: ${log.split('\n').slice(-5).join('\n')}`);
}

/** Starts the gateway, which is `gateway.ts`. */
export async function startGateway(place: Place, options: GatewayOptions): Promise<void> {
  const command = [
    process.execPath,
    '--import',
    'tsx',
    join(__dirname, 'gateway.ts'),
    JSON.stringify(options),
  ];
  const child = startService(place, 'gateway', inNamespace(place.gateway, command));
  const log = join(place.run, 'gateway.log');
  await until(place, 'gateway', child, () => readFileSync(log, 'utf8').includes('ready\n'));
}

/** Starts the name server of the outside; it answers from a hosts file, and nothing else. */
export async function startNames(place: Place, hostsFile: string): Promise<ChildProcess> {
  const command = [
    'dnsmasq',
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--user=root',
    '--no-resolv',
    '--no-hosts',
    '--no-poll',
    // What is in no zone does not exist, instead of being refused.
    '--local=/#/',
    '--log-facility=-',
    '--bind-interfaces',
    `--listen-address=${routerAddress}`,
    '--port=53',
    `--addn-hosts=${hostsFile}`,
    `--pid-file=${join(place.run, 'names.pid')}`,
  ];
  const child = startService(place, 'names', inNamespace(place.gateway, command));
  await until(place, 'names', child, () => existsSync(join(place.run, 'names.pid')));
  return child;
}

/** Starts the object store at the router. */
export async function startStore(place: Place, program: string): Promise<void> {
  const { command, env } = localStore(program, place.store, routerAddress);
  const child = startService(place, 'store', inNamespace(place.gateway, command), env);
  // It listens once the namespace's own table says so.
  await until(place, 'store', child, () => listens(place, 443));
}

async function listens(place: Place, port: number): Promise<boolean> {
  const filter = `( sport = :${port} )`;
  return (await run(inNamespace(place.gateway, ['ss', '-Hltn', filter]))) !== '';
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A free port below 32768: apt-cacher-ng takes no higher one. */
async function lowFreePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_768);
    if (await isFree(port)) return port;
  }
}

async function answersHttp(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1000) });
    return true;
  } catch {
    return false;
  }
}

/** Starts the cache of Debian's packages; answers its port on this machine's loopback. */
export async function startPackageCache(place: Place): Promise<number> {
  // Two caches cannot share a folder; a second platform on this machine takes the next one.
  for (let number = 1; number <= 20; number++) {
    const folder = join(cacheFolder, number === 1 ? 'packages' : `packages-${number}`);
    mkdirSync(folder, { recursive: true });
    const port = await lowFreePort();
    const child = startService(place, 'packages', [
      'flock',
      '--nonblock',
      '--no-fork',
      '--conflict-exit-code=75',
      join(folder, 'lock'),
      'apt-cacher-ng',
      '-c',
      join(__dirname, 'package-cache'),
      `CacheDir=${folder}`,
      `LogDir=${place.run}`,
      'BindAddress=127.0.0.1',
      `Port=${port}`,
    ]);
    try {
      await until(place, 'packages', child, () => answersHttp(port));
      return port;
    } catch (error) {
      if (child.exitCode !== 75) throw error;
    }
  }
  throw new Error(`no package cache is free below ${cacheFolder}`);
}
