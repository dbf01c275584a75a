/** Commands on this machine. */
import { spawn } from 'node:child_process';
import { anything, flag, list, map, notSimulated, text, type Values } from '../properties';
import { resourceFor } from '../resource';
import { commandId, loggings, outcomeOf, previousOutput, secretTexts, type Finished } from './outcome';

const inputs = {
  addPreviousOutputInEnv: flag(),
  archivePaths: notSimulated('collecting files into an archive is not needed here'),
  assetPaths: notSimulated('collecting files as assets is not needed here'),
  create: text(),
  delete: text(),
  dir: text(),
  environment: map(text()),
  interpreter: list(text()),
  logging: text({ oneOf: loggings }),
  stdin: text(),
  triggers: list(anything(), { replaces: true }),
  update: text(),
};

const outputs = { stdout: text({ fromAllInputs: true }), stderr: text({ fromAllInputs: true }) };

type Inputs = Values<typeof inputs>;

function execute(
  command: string,
  how: Inputs,
  extraEnvironment: Record<string, string>,
  signal: AbortSignal,
) {
  const shell = process.platform === 'win32' ? ['cmd', '/C'] : ['/bin/sh', '-c'];
  const [program = '', ...words] = [...(how.interpreter?.length ? how.interpreter : shell), command];
  return new Promise<Finished>((resolve, reject) => {
    const child = spawn(program, words, {
      cwd: how.dir,
      env: { ...process.env, ...extraEnvironment, ...how.environment },
      stdio: 'pipe',
      // A process group of its own, so that cancelling ends all that the command has started.
      detached: process.platform !== 'win32',
    });
    const cancel = (): void => {
      try {
        if (process.platform === 'win32' || child.pid === undefined) child.kill('SIGKILL');
        else process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended in this very moment.
      }
    };
    signal.addEventListener('abort', cancel, { once: true });
    const printed = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => (printed[stream] += text));
    }
    child.on('error', (error) => reject(new Error(`${program} could not be started: ${error.message}`)));
    child.on('close', (code) => {
      signal.removeEventListener('abort', cancel);
      resolve({ exitCode: code ?? undefined, ...printed });
    });
    // A command that does not read its input may end before all of it is written.
    child.stdin.on('error', () => undefined);
    child.stdin.end(how.stdin ?? '');
  });
}

export const localCommand = resourceFor<unknown>()({
  inputs,
  outputs,
  reports: 'details',
  async create({ inputs: wanted, name, log, signal, isSecret }) {
    const id = commandId(name);
    if (wanted.create === undefined) return { id, state: { stdout: '', stderr: '' } };
    const finished = await execute(wanted.create, wanted, {}, signal);
    return {
      id,
      state: outcomeOf(wanted.create, finished, wanted.logging, log, secretTexts(wanted, isSecret)),
    };
  },
  async update({ inputs: wanted, state, log, signal, isSecret }) {
    const command = wanted.update ?? wanted.create;
    if (command === undefined) return {};
    const previous = previousOutput(wanted.addPreviousOutputInEnv, state);
    const finished = await execute(command, wanted, previous, signal);
    return outcomeOf(command, finished, wanted.logging, log, secretTexts(wanted, isSecret));
  },
  async delete({ state, log, signal, isSecret }) {
    if (state.delete === undefined) return;
    const previous = previousOutput(state.addPreviousOutputInEnv, state);
    const finished = await execute(state.delete, state, previous, signal);
    outcomeOf(state.delete, finished, state.logging, log, secretTexts(state, isSecret));
  },
});
