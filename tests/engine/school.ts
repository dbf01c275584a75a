import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { ensureCloud, stopCloud, type CloudEndpoint } from '../../local/command/cloud';
import { prepareEngine, pulumi, type Engine, type Ran } from '../../local/command/engine';
import { localPaths, projectRoot, type LocalPaths } from '../../local/command/paths';
import { packageRepositoryUri } from '../../local/machines/network';
import { placeOf } from '../../local/machines/place';
import { rootFileSystem } from '../../local/machines/root-file-system';
import { standInRepository } from '../../local/stand-ins/build';
import { ensureBucket } from '../../local/store/local-store';
import { keptKeys, s3Server } from '../../local/store/s3-server';

/** One step of a plan, as `pulumi preview --json` gives it. */
export interface Step {
  op: string;
  urn: string;
  oldState?: { inputs?: Record<string, unknown> };
  newState?: { inputs?: Record<string, unknown> };
  detailedDiff?: Record<string, { kind: string }> | null;
  replaceReasons?: string[];
  diffReasons?: string[];
}

/** A remote command as the local cloud recorded it. */
export interface RecordedCommand {
  n: number;
  startedAt: string;
  endedAt: string;
  server: string | null;
  host: string;
  phase: 'create' | 'update' | 'delete';
  command: string;
  stdin?: string;
  exitCode: number;
}

export interface CloudServer {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  server_type: { name: string };
  image: { name: string };
  public_net: { ipv4: { ip: string } };
}

/** A school of its own: local cloud, engine, state and stack, with the unchanged program of the checkout. */
export interface School {
  engine: Engine;
  cloud: CloudEndpoint;
  paths: LocalPaths;
  stack: string;
  /** The stack's settings file. */
  settings: string;
  /** Changes the configuration; `undefined` removes a key. */
  set(changes: Record<string, unknown>): void;
  run(...args: string[]): Promise<Ran>;
  up(...args: string[]): Promise<Ran>;
  /** The plan: steps that change something. */
  plan(...args: string[]): Promise<Step[]>;
  /** The state, exported; secrets stay encrypted. */
  state(): Promise<string>;
  outputs(showSecrets?: boolean): Promise<Record<string, unknown>>;
  servers(): Promise<CloudServer[]>;
  /** Remote commands so far, in order of start. */
  commands(): Promise<RecordedCommand[]>;
  requests(): Promise<{ n: number; at: string; method: string; path: string }[]>;
  fault(fault: unknown): Promise<void>;
  clearFaults(): Promise<void>;
  /** A call to the cloud's API, as somebody behind the engine's back would make it. */
  api(method: string, path: string, body?: unknown): Promise<unknown>;
  close(): Promise<void>;
}

/** Name of a resource, from its URN. */
export const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf('::') + 2);

/** `op name` of each step, for comparing plans. */
export const stepList = (steps: Step[]): string[] => steps.map(({ op, urn }) => `${op} ${nameOf(urn)}`);

interface OpenOptions {
  /** Another Pulumi project's folder; default is the checkout. */
  program?: string;
  /** Default: a name of its own. */
  stack?: string;
  /** Default: made at random. */
  passphrase?: string;
  /** State file of a local cloud to go on from. */
  cloudState?: string;
  /** Folder of a signed apt repository: hosts boot, and reach it at `packageRepositoryUri`. Default: they do not boot. */
  packages?: string;
  /** S3 server that booted hosts find under the local store's name. Default: none is there. */
  store?: string;
}

/** A cloud and an engine without a stack yet. */
export async function openSchool(options: OpenOptions = {}): Promise<School> {
  const folder = mkdtempSync(join(tmpdir(), 'lesson-platform-school-'));
  const paths = localPaths(folder);
  const stack = options.stack ?? `local-${randomBytes(4).toString('hex')}`;
  const program = options.program ?? projectRoot;
  const settings = join(program, `Pulumi.${stack}.yaml`);
  if (options.passphrase !== undefined) writeFileSync(paths.passphraseFile, options.passphrase);
  if (options.cloudState !== undefined) {
    mkdirSync(paths.cloud);
    writeFileSync(join(paths.cloud, 'state.json'), options.cloudState);
  }
  const { packages, store } = options;
  const cloud = await ensureCloud(paths.cloud, { boot: packages !== undefined, packages, store });
  // A test run that is ended from outside must not leave its cloud behind.
  process.once('exit', () => {
    try {
      process.kill(cloud.pid);
    } catch {
      // It has gone already.
    }
  });
  const namespace = packages === undefined ? undefined : placeOf(paths.cloud).gateway;
  const engine = await prepareEngine(paths, cloud, () => undefined, namespace);
  const headers = { authorization: `Bearer ${cloud.token}`, 'content-type': 'application/json' };
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${cloud.url}${path}`, {
      method,
      headers: body === undefined ? { authorization: headers.authorization } : headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const run = (...args: string[]): Promise<Ran> => pulumi(engine, args, { cwd: program });

  return {
    engine,
    cloud,
    paths,
    stack,
    settings,
    run,
    set(values) {
      const file = parse(readFileSync(settings, 'utf8')) as { config?: Record<string, unknown> };
      file.config ??= {};
      for (const [key, value] of Object.entries(values)) {
        const name = key.includes(':') ? key : `lesson-platform:${key}`;
        if (value === undefined) delete file.config[name];
        else file.config[name] = value;
      }
      writeFileSync(settings, stringify(file));
    },
    up: (...args) => run('up', '--yes', '--skip-preview', '--stack', stack, ...args),
    async plan(...args) {
      const ran = await run('preview', '--json', '--stack', stack, ...args);
      if (ran.code !== 0) throw new Error(`preview failed:\n${ran.stdout}\n${ran.stderr}`);
      const { steps } = JSON.parse(ran.stdout) as { steps?: Step[] };
      return (steps ?? []).filter(({ op }) => op !== 'same' && op !== 'refresh');
    },
    async state() {
      return (await run('stack', 'export', '--stack', stack)).stdout;
    },
    async outputs(showSecrets = false) {
      const ran = await run(
        'stack',
        'output',
        '--json',
        '--stack',
        stack,
        ...(showSecrets ? ['--show-secrets'] : []),
      );
      return JSON.parse(ran.stdout) as Record<string, unknown>;
    },
    async servers() {
      const all: CloudServer[] = [];
      for (let page: number | null = 1; page !== null;) {
        const body = (await call('GET', `/v1/servers?per_page=50&page=${page}`)) as {
          servers: CloudServer[];
          meta: { pagination: { next_page: number | null } };
        };
        all.push(...body.servers);
        page = body.meta.pagination.next_page;
      }
      return all;
    },
    commands: async () => (await call('GET', '/local/commands')) as RecordedCommand[],
    requests: async () =>
      (await call('GET', '/local/requests')) as { n: number; at: string; method: string; path: string }[],
    fault: async (fault) => void (await call('POST', '/local/faults', fault)),
    clearFaults: async () => void (await call('DELETE', '/local/faults')),
    api: (method, path, body) => call(method, `/v1${path}`, body),
    async close() {
      await stopCloud(paths.cloud);
      rmSync(folder, { recursive: true, force: true });
      rmSync(settings, { force: true });
    },
  };
}

/**
 * A school as `npm run local` would make it, before its first `up`.
 *
 * @param changes what differs from `local/example.yaml`
 */
export async function startSchool(
  changes: Record<string, unknown> = {},
  options: OpenOptions = {},
): Promise<School> {
  const school = await openSchool(options);
  try {
    const created = await school.run('stack', 'init', school.stack);
    if (created.code !== 0) throw new Error(created.stderr);
    if (options.program !== undefined) return school;
    const example = parse(readFileSync(join(projectRoot, 'local', 'example.yaml'), 'utf8')) as {
      config: Record<string, unknown>;
    };
    school.set({ ...example.config, ...changes });
    const { store } = placeOf(school.paths.cloud);
    const { accessKeyId, secretAccessKey } = keptKeys(store);
    const keys = { storeAccessKeyId: accessKeyId, storeSecretAccessKey: secretAccessKey };
    for (const [key, input] of Object.entries(keys)) {
      await pulumi(school.engine, ['config', 'set', '--secret', key, '--stack', school.stack], { input });
    }
    ensureBucket(store, String(example.config['lesson-platform:storeBucket']));
    await school.api('POST', '/zones', { name: 'school.example', mode: 'primary' });
    return school;
  } catch (error) {
    await school.close();
    throw error;
  }
}

/**
 * A school whose hosts boot, before its first `up`; Jitsi's packages are stand-ins, the object store is a real one.
 *
 * @param changes what differs from `local/example.yaml`
 */
export async function startBootedSchool(changes: Record<string, unknown> = {}): Promise<School> {
  await rootFileSystem('debian-13', () => undefined);
  const { folder, key } = await standInRepository(() => undefined);
  const repositories = {
    jitsiRepository: `${packageRepositoryUri} stable/`,
    jitsiRepositoryKey: key,
    prosodyRepository: `${packageRepositoryUri} prosody/`,
    prosodyRepositoryKey: key,
  };
  const store = await s3Server(() => undefined);
  return startSchool({ ...repositories, ...changes }, { packages: folder, store });
}
