/** Where remote commands are carried out. */
import type { Finished } from './outcome';
import type { Connection } from './connection';

export type Phase = 'create' | 'update' | 'delete';

export interface RemoteRun {
  connection: Connection;
  phase: Phase;
  command: string;
  environment: Record<string, string>;
  /** Variables that may be refused by the host without harm. */
  optionalEnvironment: Record<string, string>;
  stdin: string | undefined;
  /** Then nothing but the host may ever see the standard input. */
  stdinSecret: boolean;
  signal: AbortSignal;
  warn(message: string): void;
}

export interface RemoteCopy {
  connection: Connection;
  /** A file or folder of this machine. */
  source: string;
  remotePath: string;
  signal: AbortSignal;
}

/** One way to reach hosts: over SSH, or (while no machines boot) by telling the local cloud. */
export interface RemoteHosts {
  run(run: RemoteRun): Promise<Finished>;
  copy(copy: RemoteCopy): Promise<void>;
}

export const refusedVariable = (name: string): string =>
  `cannot set ${name} on the host: an SSH server takes only variables that its AcceptEnv names (LANG and LC_* on ` +
  'Debian); send the value by standard input, or prefix the command with NAME=value';
