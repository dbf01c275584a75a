import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PulumiCommand } from '@pulumi/pulumi/automation';
import * as semver from 'semver';
import { cacheFolder } from './paths';
import { ensurePrograms, which } from './system';

/** The CLI that is fetched or built; the SDK of the project is the same version. */
export const cliVersion = '3.248.0';
const accepted = `>=${cliVersion} <4`;

export interface PulumiCli {
  /** Path of the executable. */
  path: string;
  version: string;
  /** `official` brings its own language host; a `built` one needs the project's. */
  kind: 'official' | 'built';
  /** What to tell people about where it is from. */
  from: string;
}

/**
 * The Pulumi CLI: the one on PATH when its version fits, else the cached one, else Pulumi's own installer, else
 * built from its Go module at a pinned version (five minutes once).
 *
 * @param only `official` refuses a built one (REAL=1)
 * @param path where to look for it first
 */
export async function findPulumiCli(
  say: (line: string) => void,
  only?: 'official',
  path = process.env['PATH'] ?? '',
): Promise<PulumiCli> {
  const onPath = which('pulumi', path);
  const versionOnPath = onPath && versionOf(onPath);
  if (onPath && versionOnPath && semver.satisfies(versionOnPath, accepted)) {
    const official = which('pulumi-language-nodejs', path) !== undefined;
    if (official || only === undefined) {
      return { path: onPath, version: versionOnPath, kind: official ? 'official' : 'built', from: 'PATH' };
    }
  } else if (onPath) {
    say(`pulumi on PATH is ${versionOnPath ?? 'unusable'}, but ${accepted} is needed`);
  }

  const installed = join(cacheFolder, `pulumi-${cliVersion}`);
  const official = join(installed, 'bin', 'pulumi');
  if (existsSync(official) || (await install(installed, say))) {
    return { path: official, version: cliVersion, kind: 'official', from: "Pulumi's installer" };
  }
  if (only === 'official')
    throw new Error('The official Pulumi CLI cannot be had here, and REAL=1 refuses a built one.');

  const built = join(cacheFolder, `pulumi-${cliVersion}-built`, 'pulumi');
  if (!existsSync(built)) await build(built, say);
  return { path: built, version: cliVersion, kind: 'built', from: 'its Go module' };
}

function versionOf(path: string): string | undefined {
  const result = spawnSync(path, ['version'], {
    encoding: 'utf8',
    env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: 'true' },
  });
  return semver.valid(result.stdout?.trim()) ?? undefined;
}

/** Whether Pulumi's own downloads can be had from here; answers within five seconds. */
export async function pulumiReachable(): Promise<boolean> {
  try {
    await fetch('https://get.pulumi.com/', { method: 'HEAD', signal: AbortSignal.timeout(5000) });
    return true;
  } catch {
    return false;
  }
}

async function install(root: string, say: (line: string) => void): Promise<boolean> {
  if (!(await pulumiReachable())) return false;
  say(`Installing the Pulumi CLI ${cliVersion} with Pulumi's installer`);
  try {
    await PulumiCommand.install({ root, version: new semver.SemVer(cliVersion) });
    return true;
  } catch (error) {
    say(`Pulumi's installer failed: ${String(error).split('\n')[0]}`);
    rmSync(root, { recursive: true, force: true });
    return false;
  }
}

/** Packages that the build compiles, about; only for the progress line. */
const packagesToBuild = 1644;

async function build(target: string, say: (line: string) => void): Promise<void> {
  const go = findGo() ?? (ensurePrograms({ go: 'golang-go' }, say), findGo());
  if (go === undefined) {
    throw new Error(
      'The Pulumi CLI is not on PATH, its installer cannot be reached, and Go is older than 1.21, which cannot build ' +
        'it. Install the Pulumi CLI, or a newer Go, such as the one of Debian 13.',
    );
  }
  say(`Building the Pulumi CLI ${cliVersion} from its Go module (once, about five minutes on two cores)`);
  const temporary = `${target}.${process.pid}`;
  mkdirSync(join(target, '..'), { recursive: true });
  const flags = `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${cliVersion}`;
  const args = [
    'build',
    '-v',
    '-mod=readonly',
    '-ldflags',
    flags,
    '-o',
    temporary,
    'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi',
  ];
  for (let attempt = 1; ; attempt++) {
    const problem = await compile(go, args, say);
    if (problem === undefined) break;
    if (attempt === 3) throw new Error(`The Pulumi CLI could not be built:\n${problem}`);
    say(`the build failed, trying again (${attempt} of 3)`);
  }
  renameSync(temporary, target);
}

/** A Go that fetches by itself the version that the module asks for; older ones cannot. */
export function findGo(): string | undefined {
  const go = which('go') ?? which('go', '/usr/local/go/bin:/usr/lib/go/bin');
  const version =
    go && spawnSync(go, ['env', 'GOVERSION'], { encoding: 'utf8' }).stdout.trim().replace(/^go/, '');
  return version && semver.gte(semver.coerce(version) ?? '0.0.0', '1.21.0') ? go : undefined;
}

/** Runs the Go compiler with a progress line every ten seconds; answers the end of its output when it fails. */
function compile(go: string, args: string[], say: (line: string) => void): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(go, args, {
      cwd: join(__dirname, 'pulumi-cli'),
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const lines: string[] = [];
    let compiled = 0;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n').filter((part) => part !== '')) {
        lines.push(line);
        if (!line.startsWith('go: ')) compiled += 1;
      }
    });
    const started = Date.now();
    const progress = setInterval(() => {
      const percent = Math.min(99, Math.round((100 * compiled) / packagesToBuild));
      say(`  building the CLI: ${percent} %, ${Math.round((Date.now() - started) / 1000)} s`);
    }, 10_000);
    child.on('close', (code) => {
      clearInterval(progress);
      resolve(code === 0 ? undefined : lines.slice(-20).join('\n'));
    });
  });
}
