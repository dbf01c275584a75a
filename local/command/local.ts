import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { routerAddress } from '../machines/network';
import { ensureCloud, runCloud, runningCloud, type CloudEndpoint } from './cloud';
import { down } from './down';
import { pulumi } from './engine';
import { bootsMachines, openLogs, openShell, runOutside } from './hosts';
import { machineMode } from './machines';
import { localPaths, projectRoot } from './paths';
import { prepare } from './prepare';
import { namedRepository, stack } from './school';
import { readStatus, statusText } from './status';
import { quoted } from './system';
import { INTERRUPTED, up } from './up';

const help = `usage: npm run local -- [COMMAND]

Carries the platform of index.ts through the Pulumi CLI onto a Hetzner cloud on this machine.

  up              (default) creates or changes the local school, then says what is there. Hosts boot where this
                  machine can do that (Linux, as root); --no-machines only declares them, --machines insists
  preview [ARG…]  what an up would change, e.g. npm run local -- preview --diff
  status [--json] the hosts that are there
  shell HOST [CMD…]
                  a root shell on a booted host, or one command
  logs HOST [ARG…]
                  its logs by short names, e.g. logs jitsi-1 prosody --since 10min --follow; see npm run logs -- --help
  doctor [--json] checks the platform from outside and every booted host; see npm run doctor -- --help
  rebuild HOST    gives a booted host a fresh disk; see npm run rebuild -- --help
  outside CMD…    runs a program of this machine where it reaches the booted hosts, e.g. curl or ssh
  env             prints what points a shell at the local stack: eval "$(npm run -s local -- env)"
  api             keeps the local cloud up in the foreground, for any Hetzner client
  requests        prints the log of the requests that the local cloud has answered
  down            takes everything away, at once and whatever state it is in

Settings: Pulumi.${stack}.yaml (copied from local/example.yaml at the first up; removed by down).
State: .local/ in this folder; Pulumi's own home is not touched.
REAL=1 refuses stand-ins where a real part could be used.`;

const paths = localPaths();
/** Progress goes to standard error, so that what is asked for can be piped. */
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Whether there is a cloud to look at; says so when there is none. */
function isThere(): boolean {
  const there = existsSync(join(paths.cloud, 'state.json'));
  if (!there) say('There is no local school; npm run local makes one.');
  return there;
}

async function preview(args: string[]): Promise<number> {
  const { engine } = await prepare(paths, say);
  return (await pulumi(engine, ['preview', '--stack', stack, ...args], { show: true })).code;
}

async function env(): Promise<number> {
  const { engine } = await prepare(paths, say);
  for (const [name, value] of Object.entries(engine.environment)) {
    process.stdout.write(
      name === 'PATH' ? `export PATH=${quoted(paths.bin)}:"$PATH"\n` : `export ${name}=${quoted(value)}\n`,
    );
  }
  return 0;
}

async function api(args: string[]): Promise<number> {
  const running = await runningCloud(paths.cloud);
  if (!running) {
    const mode = await machineMode(paths.cloud, wantsMachines(args), namedRepository(), say);
    return runCloud(paths.cloud, mode, exportsFor);
  }
  exportsFor(running);
  say('The local cloud runs already, in the background; down stops it.');
  return 0;
}

/** What any Hetzner client wants to know. */
function exportsFor({ url, token }: CloudEndpoint): void {
  process.stdout.write(`export HCLOUD_ENDPOINT='${url}/v1'\nexport HCLOUD_TOKEN='${token}'\n`);
}

async function requests(): Promise<number> {
  const running = await runningCloud(paths.cloud);
  if (!running) {
    say('The local cloud does not run.');
    return 1;
  }
  const answer = await fetch(`${running.url}/local/requests`);
  const log = (await answer.json()) as { at: string; method: string; path: string; status: number }[];
  for (const { at, method, path, status } of log) {
    process.stdout.write(`${at} ${method.padEnd(6)} ${status} ${path}\n`);
  }
  return 0;
}

async function status(args: string[]): Promise<number> {
  if (!isThere()) return 1;
  const { engine, cloud } = await prepare(paths, say);
  const now = await readStatus(engine, cloud, paths.cloud);
  process.stdout.write(
    args.includes('--json') ? `${JSON.stringify(now, null, 2)}\n` : `${statusText(now, engine)}\n`,
  );
  return 0;
}

/** The running cloud and a host's name, for what is done to a host. */
async function atHost(
  [host, ...args]: string[],
  act: (cloud: CloudEndpoint, folder: string, host: string, args: string[]) => Promise<number>,
): Promise<number> {
  if (host === undefined) {
    say('Which host? npm run local -- status names them.');
    return 2;
  }
  return isThere() ? act(await running(), paths.cloud, host, args) : 1;
}

/** The cloud, which is started again when it was stopped. */
const running = async (): Promise<CloudEndpoint> =>
  ensureCloud(paths.cloud, await machineMode(paths.cloud, undefined, namedRepository(), say));

async function outside(args: string[]): Promise<number> {
  if (!isThere()) return 1;
  if (!(await bootsMachines(await running()))) throw new Error('hosts are declared, not booted');
  return runOutside(paths.cloud, args);
}

/** A program of `operations/`, the very one for a real stack, run where it reaches the hosts. */
async function operate(file: string, args: string[]): Promise<number> {
  if (!isThere()) return 1;
  const { engine, cloud } = await prepare(paths, say);
  if (!(await bootsMachines(cloud))) {
    say('Hosts are declared, not booted: this needs booted ones.');
    return 1;
  }
  const program = [process.execPath, '--import', 'tsx', join(projectRoot, 'operations', file)];
  return runOutside(paths.cloud, [...program, ...args, '--stack', stack], engine.environment);
}

const wantsMachines = (args: string[]): boolean | undefined =>
  args.includes('--machines') ? true : args.includes('--no-machines') ? false : undefined;

async function main(given: string[]): Promise<number> {
  // Options alone are those of up.
  const [command, ...args] =
    given[0] === undefined || /^--(no-)?machines$/.test(given[0]) ? ['up', ...given] : given;
  switch (command) {
    case 'up':
      return up(paths, wantsMachines(args), say);
    case 'preview':
      return preview(args);
    case 'status':
      return status(args);
    case 'env':
      return env();
    case 'api':
      return api(args);
    case 'requests':
      return requests();
    case 'shell':
      return atHost(args, openShell);
    case 'logs':
      return atHost(args, openLogs);
    case 'doctor':
      return operate('doctor/doctor.ts', ['--name-server', routerAddress, ...args]);
    case 'rebuild':
      return operate('rebuild.ts', args);
    case 'outside':
      return outside(args);
    case 'down':
      return down(paths, say);
    case 'help':
    case '--help':
      process.stdout.write(`${help}\n`);
      return 0;
    default:
      say(`unknown command ${command}\n\n${help}`);
      return 2;
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
    // What an interruption has left under way must not hold this process.
    if (code === INTERRUPTED) process.exit();
  },
  (error: unknown) => {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  },
);
