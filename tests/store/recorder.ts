import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { recorderHostPlan } from '../../cloud-init/roles';
import { freePort } from '../host/prosody-host';
import { RenderedRole, run, type Ended } from '../host/rendered-role';
import { recorderValues } from '../host/role-values';
import { LessonApp } from './lesson-app';
import { bucket, region, type Store } from './store';

export const prefix = 'recordings';

/** A recorder host's uploader in a scratch folder, with Jibri's folders; nothing of it but the addresses is changed. */
export class Recorder {
  readonly role: RenderedRole;
  readonly name = hostname();
  /** The Jitsi host's folders, and its service that knows whose recording is whose. */
  private readonly jitsi = mkdtempSync(join(tmpdir(), 'lesson-platform-jitsi-'));
  private lookup: ChildProcess | undefined;

  private constructor(
    store: Store,
    app: LessonApp,
    private readonly lookupPort: number,
    keys = store.keys,
  ) {
    this.role = new RenderedRole(
      recorderHostPlan({
        ...recorderValues,
        shards: [{ domain: 'meet.example.org', jitsiAddress: '127.0.0.1' }],
        store: { endpoint: store.endpoint, region, bucket, prefix },
        webhookUrl: app.url,
      }),
      { 'store-access-key-id': keys.accessKeyId, 'store-secret-access-key': keys.secretAccessKey },
    );
    this.role.adapt('/usr/local/lib/platform/instances.py', [
      // Jibri does not run here.
      ['return 2222 + int(name) - 1', 'return 9'],
    ]);
    this.role.write('/etc/platform/secrets/webhook-secret', LessonApp.secret, 0o600);
    for (const name of ['1', '2']) {
      for (const folder of ['recordings', 'queue'])
        mkdirSync(this.role.path(`/var/lib/jibri/${name}/${folder}`), { recursive: true });
    }
  }

  static async start(store: Store, app: LessonApp, keys = store.keys): Promise<Recorder> {
    const recorder = new Recorder(store, app, await freePort(), keys);
    await recorder.jitsiAnswers();
    return recorder;
  }

  private async jitsiAnswers(): Promise<void> {
    const store = join(__dirname, '../../cloud-init/plan-store/usr/local/sbin/platform-plans');
    this.lookup = spawn('python3', [store, 'serve', '127.0.0.1', String(this.lookupPort)], {
      env: { ...process.env, PLATFORM_ROOT: this.jitsi, PYTHONDONTWRITEBYTECODE: '1' },
      stdio: 'ignore',
    });
    const listens = () =>
      fetch(`http://127.0.0.1:${this.lookupPort}/`).then(
        () => true,
        () => false,
      );
    while (!(await listens())) {
      if (this.lookup.exitCode !== null) throw new Error('platform-plans does not start');
      await sleep(50);
    }
  }

  jitsiIsSilent(): void {
    this.lookup?.kill('SIGKILL');
  }

  /** As Prosody's module notes a session. */
  note(session: string, note: object): void {
    const folder = join(this.jitsi, 'var/lib/prosody/lesson-recordings');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${session}.json`), JSON.stringify(note));
  }

  private get env(): Record<string, string> {
    return {
      ...(process.env as Record<string, string>),
      PLATFORM_ROOT: this.role.root,
      PLATFORM_LOOKUP_PORT: String(this.lookupPort),
      PYTHONPATH: this.role.path('/usr/local/lib/platform'),
      PYTHONDONTWRITEBYTECODE: '1',
    };
  }

  folder(instance: number, session: string): string {
    return this.role.path(`/var/lib/jibri/${instance}/recordings/${session}`);
  }

  /**
   * As Jibri leaves a recording: a folder named by the session with the file, and metadata.json unless it was killed.
   *
   * @param ended when ffmpeg wrote last, seconds since 1970
   */
  record(
    media: string,
    instance: number,
    session: string,
    { lesson, ended, killed = false }: { lesson?: string; ended: number; killed?: boolean },
  ): void {
    const folder = this.folder(instance, session);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `algebra-7b_2026-11-24-10-00-00.mp4`);
    copyFileSync(media, file);
    if (!killed) {
      const metadata = {
        meeting_url: 'https://meet.example.org/algebra-7b',
        participants: [],
        share: true,
        ...(lesson !== undefined && { lesson, room: 'algebra-7b' }),
        conference_details: { session_id: `meeting-of-${session}` },
      };
      writeFileSync(join(folder, 'metadata.json'), JSON.stringify(metadata));
    }
    utimesSync(file, ended, ended);
    if (killed) utimesSync(folder, ended, ended);
  }

  /** Jibri's finalize step. */
  finish(instance: number, session: string): void {
    const { code, output } = run(
      this.role.path('/usr/local/lib/platform/recording-finished'),
      [this.folder(instance, session)],
      { env: { HOME: this.role.path(`/var/lib/jibri/${instance}`) } },
    );
    if (code !== 0) throw new Error(output);
  }

  /** A run of the uploader; in a process group of its own. */
  spawn(...args: string[]): ChildProcess {
    return spawn('python3', [this.role.path('/usr/local/sbin/platform-upload'), ...args], {
      env: this.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  upload(...args: string[]): Promise<Ended> {
    return this.end(this.spawn(...args));
  }

  /** Runs a few lines of Python among the uploader's modules. */
  python(script: string, ...args: string[]): Promise<Ended> {
    return this.end(spawn('python3', ['-c', script, ...args], { env: this.env }));
  }

  private async end(child: ChildProcess): Promise<Ended> {
    let output = '';
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (data: Buffer) => (output += data.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  }

  /** What the status service says of the work that is left. */
  backlog(): { uploads: number; quarantine: string[]; untold: number } {
    const script = 'import json; from upload import spool; print(json.dumps(spool.backlog()))';
    const { stdout, stderr } = spawnSync('python3', ['-c', script], { env: this.env, encoding: 'utf8' });
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as ReturnType<Recorder['backlog']>;
  }

  folders(place: 'upload' | 'stored' | 'quarantine'): string[] {
    try {
      return readdirSync(this.role.path(`/var/lib/jibri/${place}`)).sort();
    } catch {
      return [];
    }
  }

  job(place: 'upload' | 'stored' | 'quarantine', entry: string): Record<string, unknown> {
    return JSON.parse(
      readFileSync(this.role.path(`/var/lib/jibri/${place}/${entry}/job.json`), 'utf8'),
    ) as Record<string, unknown>;
  }

  stop(): void {
    this.jitsiIsSilent();
    rmSync(this.jitsi, { recursive: true, force: true });
    this.role.remove();
  }
}
