import { runningCloud, stopCloud, type CloudEndpoint } from './cloud';
import { pulumi, type Engine } from './engine';
import { bootsMachines } from './hosts';
import type { LocalPaths } from './paths';
import { probeRecording, probeShards, type Outputs, type Probed } from './probe';
import { prepare } from './prepare';
import { stack } from './school';
import { readHosts, readStatus, servers, statusText } from './status';

/** Exit status after Ctrl-C, as shells have it. */
export const INTERRUPTED = 130;

type Say = (line: string) => void;

/**
 * Creates or changes the local school and says what is there; with booted hosts it ends by joining a room of each
 * shard, and with a lesson that is recorded. Answers the exit status: 1 when the engine fails, the room cannot be joined
 * with the right roles or the lesson is not in the store, 130 when it was interrupted.
 *
 * Ctrl-C ends it in order: the engine finishes what it cannot leave, and a cloud that this very command has started
 * stops with its machines. Disks and state stay, so the same command goes on from there.
 *
 * @param machines see `machineMode`
 */
export async function up(paths: LocalPaths, machines: boolean | undefined, say: Say): Promise<number> {
  const ranBefore = (await runningCloud(paths.cloud)) !== undefined;
  const interruption = new Interruption(say);
  try {
    const code = await Promise.race([
      carryOut(paths, machines, interruption, say),
      interruption.beforeEngine,
    ]);
    if (!interruption.happened) return code;
    if (ranBefore) {
      say('\nInterrupted. Hosts run on as they are; the same command goes on from here.');
    } else {
      await stopCloud(paths.cloud);
      say(
        '\nInterrupted. Nothing runs any more; the same command goes on from here, and down removes the rest.',
      );
    }
    return INTERRUPTED;
  } finally {
    interruption.over();
  }
}

/** Ctrl-C, and a polite request to end, while `up` works. */
class Interruption extends EventTarget {
  happened = false;
  /** Ends when there is an interruption and no engine that would have to end first. */
  readonly beforeEngine: Promise<number>;
  private engineRuns = false;
  private last = 0;
  private giveUp: () => void = () => undefined;
  private readonly listener = () => this.interrupt();

  constructor(private readonly say: Say) {
    super();
    this.beforeEngine = new Promise((resolve) => (this.giveUp = () => resolve(INTERRUPTED)));
    process.on('SIGINT', this.listener).on('SIGTERM', this.listener);
  }

  /** Runs the engine, which is told of interruptions, and waited for. */
  async engine<T>(run: () => Promise<T>): Promise<T> {
    this.engineRuns = true;
    try {
      return await run();
    } finally {
      this.engineRuns = false;
    }
  }

  private interrupt(): void {
    // npm hands on what the terminal has sent to this process already.
    if (Date.now() - this.last < 1000) return;
    this.last = Date.now();
    if (!this.happened) this.say('\nEnding in order; once more ends the engine at once');
    this.happened = true;
    if (this.engineRuns) this.dispatchEvent(new Event('interrupt'));
    else this.giveUp();
  }

  over(): void {
    process.off('SIGINT', this.listener).off('SIGTERM', this.listener);
  }
}

async function carryOut(
  paths: LocalPaths,
  machines: boolean | undefined,
  interruption: Interruption,
  say: Say,
): Promise<number> {
  const started = Date.now();
  say('Preparing the local cloud and the engine');
  const { engine, cloud } = await prepare(paths, say, machines);
  say(`Pulumi CLI ${engine.cli.version} (${engine.cli.kind}, from ${engine.cli.from})\n`);
  const boots = await bootsMachines(cloud);
  const stopTelling = boots ? tellProgress(cloud, paths, started, say) : () => undefined;
  const { code } = await interruption.engine(() =>
    pulumi(engine, ['up', '--yes', '--stack', stack], { show: true, interrupts: interruption }),
  );
  stopTelling();
  if (interruption.happened) return INTERRUPTED;
  if (code !== 0) {
    say('\nNothing is lost: put right what the message names and run the same command again.');
    return code;
  }
  return summary(paths, engine, cloud, boots, say);
}

async function summary(
  paths: LocalPaths,
  engine: Engine,
  cloud: CloudEndpoint,
  boots: boolean,
  say: Say,
): Promise<number> {
  const changed = await lastChange(engine);
  const status = await readStatus(engine, cloud, paths.cloud);
  const probed = boots ? await probe(paths, engine, cloud, say) : [];
  process.stdout.write(`
${changed === 0 ? 'Nothing changed: the local school is as index.ts describes it.' : `${changed} resources changed.`}

${statusText(status, engine)}

${probed.map(({ good, line }) => `${good ? 'Checked' : 'FAILED'}: ${line}\n`).join('')}JWT secret: in the stack's state, encrypted; eval "$(npm run -s local -- env)"; pulumi stack output jwtSecret --show-secrets
Next: npm run local -- preview | status | ${boots ? 'shell HOST | logs HOST | ' : ''}env | down; the settings are in Pulumi.${stack}.yaml
`);
  return probed.every(({ good }) => good) ? 0 : 1;
}

async function probe(paths: LocalPaths, engine: Engine, cloud: CloudEndpoint, say: Say): Promise<Probed[]> {
  const told = await pulumi(engine, ['stack', 'output', '--json', '--show-secrets', '--stack', stack]);
  if (told.code !== 0) throw new Error(`The stack's outputs could not be read:\n${told.stderr}`);
  const ids = new Map((await servers(cloud)).map(({ name, id }) => [name, id]));
  const outputs = JSON.parse(told.stdout) as Outputs;
  const joined = await probeShards(paths.cloud, outputs, ids);
  if (!joined.every(({ good }) => good)) return joined;
  say('Recording a probe lesson; it takes half a minute');
  const recorded = await probeRecording(paths.cloud, outputs);
  return recorded ? [...joined, recorded] : joined;
}

/** Says how far the hosts are, whenever that has changed, and when lessons can be joined; answers what ends it. */
function tellProgress(cloud: CloudEndpoint, paths: LocalPaths, started: number, say: Say): () => void {
  let told = '';
  let over = false;
  const ready = new Set<string>();
  const tell = async () => {
    // One that was ready once is not asked again: it would do so with a join of its own, each time.
    const hosts = await readHosts(cloud, paths.cloud, ready);
    if (over) return;
    for (const { name, role, state } of hosts) {
      if (state !== 'ready' || ready.has(name)) continue;
      ready.add(name);
      const seconds = Math.round((Date.now() - started) / 1000);
      if (role === 'jitsi') say(`\nLessons can be joined: ${name} is ready, ${seconds} s after the start`);
    }
    const text = hosts.map(({ name, state }) => `${name} ${state}`).join(', ');
    if (text !== '' && text !== told) say(`Hosts: ${text}`);
    told = text;
  };
  let asking = false;
  const timer = setInterval(() => {
    if (asking) return;
    asking = true;
    // A host that goes off in this very moment is told the next time.
    void tell()
      .catch(() => undefined)
      .finally(() => (asking = false));
  }, 3000);
  return () => {
    over = true;
    clearInterval(timer);
  };
}

/** Resources that the last update created, changed, replaced or deleted. */
async function lastChange(engine: Engine): Promise<number> {
  const history = await pulumi(engine, ['stack', 'history', '--json', '--page-size', '1', '--stack', stack]);
  const [last] = JSON.parse(history.stdout) as { resourceChanges?: Record<string, number> }[];
  return Object.entries(last?.resourceChanges ?? {})
    .filter(([operation]) => operation !== 'same')
    .reduce((sum, [, count]) => sum + count, 0);
}
