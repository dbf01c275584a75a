import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder } from '../command/paths';
import { inCgroup, makeCgroup } from './cgroup';
import type { GatewayOptions } from './gateway';
import { routerAddress } from './network';
import { inNamespace, type Place } from './place';

/** Starts a program that stays, in the place's cgroup; its output goes to a log in the run folder. */
export function startService(place: Place, name: string, command: readonly string[]): ChildProcess {
  const [program, ...args] = inCgroup(makeCgroup(`${place.cgroup}/${name}`), command);
  const log = openSync(join(place.run, `${name}.log`), 'w', 0o600);
  const child = spawn(program!, args, { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  child.unref();
  return child;
}

/** Waits until a service is there. */
async function until(place: Place, name: string, child: ChildProcess, isThere: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (isThere()) return;
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

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Starts the cache of Debian's packages, on a Unix socket (and, because it must, on a port of loopback). */
export async function startPackageCache(place: Place): Promise<void> {
  const socket = join(place.run, 'packages.sock');
  // Two caches cannot share a folder; a second platform on this machine takes the next one.
  for (let number = 1; number <= 20; number++) {
    const folder = join(cacheFolder, number === 1 ? 'packages' : `packages-${number}`);
    mkdirSync(folder, { recursive: true });
    rmSync(socket, { force: true });
    const child = startService(place, 'packages', [
      'flock',
      '--nonblock',
      '--no-fork',
      join(folder, 'lock'),
      'apt-cacher-ng',
      '-c',
      '/etc/apt-cacher-ng',
      'ForeGround=1',
      `CacheDir=${folder}`,
      `LogDir=${place.run}`,
      `SocketPath=${socket}`,
      'BindAddress=127.0.0.1',
      `Port=${await freePort()}`,
    ]);
    const exit = await Promise.race([
      until(place, 'packages', child, () => existsSync(socket)).then(() => undefined),
      new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 1))),
    ]).catch((error: unknown) => {
      if (child.exitCode !== 1) throw error;
      return 1;
    });
    if (exit === undefined) return;
  }
  throw new Error(`no package cache is free below ${cacheFolder}`);
}
