import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { recorderHostPlan } from '../../cloud-init/roles';
import { freePort } from '../host/prosody-host';
import { RenderedRole } from '../host/rendered-role';
import { recorderValues } from '../host/role-values';
import { end, reachable, until } from './processes';
import { DOMAIN, JIBRI_PASSWORD, RECORDER_PASSWORD } from './school';

const PACKAGES = join(__dirname, '..', '..', 'local', 'stand-ins', 'packages');
const CONF = '/etc/jitsi/jibri/instance-1/jibri.conf';
const LOGGING = '/etc/jitsi/jibri/instance-1/logging.properties';

/** What a recorder is told to do wrong; see `faults.py`. */
export type Fault =
  | 'busy'
  | 'error'
  | 'iq-error'
  | 'on'
  | 'silent'
  | 'never-on'
  | 'no-media'
  | 'unhealthy'
  | 'end'
  | 'fail'
  | 'fail-retry'
  | 'die';

/** The stand-in recorder with a recorder host's own settings, of its first instance; it runs real ffmpeg. */
export class StandInRecorder {
  private process: ChildProcess | undefined;
  private said = '';

  private constructor(
    private readonly role: RenderedRole,
    /** Nick in the breweries. */
    readonly nick: string,
    private readonly http: { external: number; internal: number },
  ) {}

  /**
   * @param ports where the shards' Prosodys take logins; one environment for each, all of the same domain
   * @param changes to jibri.conf: text to be there, and what replaces it
   */
  static async start(
    ports: number[],
    { name = 'recorder-1', changes = [] }: { name?: string; changes?: [string, string][] } = {},
  ): Promise<StandInRecorder> {
    const shards = ports.map(() => ({ domain: DOMAIN, jitsiAddress: '127.0.0.1' }));
    const role = new RenderedRole(
      recorderHostPlan({ ...recorderValues, shards }),
      { 'xmpp-jibri-password': JIBRI_PASSWORD, 'xmpp-recorder-password': RECORDER_PASSWORD },
      { name },
    );
    const recorder = new StandInRecorder(role, `${name}-1`, {
      external: await freePort(),
      internal: await freePort(),
    });
    mkdirSync(role.path('/home'));
    role.write('/finalize', '#!/bin/sh\necho "$1" >>"$HOME/finalized"\n', 0o755);
    role.adapt(CONF, [
      ['external-api-port = 2222', `external-api-port = ${recorder.http.external}`],
      ['internal-api-port = 3333', `internal-api-port = ${recorder.http.internal}`],
      ['trust-all-xmpp-certs = false', 'trust-all-xmpp-certs = true'],
      [/recordings-directory = ".*"/, `recordings-directory = "${role.path('/recordings')}"`],
      [/finalize-script = ".*"/, `finalize-script = "${role.path('/finalize')}"`],
      ...changes,
    ]);
    // Each shard's Prosody has a port of its own here.
    let environment = 0;
    role.write(
      CONF,
      role.read(CONF).replace(/port = 5222/g, () => `port = ${ports[(environment += 1) - 1]}`),
    );
    role.adapt(LOGGING, [[/pattern = .*/, `pattern = ${role.path('/recorder.log')}`]]);
    await recorder.run();
    return recorder;
  }

  /** Starts the program, again too. */
  async run(): Promise<void> {
    const { role } = this;
    const env = {
      ...process.env,
      HOME: role.path('/home'),
      PYTHONPATH: join(PACKAGES, 'common'),
      PYTHONDONTWRITEBYTECODE: '1',
    };
    const program = join(PACKAGES, 'jibri', 'usr', 'share', 'jibri', 'recorder.py');
    this.process = spawn('/usr/bin/python3', [program, role.path(CONF), role.path(LOGGING)], {
      cwd: role.path('/home'),
      env,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    this.process.stderr?.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    await until('the recorder answers', () => {
      if (this.process?.exitCode !== null) throw new Error(`it did not start: ${this.log()}`);
      return reachable(this.http.external);
    });
  }

  /** What it said. */
  log(): string {
    return this.said + (this.role.exists('/recorder.log') ? this.role.read('/recorder.log') : '');
  }

  order(fault: Fault): void {
    this.role.write('/home/stand-in-fault', `${fault}\n`);
  }

  /** No fault any more. */
  behave(): void {
    rmSync(this.role.path('/home/stand-in-fault'), { force: true });
  }

  /** `BUSY HEALTHY` and the like; undefined when it does not answer. */
  async health(): Promise<string | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.http.external}/jibri/api/v1.0/health`);
      const { status } = (await answer.json()) as {
        status: { busyStatus: string; health: { healthStatus: string } };
      };
      return `${status.busyStatus} ${status.health.healthStatus}`;
    } catch {
      return undefined;
    }
  }

  /** Tells it to end, after its recording when gracefully. */
  async shutDown(how: 'gracefulShutdown' | 'shutdown'): Promise<void> {
    await fetch(`http://127.0.0.1:${this.http.internal}/jibri/api/internal/v1.0/${how}`, { method: 'POST' });
  }

  /** Whether the process is gone. */
  get ended(): boolean {
    return this.process?.exitCode !== null || this.process.signalCode !== null;
  }

  /** Folders of sessions → names of their files. */
  recordings(): Record<string, string[]> {
    const base = this.role.path('/recordings');
    if (!existsSync(base)) return {};
    return Object.fromEntries(
      readdirSync(base).map((folder) => [folder, readdirSync(join(base, folder)).sort()]),
    );
  }

  path(session: string, file: string): string {
    return this.role.path(`/recordings/${session}/${file}`);
  }

  /** Folders that the finalize script was called with, by session. */
  finalized(): string[] {
    if (!this.role.exists('/home/finalized')) return [];
    const lines = this.role.read('/home/finalized').trim().split('\n');
    return lines.map((folder) => folder.split('/').at(-1)!);
  }

  /** Ends it in order: the link of one that is killed is given up later. */
  async stop(): Promise<void> {
    if (!this.ended) {
      await this.shutDown('shutdown').catch(() => undefined);
      await until('the recorder ends', () => this.ended).catch(() => undefined);
    }
    await end(this.process);
    this.role.remove();
  }
}
