/** What local and remote commands have in common. */
import { randomBytes } from 'node:crypto';
import type { ResourceLog } from '../resource';

export const loggings = ['stdout', 'stderr', 'stdoutAndStderr', 'none'] as const;

export interface Finished {
  /** undefined when a signal ended it. */
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

/** The id that the real provider gives: the resource's name with eight random hex digits behind it. */
export const commandId = (name: string): string => name + randomBytes(4).toString('hex');

const withoutLastNewline = (output: string): string => output.replace(/\n$/, '');

/**
 * Shows the output as `logging` asks, and turns a failure into an error.
 *
 * @param secrets texts that are replaced in whatever a person gets to see. The outputs in the state keep them: there
 *   they are encrypted.
 * @throws with the command and all it printed, as the real provider does.
 */
export function outcomeOf(
  command: string,
  finished: Finished,
  logging: string | undefined,
  log: ResourceLog,
  secrets: readonly string[],
): { stdout: string; stderr: string } {
  const { exitCode, stdout, stderr } = finished;
  const shown = (output: string): string =>
    secrets.reduce((masked, secret) => masked.replaceAll(secret, '[secret]'), output);
  const shows = (stream: 'stdout' | 'stderr'): boolean =>
    logging === undefined || logging === 'stdoutAndStderr' || logging === stream;
  for (const stream of ['stdout', 'stderr'] as const) {
    const printed = withoutLastNewline(finished[stream]);
    if (shows(stream) && printed !== '') log.info(shown(printed));
  }
  if (exitCode !== 0) {
    const how = exitCode === undefined ? 'ended by a signal' : `exit status ${exitCode}`;
    throw new Error(`${how}: running ${JSON.stringify(shown(command))}:\n${shown(stdout + stderr)}`);
  }
  return { stdout: withoutLastNewline(stdout), stderr: withoutLastNewline(stderr) };
}

/** The variables that carry the output of the last run into the next. */
export function previousOutput(
  add: boolean | undefined,
  state: { stdout?: string; stderr?: string },
): Record<string, string> {
  if (add === false) return {};
  return {
    ...(state.stdout && { PULUMI_COMMAND_STDOUT: state.stdout }),
    ...(state.stderr && { PULUMI_COMMAND_STDERR: state.stderr }),
  };
}

/** What of the inputs must not be shown: every secret text in those that the engine marks as secret. */
export function secretTexts(
  inputs: { stdin?: string; environment?: Record<string, string> },
  isSecret: (property: string) => boolean,
): string[] {
  const texts = [
    ...(isSecret('stdin') && inputs.stdin ? [inputs.stdin, inputs.stdin.trim()] : []),
    ...(isSecret('environment') ? Object.values(inputs.environment ?? {}) : []),
  ];
  // Hiding a short text would hide half of what was printed, and nothing that could be called a secret.
  return texts.filter((secret) => secret.length >= 6).sort((a, b) => b.length - a.length);
}
