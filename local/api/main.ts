import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BootedMachines } from '../machines/driver';
import { ALREADY_RUNNING, AlreadyRunning, claim } from './claim';
import { startLocalCloud, type LocalCloud } from './server';

const HELP = `Usage: tsx local/api/main.ts --state DIR [options]

Serves a local Hetzner cloud on 127.0.0.1 until SIGTERM, SIGINT or POST /local/shutdown. DIR keeps its state
(state.json) and, while it runs, endpoint.json with { url, pid, token }, both readable by their owner only.

  --state DIR          where the state is kept; made when it is not there
  --port N             port, 0 to 65535 (default 0: a free one)
  --token-file FILE    file with the token that clients show, 64 letters and digits (default: a new one each start)
  --machines           boot the servers (Linux, as root; see local/machines)
  --packages DIR       signed apt repository for them, at http://172.31.1.1:8180
  --store PROGRAM      S3 server (versitygw) to run for them; see local/store
  --action-ms N        how long an action takes, in milliseconds (default 100)
  --help               this text

Exit status: 0 stopped; 3 a cloud with this state is running already; 1 anything else.
`;

interface Endpoint {
  url: string;
  pid: number;
  token: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      state: { type: 'string' },
      port: { type: 'string', default: '0' },
      'token-file': { type: 'string' },
      machines: { type: 'boolean', default: false },
      packages: { type: 'string' },
      store: { type: 'string' },
      'action-ms': { type: 'string', default: '100' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const directory = values.state;
  if (!directory)
    throw new Error('--state is missing: the directory of the state, e.g. --state .local/cloud');
  const port = wholeNumber('--port', values.port, 65_535);
  const actionMs = wholeNumber('--action-ms', values['action-ms'], 3_600_000);
  const token = values['token-file'] ? (await readFile(values['token-file'], 'utf8')).trim() : newToken();

  await mkdir(directory, { recursive: true, mode: 0o700 });
  const endpointFile = join(directory, 'endpoint.json');
  await claim(directory);
  // What a crash has left would be taken for this cloud's own.
  await rm(endpointFile, { force: true });

  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const machines = values.machines
    ? new BootedMachines({
        cloudFolder: directory,
        say,
        packageRepository: values.packages,
        storeProgram: values.store,
      })
    : undefined;
  let cloud: LocalCloud | undefined;
  const close = async () => {
    await cloud?.close();
    await machines?.close();
  };
  const stop = () => {
    close()
      .then(() => rm(endpointFile, { force: true }))
      .then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`${String(error)}\n`);
          process.exit(1);
        },
      );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  try {
    cloud = await startLocalCloud({
      port,
      stateFile: join(directory, 'state.json'),
      token,
      actionMs,
      log: say,
      ...(machines && { driver: machines }),
      onShutdown: stop,
    });
    await machines?.serve(cloud.url);
  } catch (error) {
    await close();
    throw error;
  }

  // Whoever waits for the file must never read half of it.
  const endpoint: Endpoint = { url: cloud.url, pid: process.pid, token };
  await writeFile(`${endpointFile}.next`, `${JSON.stringify(endpoint)}\n`, { mode: 0o600 });
  await rename(`${endpointFile}.next`, endpointFile);
  process.stdout.write(`local cloud at ${cloud.url}\n`);
}

function wholeNumber(option: string, text: string, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (number <= most) return number;
  throw new Error(`${option}: expected a whole number from 0 to ${most}, e.g. ${option} 0, not '${text}'`);
}

function newToken(): string {
  return randomBytes(32).toString('hex');
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof AlreadyRunning ? ALREADY_RUNNING : 1;
});
