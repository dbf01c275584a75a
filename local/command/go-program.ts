import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as semver from 'semver';
import { cacheFolder } from './paths';
import { ensurePrograms, which } from './system';

/** A program that is built from its Go module, at the version that a folder's `go.mod` and `go.sum` pin. */
export interface GoProgram {
  /** For people, e.g. `the Pulumi CLI 3.248.0`. */
  title: string;
  /** Path of the executable below the cache folder, with its version in it. */
  file: string;
  /** Folder with `go.mod`. */
  folder: string;
  /** Package of the program. */
  package: string;
  ldflags?: string;
  /** Packages that the build compiles, about; only for the progress line. */
  packages: number;
  /** How long that takes on two cores, e.g. `five minutes`. */
  takes: string;
}

/** A Go that fetches by itself the version that the module asks for; older ones cannot. */
export function findGo(): string | undefined {
  const go = which('go') ?? which('go', '/usr/local/go/bin:/usr/lib/go/bin');
  const version =
    go && spawnSync(go, ['env', 'GOVERSION'], { encoding: 'utf8' }).stdout.trim().replace(/^go/, '');
  return version && semver.gte(semver.coerce(version) ?? '0.0.0', '1.21.0') ? go : undefined;
}

/**
 * Path of the program; builds it unless the cache has it.
 *
 * @throws Error when there is no Go of 1.21 or newer, or with the end of the compiler's output after three attempts
 */
export async function goProgram(program: GoProgram, say: (line: string) => void): Promise<string> {
  const target = join(cacheFolder, program.file);
  if (existsSync(target)) return target;
  const go = findGo() ?? (ensurePrograms({ go: 'golang-go' }, say), findGo());
  if (go === undefined) {
    throw new Error(
      `Go is missing or older than 1.21, so ${program.title} cannot be built. Install a newer one, such as Debian 13's.`,
    );
  }
  say(`Building ${program.title} from its Go module (once, about ${program.takes} on two cores)`);
  const temporary = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true });
  const flags = ['-v', '-mod=readonly', '-ldflags', program.ldflags ?? '-s -w', '-o', temporary];
  for (let attempt = 1; ; attempt++) {
    const problem = await compile(go, ['build', ...flags, program.package], program, say);
    if (problem === undefined) break;
    if (attempt === 3) throw new Error(`${program.title} could not be built:\n${problem}`);
    say(`the build failed, trying again (${attempt} of 3)`);
  }
  renameSync(temporary, target);
  return target;
}

/** Runs the Go compiler with a progress line every ten seconds; answers the end of its output when it fails. */
function compile(
  go: string,
  args: string[],
  { title, folder, packages }: GoProgram,
  say: (line: string) => void,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(go, args, {
      cwd: folder,
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
      const percent = Math.min(99, Math.round((100 * compiled) / packages));
      say(`  building ${title}: ${percent} %, ${Math.round((Date.now() - started) / 1000)} s`);
    }, 10_000);
    child.on('close', (code) => {
      clearInterval(progress);
      resolve(code === 0 ? undefined : lines.slice(-20).join('\n'));
    });
  });
}
