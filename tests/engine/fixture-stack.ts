import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parse, stringify } from 'yaml';
import { startLocalCloud, type LocalCloud } from '../../local/api/server';
import { findPulumiCli } from '../../local/command/pulumi-cli';
import { installPlugins } from '../../local/providers/install';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  /** Both, as a person sees them. */
  text: string;
}

/** One step of `pulumi preview --json`. */
export interface Step {
  op: string;
  urn: string;
  replaceReasons?: string[] | null;
  diffReasons?: string[] | null;
  detailedDiff?: Record<string, { kind: string }> | null;
}

/** A command under way. */
export interface Interruptible {
  done: Promise<Ran>;
  interrupt(): void;
}

export interface Request {
  n: number;
  method: string;
  path: string;
  status: number;
}

interface StateResource {
  urn: string;
  id?: string;
  type: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

/**
 * A stack of a small program, with the real CLI, the stand-in plugins, and a local cloud of its own.
 *
 * The CLI is the one that PULUMI_CLI names, else the one that the local command would use.
 */
export class FixtureStack {
  private constructor(
    readonly folder: string,
    private readonly cli: string,
    private readonly program: string,
    private readonly stack: string,
    readonly cloud: LocalCloud,
    readonly token: string,
  ) {}

  /** @param program folder under `programs` */
  static async start(program: string, environment: Record<string, string> = {}): Promise<FixtureStack> {
    const cli = process.env.PULUMI_CLI ?? (await findPulumiCli(() => undefined)).path;
    const folder = mkdtempSync(path.join(tmpdir(), 'lesson-platform-fixture-'));
    mkdirSync(path.join(folder, 'state'));
    installPlugins(path.join(folder, 'home'));
    const token = randomBytes(32).toString('hex');
    const cloud = await startLocalCloud({ stateFile: path.join(folder, 'cloud.json'), token, actionMs: 30 });
    const stack = `local-${randomBytes(4).toString('hex')}`;
    const made = new FixtureStack(
      folder,
      cli,
      path.join(__dirname, 'programs', program),
      stack,
      cloud,
      token,
    );
    Object.assign(made.extra, environment);
    const ran = await made.pulumi('stack', 'init', stack);
    if (ran.code !== 0) throw new Error(ran.text);
    return made;
  }

  private get settings(): string {
    return path.join(this.program, `Pulumi.${this.stack}.yaml`);
  }

  /** Environment of this stack's commands beside what every one gets. */
  readonly extra: Record<string, string> = {};

  get environment(): Record<string, string> {
    return {
      PATH: process.env.PATH ?? '',
      HOME: this.folder,
      PULUMI_HOME: path.join(this.folder, 'home'),
      PULUMI_BACKEND_URL: pathToFileURL(path.join(this.folder, 'state')).href,
      PULUMI_CONFIG_PASSPHRASE: 'fixture',
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
      // The fixtures are checked with everything else; compiling them here must not check them again.
      PULUMI_NODEJS_TRANSPILE_ONLY: 'true',
      HCLOUD_ENDPOINT: `${this.cloud.url}/v1`,
      HCLOUD_TOKEN: this.token,
      CLOUDFLARE_BASE_URL: `${this.cloud.url}/client/v4`,
      CLOUDFLARE_API_TOKEN: this.token,
      LOCAL_CLOUD: this.cloud.url,
      ...this.extra,
    };
  }

  private start(args: string[]): { child: ChildProcess; done: Promise<Ran> } {
    const child = spawn(this.cli, ['--non-interactive', '--color', 'never', ...args], {
      cwd: this.program,
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const done = new Promise<Ran>((resolve, reject) => {
      const printed = { stdout: '', stderr: '', text: '' };
      for (const stream of ['stdout', 'stderr'] as const) {
        child[stream].setEncoding('utf8').on('data', (text: string) => {
          printed[stream] += text;
          printed.text += text;
        });
      }
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? -1, ...printed }));
    });
    return { child, done };
  }

  pulumi(...args: string[]): Promise<Ran> {
    return this.start(args).done;
  }

  /** Starts a command that {@link Interruptible.interrupt} ends as Ctrl-C does. */
  interruptible(command: string, ...args: string[]): Interruptible {
    const { child, done } = this.start([...command.split(' '), '--stack', this.stack, ...args]);
    return { done, interrupt: () => void child.kill('SIGINT') };
  }

  /** Waits until the local cloud has got such a request. */
  async seen(matches: (request: Request) => boolean): Promise<void> {
    const since = await this.mark();
    while (!(await this.requests(since)).some(matches)) await sleep(100);
  }

  /** Like {@link pulumi} on this stack; throws when it fails. */
  async run(command: string, ...args: string[]): Promise<Ran> {
    const ran = await this.pulumi(...command.split(' '), '--stack', this.stack, ...args);
    if (ran.code !== 0) throw new Error(`pulumi ${command} ended with ${ran.code}:\n${ran.text}`);
    return ran;
  }

  /** The same, for what should fail. */
  async failing(command: string, ...args: string[]): Promise<Ran> {
    const ran = await this.pulumi(...command.split(' '), '--stack', this.stack, ...args);
    if (ran.code === 0) throw new Error(`pulumi ${command} should have failed:\n${ran.text}`);
    return ran;
  }

  up(...args: string[]): Promise<Ran> {
    return this.run('up', '--yes', '--skip-preview', ...args);
  }

  refresh(): Promise<Ran> {
    return this.run('refresh', '--yes', '--skip-preview');
  }

  destroy(): Promise<Ran> {
    return this.run('destroy', '--yes', '--skip-preview');
  }

  /** Sets values in the stack's configuration; undefined removes one. */
  configure(values: Record<string, string | undefined>): void {
    const document = parse(readFileSync(this.settings, 'utf8')) as { config?: Record<string, string> };
    const config = { ...document.config };
    for (const [key, value] of Object.entries(values)) {
      const name = `fixture-${path.basename(this.program)}:${key}`;
      if (value === undefined) delete config[name];
      else config[name] = value;
    }
    writeFileSync(this.settings, stringify({ ...document, config }));
  }

  /** The plan's steps other than `same`. */
  async plan(): Promise<Step[]> {
    const { stdout } = await this.run('preview', '--json');
    const { steps } = JSON.parse(stdout) as { steps?: Step[] };
    return (steps ?? []).filter((step) => step.op !== 'same');
  }

  /** The plan with one set of configuration values, which are taken back afterwards. */
  async planWith(values: Record<string, string>): Promise<Step[]> {
    this.configure(values);
    try {
      return await this.plan();
    } finally {
      this.configure(Object.fromEntries(Object.keys(values).map((key) => [key, undefined])));
    }
  }

  async outputs(): Promise<Record<string, unknown>> {
    const { stdout } = await this.run('stack output', '--json', '--show-secrets');
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** The exported state as text, secrets encrypted. */
  async exported(): Promise<string> {
    return (await this.run('stack export')).stdout;
  }

  async resource(name: string): Promise<StateResource> {
    const state = JSON.parse(await this.exported()) as { deployment: { resources: StateResource[] } };
    const found = state.deployment.resources.find((item) => nameOf(item.urn) === name);
    if (!found) throw new Error(`no ${name} in the state`);
    return found;
  }

  /** A call of the local cloud, as somebody behind the engine's back would make it. */
  async call<T>(method: string, at: string, body?: object): Promise<T> {
    const response = await fetch(`${this.cloud.url}${at}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${at}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  requests(since = 0): Promise<Request[]> {
    return this.call('GET', `/local/requests?since=${since}`);
  }

  /** Number of the last request so far. */
  async mark(): Promise<number> {
    return (await this.requests()).at(-1)?.n ?? 0;
  }

  async close(): Promise<void> {
    await this.pulumi('stack', 'rm', this.stack, '--yes', '--force');
    rmSync(this.settings, { force: true });
    await this.cloud.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A resource's name in the program. */
export const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf('::') + 2);

/** `op name`, sorted: the order in which independent resources are planned is not fixed. */
export const summary = (steps: Step[]): string[] => steps.map(({ op, urn }) => `${op} ${nameOf(urn)}`).sort();

/** The kinds of change of one resource's properties. */
export function kinds(steps: Step[], name: string): Record<string, string> {
  const step = steps.find(({ urn }) => nameOf(urn) === name);
  return Object.fromEntries(Object.entries(step?.detailedDiff ?? {}).map(([key, { kind }]) => [key, kind]));
}
