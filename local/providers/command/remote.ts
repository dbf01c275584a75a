/** Commands on other hosts, and files copied to them. */
import { anything, asset, flag, list, map, required, text, type Failure, type Values } from '../properties';
import { resourceFor, type Operation } from '../resource';
import { UNKNOWN, sameValue, type Value, type ValueMap } from '../values';
import { connectionProperties } from './connection';
import { localCloud } from './local-cloud';
import { commandId, loggings, outcomeOf, previousOutput, secretTexts } from './outcome';
import type { Phase, RemoteHosts } from './remote-host';

/** Chooses the way to the hosts at each operation, so that a cloud that begins to boot machines is noticed. */
export class HostChooser {
  #ssh: Promise<RemoteHosts> | undefined;

  /** The way to hosts: SSH when the local cloud boots machines or there is none, else its record of commands. */
  async choose(signal: AbortSignal): Promise<RemoteHosts> {
    if (process.env.LOCAL_CLOUD) {
      const cloud = localCloud();
      if (!(await cloud.bootsMachines(signal))) return cloud;
    }
    // Loaded only now: most runs of this plugin never open a connection.
    this.#ssh ??= import('./ssh.js').then(({ SshHosts }) => new SshHosts());
    return this.#ssh;
  }
}

const inputs = {
  addPreviousOutputInEnv: flag(),
  connection: required(connectionProperties),
  create: text(),
  delete: text(),
  environment: map(text()),
  logging: text({ oneOf: loggings }),
  stdin: text(),
  triggers: list(anything(), { replaces: true }),
  update: text(),
};

const outputs = { stdout: text({ fromAllInputs: true }), stderr: text({ fromAllInputs: true }) };

type Inputs = Values<typeof inputs>;
type State = Inputs & Values<typeof outputs>;

async function execute(
  operation: Operation<HostChooser, unknown, unknown>,
  phase: Phase,
  command: string,
  how: Inputs,
  previous: Partial<State>,
): Promise<{ stdout: string; stderr: string }> {
  const { client, log, signal } = operation;
  const hosts = await client.choose(signal);
  const finished = await hosts.run({
    connection: how.connection,
    phase,
    command,
    environment: how.environment ?? {},
    optionalEnvironment: previousOutput(how.addPreviousOutputInEnv, previous),
    stdin: how.stdin,
    stdinSecret: operation.isSecret('stdin'),
    signal,
    warn: (message) => log.warn(message),
  });
  return outcomeOf(command, finished, how.logging, log, secretTexts(how, operation.isSecret));
}

export const remoteCommand = resourceFor<HostChooser>()({
  inputs,
  outputs,
  reports: 'details',
  async create(operation) {
    const { inputs: wanted, name } = operation;
    const id = commandId(name);
    if (wanted.create === undefined) return { id, state: { stdout: '', stderr: '' } };
    return { id, state: await execute(operation, 'create', wanted.create, wanted, {}) };
  },
  async update(operation) {
    const { inputs: wanted, state } = operation;
    const command = wanted.update ?? wanted.create;
    return command === undefined ? {} : execute(operation, 'update', command, wanted, state);
  },
  async delete(operation) {
    // All of it from the state: the old script, over the old connection, with the old key.
    const { state } = operation;
    if (state.delete !== undefined) await execute(operation, 'delete', state.delete, state, state);
  },
});

/** The path of a file or folder that an asset or archive stands for; undefined when it is text or an address. */
function pathOf(source: Value): string | undefined {
  const path = (source as ValueMap | undefined)?.path;
  return typeof path === 'string' && path !== '' ? path : undefined;
}

async function copy(
  { client, signal }: Operation<HostChooser, unknown, unknown>,
  wanted: { connection: Inputs['connection']; source: ValueMap; remotePath: string },
): Promise<void> {
  const hosts = await client.choose(signal);
  await hosts.copy({
    connection: wanted.connection,
    source: pathOf(wanted.source) ?? '',
    remotePath: wanted.remotePath,
    signal,
  });
}

const fingerprintOf = (source: ValueMap): Value => source.hash ?? pathOf(source);

export const copyToRemote = resourceFor<HostChooser>()({
  inputs: {
    connection: required(connectionProperties),
    remotePath: required(text()),
    source: required(asset()),
    triggers: list(anything(), { replaces: true }),
  },
  outputs: {},
  reports: 'details',
  check({ source }): Failure[] {
    const known = (source as Value) !== undefined && (source as Value) !== UNKNOWN;
    return known && pathOf(source) === undefined
      ? [
          {
            property: 'source',
            reason: 'source must be a FileAsset or a FileArchive with the path of a file or folder',
          },
        ]
      : [];
  },
  async create(operation) {
    await copy(operation, operation.inputs);
    return { id: commandId(''), state: {} };
  },
  async update(operation) {
    const { inputs: wanted, state } = operation;
    const changed = !sameValue(fingerprintOf(wanted.source), fingerprintOf(state.source));
    if (changed || wanted.remotePath !== state.remotePath) await copy(operation, wanted);
    return {};
  },
});
