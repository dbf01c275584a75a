import { Client, type ClientChannel, type ServerHostKeyAlgorithm } from 'ssh2';

/** One SSH server and how it is known. Keys stay in memory: no file and no process list ever holds them. */
export interface SshEndpoint {
  host: string;
  /** Default 22. */
  port?: number;
  user: string;
  /** OpenSSH's own form or PEM. */
  privateKey: string;
  /** The only host key that is taken, as in `known_hosts` without the name: `ssh-ed25519 AAAA…`. */
  hostKey: string;
}

export interface SshTarget extends SshEndpoint {
  /** Way to the target when it cannot be reached straight. */
  bastion?: SshEndpoint;
}

/** The command could not be begun, or not be seen to its end; the text says why. */
export class SshError extends Error {}

export interface SshRun {
  /** Longest time for connecting, seconds; default 10. */
  connectSeconds?: number;
  /** Longest time for the whole command, seconds; without it there is no end, as for a log that is followed. */
  seconds?: number;
  stdin?: string;
  /** Takes the output as it comes; without it, it is collected. */
  onOutput?: (stream: 'stdout' | 'stderr', text: string) => void;
  /** Ends the command. */
  signal?: AbortSignal;
}

export interface SshResult {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a command on a host.
 *
 * @throws SshError when the host cannot be reached, is not the one that is meant, or gives no end in time
 */
export async function runOverSsh(target: SshTarget, command: string, how: SshRun = {}): Promise<SshResult> {
  const open: Client[] = [];
  const { seconds, signal } = how;
  let timer: NodeJS.Timeout | undefined;
  const ended = new Promise<never>((_, reject) => {
    const stop = (reason: string) => reject(new SshError(reason));
    if (seconds !== undefined) {
      timer = setTimeout(() => stop(`no answer within ${seconds} s`), seconds * 1000);
    }
    signal?.addEventListener('abort', () => stop('ended'), { once: true });
  });
  // What the race leaves behind must not count as unhandled.
  ended.catch(() => undefined);
  try {
    return await Promise.race([work(target, command, how, open), ended]);
  } finally {
    clearTimeout(timer);
    for (const client of open.reverse()) client.destroy();
  }
}

async function work(target: SshTarget, command: string, how: SshRun, open: Client[]): Promise<SshResult> {
  const { bastion } = target;
  let channel: ClientChannel | undefined;
  if (bastion) channel = await forward(await connect(bastion, how, open), target);
  return execute(await connect(target, how, open, channel), command, how);
}

const place = ({ host, port = 22 }: SshEndpoint): string => `${host}:${port}`;

function connect(
  endpoint: SshEndpoint,
  { connectSeconds = 10 }: SshRun,
  open: Client[],
  sock?: ClientChannel,
): Promise<Client> {
  const [type = '', blob = ''] = endpoint.hostKey.trim().split(/\s+/);
  return new Promise((resolve, reject) => {
    const client = new Client();
    open.push(client);
    client.once('ready', () => resolve(client));
    client.on('error', (error) => reject(new SshError(reason(endpoint, error.message))));
    client.on('close', () => reject(new SshError(`${place(endpoint)} has closed the connection`)));
    try {
      client.connect({
        ...(sock && { sock }),
        host: endpoint.host,
        port: endpoint.port ?? 22,
        username: endpoint.user,
        privateKey: endpoint.privateKey,
        readyTimeout: connectSeconds * 1000,
        keepaliveInterval: 15_000,
        // Another kind of key must not be offered in place of the pinned one.
        algorithms: {
          serverHostKey:
            type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type as ServerHostKeyAlgorithm],
        },
        hostVerifier: (key: Buffer) => key.toString('base64') === blob,
      });
    } catch (error) {
      // The library's words for a bad key do not quote it.
      reject(new SshError(reason(endpoint, error instanceof Error ? error.message : String(error))));
    }
  });
}

function reason(endpoint: SshEndpoint, message: string): string {
  if (/host denied|no matching host key format/i.test(message)) {
    return `${place(endpoint)} does not show the host key of the stack: it is another machine, or somebody is in between`;
  }
  if (/authentication methods failed/i.test(message))
    return `${place(endpoint)} does not take the deploy key`;
  return `${place(endpoint)} cannot be reached: ${message}`;
}

function forward(bastion: Client, target: SshEndpoint): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    bastion.forwardOut('127.0.0.1', 0, target.host, target.port ?? 22, (error, channel) =>
      error
        ? reject(new SshError(`the bastion cannot reach ${place(target)}: ${error.message}`))
        : resolve(channel),
    );
  });
}

function execute(client: Client, command: string, how: SshRun): Promise<SshResult> {
  return new Promise((resolve, reject) => {
    client.once('close', () => reject(new SshError('the connection was lost while the command ran')));
    client.exec(command, (error, channel) => {
      if (error) {
        reject(new SshError(error.message));
        return;
      }
      const result: SshResult = { code: -1, stdout: '', stderr: '' };
      const take = (stream: 'stdout' | 'stderr') => (text: string) => {
        if (how.onOutput) how.onOutput(stream, text);
        else result[stream] += text;
      };
      channel.setEncoding('utf8').on('data', take('stdout'));
      channel.stderr.setEncoding('utf8').on('data', take('stderr'));
      channel.on('exit', (code: number | null) => (result.code = code ?? -1));
      channel.on('close', () => resolve(result));
      channel.end(how.stdin ?? '');
    });
  });
}
