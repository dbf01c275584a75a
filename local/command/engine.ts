import { spawn, spawnSync, type SpawnOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inNamespace } from '../machines/place';
import { installPlugins, installedPlugins, type InstalledPlugin } from '../providers/install';
import { pluginVersion } from '../providers/plugin-version';
import type { CloudEndpoint } from './cloud';
import { makeOnce, projectRoot, type LocalPaths } from './paths';
import { findPulumiCli, pulumiReachable, type PulumiCli } from './pulumi-cli';
import { isAlive, quoted } from './system';

/** The Pulumi engine with a home and a state of its own, pointed at a local cloud. */
export interface Engine {
  cli: PulumiCli;
  plugins: InstalledPlugin[];
  /** What points any shell at it. */
  environment: Record<string, string>;
}

/**
 * Prepares the engine: CLI, plugins, language host, passphrase. Nothing of the user's own Pulumi is touched.
 *
 * @param namespace network namespace that it runs in, when hosts boot; else this machine's own
 * @param real refuses every stand-in that a real part could replace (REAL=1)
 */
export async function prepareEngine(
  paths: LocalPaths,
  cloud: CloudEndpoint,
  say: (line: string) => void,
  namespace?: string,
  real = process.env['REAL'] === '1',
): Promise<Engine> {
  for (const folder of [paths.pulumiHome, paths.backend, paths.bin]) mkdirSync(folder, { recursive: true });
  chmodSync(paths.root, 0o700);
  makeOnce(paths.passphraseFile, randomBytes(24).toString('base64url'));
  // A shell that is pointed here already has this engine's own entrance on its path.
  const otherFolders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== paths.bin);
  const cli = await findPulumiCli(say, real ? 'official' : undefined, otherFolders.join(delimiter));

  const environment: Record<string, string> = {
    PULUMI_HOME: paths.pulumiHome,
    PULUMI_BACKEND_URL: pathToFileURL(paths.backend).href,
    PULUMI_CONFIG_PASSPHRASE_FILE: paths.passphraseFile,
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
    // `npm run check` has checked the types; checking them anew takes most of a preview's time.
    PULUMI_NODEJS_TRANSPILE_ONLY: 'true',
    HCLOUD_ENDPOINT: `${cloud.url}/v1`,
    HCLOUD_TOKEN: cloud.token,
    CLOUDFLARE_BASE_URL: `${cloud.url}/client/v4`,
    CLOUDFLARE_API_TOKEN: cloud.token.slice(0, 40),
    LOCAL_CLOUD: cloud.url,
    PATH: [paths.bin, dirname(process.execPath), ...otherFolders].join(delimiter),
  };
  await fetchRealPlugins(cli, environment, paths, real, say);
  const path = placeCli(cli.path, paths, namespace);
  installPlugins(paths.pulumiHome);
  const plugins = installedPlugins(paths.pulumiHome);
  return { cli: { ...cli, path }, plugins, environment };
}

/** Puts the CLI where a shell that is pointed here finds it; answers its path. */
function placeCli(cli: string, paths: LocalPaths, namespace: string | undefined): string {
  const path = join(paths.bin, 'pulumi');
  rmSync(path, { force: true });
  if (namespace === undefined) {
    symlinkSync(cli, path);
    return cli;
  }
  const lines = ['#!/bin/sh', '# Hosts are reached in their network only.'];
  const command = inNamespace(namespace, [cli]).map(quoted);
  writeFileSync(path, `${[...lines, `exec ${command.join(' ')} "$@"`].join('\n')}\n`, { mode: 0o755 });
  return path;
}

/** Plugins whose real ones can work against the local cloud. A real `command` needs hosts that answer SSH. */
const realisable = ['hcloud', 'cloudflare', 'random', 'tls'];

async function fetchRealPlugins(
  cli: PulumiCli,
  environment: Record<string, string>,
  paths: LocalPaths,
  real: boolean,
  say: (line: string) => void,
): Promise<void> {
  const asked = join(paths.pulumiHome, 'asked-for-real-plugins');
  if (existsSync(asked) && !real) return;
  if (!real && !(await pulumiReachable())) return;
  const have = installedPlugins(paths.pulumiHome).filter((plugin) => plugin.kind === 'real');
  for (const name of realisable.filter((one) => !have.some((plugin) => plugin.name === one))) {
    const version = pluginVersion(name);
    say(`Fetching the real ${name} plugin ${version}`);
    const result = spawnSync(cli.path, ['plugin', 'install', 'resource', name, `v${version}`], {
      env: { ...process.env, ...environment, PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'false' },
      encoding: 'utf8',
      timeout: 180_000,
    });
    if (result.status !== 0) {
      if (real) throw new Error(`REAL=1, but the ${name} plugin cannot be had:\n${result.stderr}`);
      say(`  not to be had here; a stand-in takes its place`);
    }
  }
  writeFileSync(asked, '');
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs `pulumi` in the project's folder.
 *
 * @param options.interrupts told as Ctrl-C would be: the first asks it to end in order, the second at once. Without
 *   it the terminal's own reaches it
 */
export function pulumi(
  engine: Engine,
  args: string[],
  options: { show?: boolean; input?: string; cwd?: string; interrupts?: EventTarget } = {},
): Promise<Ran> {
  const stdio: SpawnOptions['stdio'] = options.show
    ? ['inherit', 'inherit', 'inherit']
    : [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'];
  const child = spawn(engine.cli.path, [...args, '--non-interactive'], {
    cwd: options.cwd ?? projectRoot,
    env: { ...process.env, ...engine.environment },
    stdio,
    // In a session of its own the terminal's Ctrl-C does not come to it as well.
    detached: options.interrupts !== undefined,
  });
  const interrupt = () => void child.kill('SIGINT');
  options.interrupts?.addEventListener('interrupt', interrupt);
  const ran: Ran = { code: 1, stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (ran.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (ran.stderr += text));
  child.stdin?.end(options.input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      options.interrupts?.removeEventListener('interrupt', interrupt);
      resolve({ ...ran, code: code ?? 1 });
    });
  });
}

/** Locks of the state, each held by one process. */
function locks(paths: LocalPaths): { pid: number; alive: boolean }[] {
  const folder = join(paths.backend, '.pulumi', 'locks');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => {
      const { pid } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { pid: number };
      return { pid, alive: isAlive(pid) };
    });
}

/** The process of an engine that works on the state now. */
export const engineAtWork = (paths: LocalPaths): number | undefined =>
  locks(paths).find(({ alive }) => alive)?.pid;

/**
 * Removes the lock of an engine that was killed. Only a lock whose process is gone is taken away, so that two
 * people on one machine still wait for each other.
 */
export async function releaseStaleLock(engine: Engine, paths: LocalPaths, stack: string): Promise<void> {
  const held = locks(paths);
  if (held.length > 0 && !held.some(({ alive }) => alive)) {
    await pulumi(engine, ['cancel', '--yes', '--stack', stack]);
  }
}
