import { spawn } from 'node:child_process';
import { poolOf } from '../components/names';
import type { SshTarget } from './ssh';

/** A host as the stack's outputs tell it. */
export interface StackHost {
  name: string;
  role: 'jitsi' | 'recorder' | 'bridge' | 'app';
  publicAddress: string;
  publicAddress6: string;
  privateAddress: string;
}

interface SshWay {
  user: string;
  /** Public SSH host keys by pool. */
  hostKeys: Record<string, string>;
  bastion?: { host: string; port: number; user: string; hostKey: string };
}

/** The stack's outputs that the programs in this folder read; secrets are in them. */
export interface StackOutputs {
  shards: { name: string; domain: string }[];
  hosts: StackHost[];
  jwtAppId: string;
  jwtAudience: string;
  jwtSecret: string;
  caCertificate: string;
  ssh: SshWay;
  deployKey: string;
  bastionPrivateKey?: string;
  pendingRebuilds: { host: string; bootedWith: string; current: string }[];
}

/** Something that the person who called has to put right; its text says what. */
export class OperationError extends Error {}

/** Longest time of a Pulumi command that only reads. */
const seconds = 120;

/**
 * Reads a stack's outputs through the Pulumi CLI, secrets included; they stay in this process.
 *
 * @param stack its name; undefined takes the selected one
 * @throws OperationError when the CLI is missing or fails, or the stack was made by an older program
 */
export async function readStack(stack: string | undefined): Promise<StackOutputs> {
  const named = stack === undefined ? [] : ['--stack', stack];
  const text = await pulumi(['stack', 'output', '--json', '--show-secrets', '--non-interactive', ...named]);
  const outputs = JSON.parse(text) as StackOutputs;
  if (!outputs.hosts || !outputs.ssh) {
    throw new OperationError(
      `the stack ${stack ?? '(selected)'} has no outputs for this; run pulumi up with the program of this folder`,
    );
  }
  return outputs;
}

/** Runs the Pulumi CLI and answers what it prints. @throws OperationError when it is missing or fails */
export function pulumi(args: string[]): Promise<string> {
  const child = spawn('pulumi', args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: seconds * 1000 });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', (error) =>
      reject(new OperationError(`the Pulumi CLI could not be run (${error.message}); is it on the PATH?`)),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else if (signal) reject(new OperationError(`pulumi gave no answer within ${seconds} s`));
      else reject(new OperationError(`pulumi ${args.slice(0, 2).join(' ')} failed: ${stderr.trim()}`));
    });
  });
}

/**
 * How a host is reached over SSH: the public address, or over the bastion the private one, always with the pinned key.
 *
 * @throws OperationError when the stack has no such host, with the names that there are
 */
export function sshTarget(outputs: StackOutputs, name: string): SshTarget {
  const host = outputs.hosts.find((each) => each.name === name);
  const hostKey = outputs.ssh.hostKeys[poolOf(name)];
  if (!host || hostKey === undefined) {
    const names = outputs.hosts.map((each) => each.name).join(', ');
    throw new OperationError(`the stack has no host ${name}; there are ${names || 'none'}`);
  }
  const { user, bastion } = outputs.ssh;
  return {
    host: bastion ? host.privateAddress : host.publicAddress,
    user,
    hostKey,
    privateKey: outputs.deployKey,
    ...(bastion && { bastion: { ...bastion, privateKey: outputs.bastionPrivateKey ?? '' } }),
  };
}
