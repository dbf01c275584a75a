import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keptKeys, s3Server, serverCommand, type StoreKeys } from '../../local/store/s3-server';
import { freePort } from '../host/prosody-host';

export const bucket = 'school-recordings';
export const region = 'fsn1';

/** A way to the store that can be cut, slow, or careless with bits. */
export class Way {
  /** Bytes that went to the store. */
  sent = 0;
  /** Bytes to the store a second, for all connections together; 0: as fast as it goes. */
  rate = 0;
  /** Flips one bit of the next large piece. */
  flipNext = false;
  private cut = false;
  private free = 0;
  private readonly open = new Set<Socket>();
  private readonly server: Server;

  constructor(
    readonly port: number,
    private readonly target: number,
  ) {
    this.server = createServer((incoming) => this.join(incoming));
  }

  async start(): Promise<void> {
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  /** Breaks every connection off and takes no other until `mend`. */
  break(): void {
    this.cut = true;
    for (const socket of this.open) socket.destroy();
  }

  mend(): void {
    this.cut = false;
  }

  stop(): void {
    this.break();
    this.server.close();
  }

  private join(incoming: Socket): void {
    if (this.cut) {
      incoming.destroy();
      return;
    }
    const outgoing = connect(this.target, '127.0.0.1');
    const end = () => {
      incoming.destroy();
      outgoing.destroy();
    };
    for (const socket of [incoming, outgoing]) {
      this.open.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        this.open.delete(socket);
        end();
      });
    }
    outgoing.on('data', (data) => void incoming.write(data));
    incoming.on('data', (data) => {
      this.sent += data.length;
      if (this.flipNext && data.length > 8192) {
        this.flipNext = false;
        data[data.length - 4000]! ^= 1;
      }
      void this.pass(incoming, outgoing, data);
    });
  }

  private async pass(incoming: Socket, outgoing: Socket, data: Buffer): Promise<void> {
    incoming.pause();
    if (this.rate > 0) {
      this.free = Math.max(this.free, Date.now()) + (1000 * data.length) / this.rate;
      await sleep(this.free - Date.now());
    }
    if (!outgoing.write(data)) await Promise.race([once(outgoing, 'drain'), once(outgoing, 'close')]);
    incoming.resume();
  }
}

/** A real S3 server in a scratch folder, and a way to it that a test can spoil. */
export class Store {
  readonly folder = mkdtempSync(join(tmpdir(), 'lesson-platform-store-'));
  readonly keys: StoreKeys = keptKeys(this.folder);
  readonly way: Way;
  private server: ChildProcess | undefined;

  private constructor(
    private readonly program: string,
    private readonly port: number,
    wayPort: number,
    private readonly megabytes: number | undefined,
  ) {
    this.way = new Way(wayPort, port);
  }

  /** @param megabytes size of the store; it can be made larger. Without it as large as the disk. */
  static async start(megabytes?: number): Promise<Store> {
    const program = await s3Server((line) => void process.stderr.write(`${line}\n`));
    const store = new Store(program, await freePort(), await freePort(), megabytes);
    await store.way.start();
    await store.run();
    return store;
  }

  /** Where recorders find it. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.way.port}`;
  }

  /** The store itself, past the way. */
  get direct(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  private async run(): Promise<void> {
    const folder = join(this.folder, 'buckets');
    const sidecar = join(folder, '.more');
    const { command, env } = serverCommand(this.program, {
      ...this.keys,
      address: `127.0.0.1:${this.port}`,
      region,
      folder: this.megabytes === undefined ? folder : join(folder, 'objects'),
      ...(this.megabytes !== undefined && { sidecar }),
    });
    mkdirSync(join(folder, bucket), { recursive: true });
    const full = [
      ...['unshare', '--mount', ...(process.getuid?.() === 0 ? [] : ['--map-root-user']), 'sh', '-ec'],
      `mount -t tmpfs -o size=${this.megabytes}m tmpfs "$0"; mkdir -p "$0/objects/${bucket}" "$0/.more"; exec "$@"`,
      ...[folder, ...command],
    ];
    const [program, ...args] = this.megabytes === undefined ? command : full;
    this.server = spawn(program!, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    for (let tries = 0; tries < 600; tries++) {
      const answers = await fetch(`http://127.0.0.1:${this.port}/`).then(
        () => true,
        () => false,
      );
      if (answers) return;
      if (this.server.exitCode !== null) break;
      await sleep(50);
    }
    throw new Error('the S3 server does not start');
  }

  /** Makes a store that was given a size larger. */
  grow(megabytes: number): void {
    const enter = [
      '-t',
      String(this.server!.pid),
      '--mount',
      '--',
      'mount',
      '-o',
      `remount,size=${megabytes}m`,
    ];
    const { status, stderr } = spawnSync('nsenter', [...enter, join(this.folder, 'buckets')], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
  }

  /** Names of the objects, sorted. */
  objects(): string[] {
    const base = join(this.folder, 'buckets', bucket);
    return readdirSync(base, { recursive: true })
      .map(String)
      .filter((name) => !name.startsWith('.sgwtmp') && statSync(join(base, name)).isFile())
      .sort();
  }

  /** Number of uploads in parts that were begun and neither completed nor given up. */
  brokenOff(): number {
    const base = join(this.folder, 'buckets', bucket, '.sgwtmp', 'multipart');
    if (!existsSync(base)) return 0;
    return readdirSync(base).flatMap((object) => readdirSync(join(base, object))).length;
  }

  object(name: string): Buffer {
    return readFileSync(join(this.folder, 'buckets', bucket, name));
  }

  async stop(): Promise<void> {
    this.way.stop();
    if (this.server && this.server.exitCode === null) {
      const ended = once(this.server, 'exit');
      this.server.kill('SIGKILL');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
