import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { routerAddress } from '../machines/network';
import { placeOf } from '../machines/place';
import { standInRepository } from '../stand-ins/build';
import { ensureCloud, runCloud, runningCloud, stopCloud, type CloudEndpoint } from './cloud';
import { prepareEngine, pulumi, releaseStaleLock, type Engine } from './engine';
import { bootsMachines, openLogs, openShell, runOutside } from './hosts';
import { machineMode } from './machines';
import { localPaths, projectRoot } from './paths';
import { namesRepository, prepareSchool, settingsFile, stack } from './school';
import { readHosts, readStatus, statusText } from './status';

const help = `usage: npm run local -- [COMMAND]

Carries the platform of index.ts through the Pulumi CLI onto a Hetzner cloud on this machine.

  up              (default) creates or changes the local school, then says what is there
                  --no-machines declares hosts without booting them, --machines insists on it
  preview [ARG…]  what an up would change, e.g. npm run local -- preview --diff
  status [--json] the hosts that are there
  shell HOST [CMD…]
                  a root shell on a booted host, or one command
  logs HOST [ARG…]
                  its logs by short names, e.g. logs jitsi-1 prosody --since 10min --follow; see npm run logs -- --help
  doctor [--json] checks the platform from outside and every booted host; see npm run doctor -- --help
  outside CMD…    runs a program of this machine where it reaches the booted hosts, e.g. curl or ssh
  env             prints what points a shell at the local stack: eval "$(npm run -s local -- env)"
  api             keeps the local cloud up in the foreground, for any Hetzner client
  requests        prints the log of the requests that the local cloud has answered
  down            takes everything down and removes its files

Settings: Pulumi.${stack}.yaml (copied from local/example.yaml at the first up; removed by down).
State: .local/ in this folder; Pulumi's own home is not touched.
REAL=1 refuses stand-ins where a real part could be used.`;

const paths = localPaths();
/** Progress goes to standard error, so that what is asked for can be piped. */
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Folder of stand-ins for Jitsi's packages, unless the settings name a repository that has them. */
const packageRepository = async (): Promise<string | undefined> =>
  namesRepository() ? undefined : (await standInRepository(say)).folder;

const ensure = async (): Promise<CloudEndpoint> =>
  ensureCloud(paths.cloud, await machineMode(paths.cloud, undefined, packageRepository, say));

async function prepare(machines?: boolean): Promise<{ engine: Engine; cloud: CloudEndpoint }> {
  const mode = await machineMode(paths.cloud, machines, packageRepository, say);
  const cloud = await ensureCloud(paths.cloud, mode);
  const namespace = (await bootsMachines(cloud)) ? placeOf(paths.cloud).gateway : undefined;
  const engine = await prepareEngine(paths, cloud, say, namespace);
  await releaseStaleLock(engine, paths, stack);
  await prepareSchool(engine, cloud, mode.packages);
  return { engine, cloud };
}

async function up(args: string[]): Promise<number> {
  const machines = args.includes('--machines') ? true : args.includes('--no-machines') ? false : undefined;
  say('Preparing the local cloud and the engine');
  const { engine, cloud } = await prepare(machines);
  say(`Pulumi CLI ${engine.cli.version} (${engine.cli.kind}, from ${engine.cli.from})\n`);
  const stopTelling = (await bootsMachines(cloud)) ? tellProgress(cloud) : () => undefined;
  const { code } = await pulumi(engine, ['up', '--yes', '--stack', stack], { show: true });
  stopTelling();
  if (code !== 0) {
    say('\nNothing is lost: put right what the message names and run the same command again.');
    return code;
  }
  const changed = await lastChange(engine);
  const status = await readStatus(engine, cloud, paths.cloud);
  process.stdout.write(`
${changed === 0 ? 'Nothing changed: the local school is as index.ts describes it.' : `${changed} resources changed.`}

${statusText(status, engine)}

JWT secret: in the stack's state, encrypted; eval "$(npm run -s local -- env)"; pulumi stack output jwtSecret --show-secrets
Next: npm run local -- preview | status | env | down; the settings are in Pulumi.${stack}.yaml
`);
  return 0;
}

/** Says how far the hosts are, whenever that has changed; answers what ends it. */
function tellProgress(cloud: CloudEndpoint): () => void {
  let told = '';
  const tell = async () => {
    const hosts = await readHosts(cloud, paths.cloud);
    const text = hosts.map(({ name, state }) => `${name} ${state}`).join(', ');
    if (text !== '' && text !== told) say(`Hosts: ${text}`);
    told = text;
  };
  // A host that goes off in this very moment is told the next time.
  const timer = setInterval(() => void tell().catch(() => undefined), 5000);
  return () => clearInterval(timer);
}

/** Resources that the last update created, changed, replaced or deleted. */
async function lastChange(engine: Engine): Promise<number> {
  const history = await pulumi(engine, ['stack', 'history', '--json', '--page-size', '1', '--stack', stack]);
  const [last] = JSON.parse(history.stdout) as { resourceChanges?: Record<string, number> }[];
  return Object.entries(last?.resourceChanges ?? {})
    .filter(([operation]) => operation !== 'same')
    .reduce((sum, [, count]) => sum + count, 0);
}

async function env(): Promise<number> {
  const { engine } = await prepare();
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  for (const [name, value] of Object.entries(engine.environment)) {
    process.stdout.write(
      name === 'PATH' ? `export PATH=${quoted(paths.bin)}:"$PATH"\n` : `export ${name}=${quoted(value)}\n`,
    );
  }
  return 0;
}

async function api(): Promise<number> {
  const running = await runningCloud(paths.cloud);
  if (!running) {
    const mode = await machineMode(paths.cloud, undefined, packageRepository, say);
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
  const { engine, cloud } = await prepare();
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
  return act(await ensure(), paths.cloud, host, args);
}

/** The very program that checks a real stack, run where it reaches the hosts. */
async function doctor(args: string[]): Promise<number> {
  const { engine, cloud } = await prepare();
  if (!(await bootsMachines(cloud))) {
    say('Hosts are declared, not booted: there is nothing to check. npm run local -- down, then --machines.');
    return 1;
  }
  const program = [
    process.execPath,
    '--import',
    'tsx',
    join(projectRoot, 'operations', 'doctor', 'doctor.ts'),
  ];
  const options = ['--stack', stack, '--name-server', routerAddress, ...args];
  return runOutside(paths.cloud, [...program, ...options], engine.environment);
}

async function down(): Promise<number> {
  if (!existsSync(paths.root)) {
    say('There is no local school.');
    return 0;
  }
  const { engine } = await prepare();
  const destroyed = await pulumi(engine, ['destroy', '--yes', '--stack', stack], { show: true });
  if (destroyed.code !== 0) {
    say('\nNot everything went; run the same command again when the reason above is put right.');
    return destroyed.code;
  }
  await stopCloud(paths.cloud);
  rmSync(paths.root, { recursive: true, force: true });
  rmSync(settingsFile, { force: true });
  say('The local school is gone, and its files with it.');
  return 0;
}

async function main(given: string[]): Promise<number> {
  // Options alone are those of up.
  const [command, ...args] =
    given[0] === undefined || /^--(no-)?machines$/.test(given[0]) ? ['up', ...given] : given;
  switch (command) {
    case 'up':
      return up(args);
    case 'preview':
      return (await pulumi((await prepare()).engine, ['preview', '--stack', stack, ...args], { show: true }))
        .code;
    case 'status':
      return status(args);
    case 'env':
      return env();
    case 'api':
      return api();
    case 'requests':
      return requests();
    case 'shell':
      return atHost(args, openShell);
    case 'logs':
      return atHost(args, openLogs);
    case 'doctor':
      return doctor(args);
    case 'outside':
      await ensure();
      return runOutside(paths.cloud, args);
    case 'down':
      return down();
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
  (code) => (process.exitCode = code),
  (error: unknown) => {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  },
);
