import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroupMount } from '../../local/machines/cgroup';
import { inMachine } from '../../local/machines/inside';
import { inNamespace, isOurs, placeOf, type Place } from '../../local/machines/place';
import { projectRoot } from '../../local/command/paths';

export interface Server {
  id: number;
  name: string;
  status: string;
  public_net: { ipv4: { ip: string } | null; ipv6: { ip: string } | null };
  private_net: { ip: string; network: number }[];
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, whatever that is. */
export function ran([program, ...args]: string[], input = ''): Promise<Ran> {
  const child = spawn(program!, args, { stdio: 'pipe' });
  const result = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => (result[stream] += text));
  }
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, ...result }));
  });
}

/** Tries until it holds; the last answer is in the error when it does not within the time. */
export async function until<T>(
  what: string,
  probe: () => Promise<T>,
  holds: (answer: T) => boolean,
  seconds = 30,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await probe();
    if (holds(answer)) return answer;
    if (Date.now() > deadline)
      throw new Error(`${what}: not within ${seconds} s, last ${JSON.stringify(answer)}`);
    await sleep(200);
  }
}

export const scratchFolder = (): string => mkdtempSync(join(tmpdir(), 'lesson-platform-boot-'));

/** What a place has on this machine outside its folder: nothing, when it is down. */
export function leftovers(place: Place): string[] {
  const list = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const processes = list('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        // One that is dead and only waits to be collected counts as gone.
        const dead = /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
        return !dead && readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(place.cgroup);
      } catch {
        return false;
      }
    });
  return [
    ...list('/run/netns')
      .filter((name) => isOurs(place, name))
      .map((name) => `namespace ${name}`),
    ...list(cgroupMount() ?? '')
      .filter((name) => name === place.cgroup)
      .map((name) => `cgroup ${name}`),
    ...list('/run')
      .filter((name) => name.includes(place.key))
      .map((name) => `/run/${name}`),
    ...mounts
      .filter((line) => line.includes(place.key) || line.includes(place.disks))
      .map((line) => `mount ${line}`),
    ...processes.map((pid) => `process ${pid}`),
    // Of the machine's own network: bridges and veths of ours would be here.
    ...list('/sys/class/net')
      .filter((name) => /^[pv]\d{7}/.test(name))
      .map((name) => `interface ${name}`),
  ];
}

/** A local cloud with machines, as a process of this test's own. */
export class BootedCloud {
  readonly place: Place;

  private constructor(
    readonly folder: string,
    readonly child: ChildProcess,
    readonly url: string,
    private readonly token: string,
    readonly output: () => string,
  ) {
    this.place = placeOf(folder);
  }

  static async start(folder: string, options: string[] = []): Promise<BootedCloud> {
    const main = join(projectRoot, 'local/api/main.ts');
    const endpointFile = join(folder, 'endpoint.json');
    rmSync(endpointFile, { force: true });
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', main, '--state', folder, '--machines', ...options],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => (output += text.toString()));
    await until(
      'the local cloud answers',
      () => Promise.resolve(existsSync(endpointFile) || child.exitCode !== null),
      Boolean,
      120,
    );
    if (child.exitCode !== null) throw new Error(`the local cloud ended: ${output}`);
    const { url, token } = JSON.parse(readFileSync(endpointFile, 'utf8')) as { url: string; token: string };
    return new BootedCloud(folder, child, url, token, () => output);
  }

  /** Ends the process with a signal and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await gone;
  }

  api = async <T = unknown>(method: string, path: string, body?: object): Promise<T> => {
    return call<T>(this.url, this.token, method, path, body);
  };

  /** A server with an SSH key, user data or what else is given. */
  async server(order: { name: string } & Record<string, unknown>): Promise<Server> {
    const { server, action } = await this.api<{ server: Server; action: Action }>('POST', '/v1/servers', {
      server_type: 'cx33',
      image: 'debian-13',
      location: 'fsn1',
      ...order,
    });
    await ended(this.api, action.id);
    return server;
  }
}

export interface Action {
  id: number;
  status: string;
  error: { message: string } | null;
}

export type Api = <T = unknown>(method: string, path: string, body?: object) => Promise<T>;

export async function call<T>(
  url: string,
  token: string,
  method: string,
  path: string,
  body?: object,
): Promise<T> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** Waits for the end of an action, which must be a good one. */
export async function ended(api: Api, id: number): Promise<void> {
  const { action } = await until(
    `action ${id} ends`,
    () => api<{ action: Action }>('GET', `/v1/actions/${id}`),
    ({ action: { status } }) => status !== 'running',
    60,
  );
  if (action.status !== 'success') throw new Error(`action ${id}: ${action.error?.message}`);
}

/** Does an action on a server and waits for its end. */
export async function act(api: Api, server: number, name: string, body?: object): Promise<void> {
  const { action } = await api<{ action: Action }>('POST', `/v1/servers/${server}/actions/${name}`, body);
  await ended(api, action.id);
}

/** Runs a program among the operator's. */
export const outside = (place: Place, command: string[], input?: string): Promise<Ran> =>
  ran(inNamespace(place.gateway, command), input);

/** Runs a script in a machine, as root and without SSH. */
export function inside(place: Place, id: number, script: string): Promise<Ran> {
  try {
    return ran(inMachine(place, id, ['sh', '-c', script]));
  } catch (error) {
    return Promise.resolve({ code: -1, stdout: '', stderr: String(error) });
  }
}

/** Waits until a machine has booted: cloud-init is done, and systemd has nothing to do. */
export async function booted(place: Place, id: number): Promise<void> {
  const state = 'cloud-init status; systemctl is-system-running';
  await until(
    `machine ${id} boots`,
    () => inside(place, id, state),
    ({ stdout }) => /^status: done\b[^]*\nrunning\n$/.test(stdout),
    60,
  );
}

/** An SSH identity and the pinned key of one host, in files. */
export class Ssh {
  constructor(
    private readonly place: Place,
    private readonly folder: string,
    privateKey: string,
  ) {
    writeFileSync(join(folder, 'key'), privateKey, { mode: 0o600 });
  }

  /** Runs a command over SSH against one pinned host key. */
  run(address: string, hostKey: string, command: string, options: string[] = []): Promise<Ran> {
    const known = join(this.folder, 'known_hosts');
    writeFileSync(known, `${address} ${hostKey}\n`);
    return outside(this.place, [
      ...['ssh', '-F', 'none', '-i', join(this.folder, 'key')],
      ...['-o', `UserKnownHostsFile=${known}`, '-o', 'StrictHostKeyChecking=yes', '-o', 'BatchMode=yes'],
      ...['-o', 'ConnectTimeout=3', '-o', 'LogLevel=ERROR', ...options],
      `root@${address}`,
      command,
    ]);
  }
}

const opened: { folder: string; clouds: BootedCloud[] }[] = [];

/** A folder for a local cloud; whatever a test does with it, `removeCheckouts` takes it away. */
export function checkout(): { folder: string; start: (options?: string[]) => Promise<BootedCloud> } {
  const folder = scratchFolder();
  const entry = { folder, clouds: [] as BootedCloud[] };
  opened.push(entry);
  const start = async (options: string[] = []) => {
    const cloud = await BootedCloud.start(folder, options);
    entry.clouds.push(cloud);
    return cloud;
  };
  return { folder, start };
}

/** Takes every checkout down, also one whose cloud was killed. */
export async function removeCheckouts(): Promise<void> {
  for (const { folder, clouds } of opened.splice(0)) {
    for (const cloud of clouds) await cloud.end('SIGTERM');
    if (leftovers(placeOf(folder)).length > 0) await (await BootedCloud.start(folder)).end('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}
