import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PulumiCommand } from '@pulumi/pulumi/automation';
import * as semver from 'semver';
import { goProgram, type GoProgram } from './go-program';
import { cacheFolder } from './paths';
import { which } from './system';

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

  const built = await goProgram(builtCli, say);
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

const builtCli: GoProgram = {
  title: `the Pulumi CLI ${cliVersion}`,
  file: join(`pulumi-${cliVersion}-built`, 'pulumi'),
  folder: join(__dirname, 'pulumi-cli'),
  package: 'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi',
  ldflags: `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${cliVersion}`,
  packages: 1644,
  takes: 'five minutes',
};
