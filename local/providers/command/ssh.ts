/** Remote commands over SSH, against the host key that the program pins. */
import { createPrivateKey } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  type ClientChannel,
  type ConnectConfig,
  type SFTPWrapper,
  type ServerHostKeyAlgorithm,
} from 'ssh2';
import { openSsh } from '../tls/openssh';
import { connectionDefaults, type Connection, type Endpoint } from './connection';
import type { Finished } from './outcome';
import { refusedVariable, type RemoteCopy, type RemoteHosts, type RemoteRun } from './remote-host';

/** The host is not the one that the program means: no further try can change that. */
class WrongHost extends Error {}

interface PinnedKey {
  type: string;
  blob: string;
}

function pinnedKey(hostKey: string | undefined): PinnedKey | undefined {
  if (hostKey === undefined) return undefined;
  const [type, blob] = hostKey.trim().split(/\s+/);
  if (!type || !blob) {
    throw new WrongHost(
      `connection.hostKey ${JSON.stringify(hostKey)} is not a public key; for example ssh-ed25519 AAAA…`,
    );
  }
  return { type, blob };
}

/** Other keys that the host may have must not be offered in place of the pinned one. */
function hostKeyAlgorithms(pinned: PinnedKey): ServerHostKeyAlgorithm[] {
  if (pinned.type === 'ssh-rsa') return ['rsa-sha2-512', 'rsa-sha2-256'];
  return [pinned.type as ServerHostKeyAlgorithm];
}

/** The SSH library reads OpenSSH's and the traditional PEM forms; PKCS #8 is turned into the former. */
function readablePrivateKey(pem: string): string {
  return pem.includes('BEGIN PRIVATE KEY') ? openSsh(createPrivateKey(pem)).privateKey : pem;
}

function configOf(endpoint: Endpoint): ConnectConfig {
  const pinned = pinnedKey(endpoint.hostKey);
  const agent = endpoint.agentSocketPath ?? process.env.SSH_AUTH_SOCK;
  return {
    host: endpoint.host,
    port: endpoint.port ?? connectionDefaults.port,
    username: endpoint.user ?? connectionDefaults.user,
    readyTimeout: (endpoint.perDialTimeout ?? connectionDefaults.perDialTimeout) * 1000,
    keepaliveInterval: 15_000,
    ...(endpoint.privateKey !== undefined && { privateKey: readablePrivateKey(endpoint.privateKey) }),
    ...(endpoint.privateKeyPassword !== undefined && { passphrase: endpoint.privateKeyPassword }),
    ...(endpoint.password !== undefined && { password: endpoint.password, tryKeyboard: true }),
    ...(agent && { agent }),
    ...(pinned && {
      algorithms: { serverHostKey: hostKeyAlgorithms(pinned) },
      hostVerifier: (key: Buffer) => key.toString('base64') === pinned.blob,
    }),
  };
}

const place = (endpoint: Endpoint): string => `${endpoint.host}:${endpoint.port ?? connectionDefaults.port}`;

/** One try to connect. */
function dialOnce(
  endpoint: Endpoint,
  through: ClientChannel | undefined,
  signal: AbortSignal,
): Promise<Client> {
  return new Promise((resolve, reject) => {
    const client = new Client();
    const fail = (error: Error): void => {
      signal.removeEventListener('abort', abort);
      client.destroy();
      // The library's words for a host key that the verifier turned down, and for one of another kind.
      const wrong = /host denied|no matching host key format/i.test(error.message);
      reject(
        wrong
          ? new WrongHost(`${place(endpoint)} does not have the pinned host key (connection.hostKey)`)
          : new Error(
              `cannot connect to ${place(endpoint)}: ${error.message || (error as NodeJS.ErrnoException).code}`,
            ),
      );
    };
    const abort = (): void => fail(new Error('cancelled'));
    signal.addEventListener('abort', abort, { once: true });
    client.once('error', fail);
    client.once('ready', () => {
      signal.removeEventListener('abort', abort);
      client.off('error', fail);
      // A later error ends the channel too, and is told there.
      client.on('error', () => undefined);
      resolve(client);
    });
    client.on('keyboard-interactive', (_name, _instructions, _language, prompts, finish) =>
      finish(prompts.map(() => endpoint.password ?? '')),
    );
    try {
      client.connect({ ...configOf(endpoint), ...(through && { sock: through }) });
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

/** Connects, trying again as often as the connection says: a new host takes a while to answer. */
async function dial(
  endpoint: Endpoint,
  channel: () => Promise<ClientChannel | undefined>,
  signal: AbortSignal,
): Promise<Client> {
  const limit = endpoint.dialErrorLimit ?? connectionDefaults.dialErrorLimit;
  for (let failed = 1, pause = 100; ; failed++, pause = Math.min(pause * 1.5, 5000)) {
    try {
      return await dialOnce(endpoint, await channel(), signal);
    } catch (error) {
      if (error instanceof WrongHost || signal.aborted) throw error;
      if (limit >= 0 && failed >= limit) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`${reason} (after ${failed} ${failed === 1 ? 'try' : 'tries'})`, { cause: error });
      }
    }
    await sleep(pause, undefined, { signal });
  }
}

function forward(proxy: Client, target: Endpoint): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    proxy.forwardOut('127.0.0.1', 0, target.host, target.port ?? connectionDefaults.port, (error, channel) =>
      error
        ? reject(new Error(`the bastion cannot reach ${place(target)}: ${error.message}`))
        : resolve(channel),
    );
  });
}

/** Runs `work` on a connection and closes it, and the bastion's, whatever happens. */
async function connected<T>(
  connection: Connection,
  signal: AbortSignal,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { proxy } = connection;
  let bastion: Client | undefined;
  let client: Client | undefined;
  try {
    if (proxy) bastion = await dial(proxy, () => Promise.resolve(undefined), signal);
    const through = bastion;
    client = await dial(
      connection,
      () => (through ? forward(through, connection) : Promise.resolve(undefined)),
      signal,
    );
    return await work(client);
  } finally {
    client?.end();
    bastion?.end();
  }
}

function execute(
  client: Client,
  command: string,
  env: Record<string, string>,
  stdin: string | undefined,
  signal: AbortSignal,
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    client.exec(command, { env }, (error, channel) => {
      if (error) {
        reject(error);
        return;
      }
      const printed = { stdout: '', stderr: '' };
      let exit: { exitCode: number | undefined } | undefined;
      const abort = (): void => client.destroy() as unknown as void;
      signal.addEventListener('abort', abort, { once: true });
      channel.setEncoding('utf8').on('data', (text: string) => (printed.stdout += text));
      channel.stderr.setEncoding('utf8').on('data', (text: string) => (printed.stderr += text));
      channel.on('exit', (code: number | null) => (exit = { exitCode: code ?? undefined }));
      channel.on('close', () => {
        signal.removeEventListener('abort', abort);
        if (exit) resolve({ ...exit, ...printed });
        else
          reject(new Error('the connection was lost while the command ran; whether it finished is unknown'));
      });
      channel.end(stdin ?? '');
    });
  });
}

/**
 * Which of these variables the host does not take. A server refuses without a word that the SSH library would pass on,
 * so a first command looks for them.
 */
async function refusedVariables(
  client: Client,
  env: Record<string, string>,
  signal: AbortSignal,
): Promise<string[]> {
  const names = Object.keys(env);
  if (names.length === 0) return [];
  const wrong = names.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (wrong !== undefined) throw new Error(`environment: ${JSON.stringify(wrong)} is not a variable's name`);
  const probe = `for name in ${names.join(' ')}; do printenv "$name" >/dev/null || echo "$name"; done`;
  return (await execute(client, probe, env, undefined, signal)).stdout.split('\n').filter(Boolean);
}

type Entry = 'folder' | 'file' | undefined;

function remoteEntry(sftp: SFTPWrapper, target: string): Promise<Entry> {
  return new Promise((resolve, reject) => {
    sftp.stat(target, (error, stats) => {
      if (!error) resolve(stats.isDirectory() ? 'folder' : 'file');
      else if ((error as { code?: number }).code === 2)
        resolve(undefined); // no such file
      else reject(new Error(`cannot look at ${target} on the host: ${error.message}`));
    });
  });
}

function putFile(sftp: SFTPWrapper, source: string, target: string): Promise<void> {
  return new Promise((resolve, reject) => {
    sftp.fastPut(source, target, (error) =>
      error
        ? reject(new Error(`cannot copy ${source} to ${target} on the host: ${error.message}`))
        : resolve(),
    );
  });
}

async function ensureFolder(sftp: SFTPWrapper, target: string): Promise<void> {
  const entry = await remoteEntry(sftp, target);
  if (entry === 'file') throw new Error(`${target} on the host is a file, not a folder`);
  if (entry === 'folder') return;
  await new Promise<void>((resolve, reject) => {
    sftp.mkdir(target, (error) =>
      error ? reject(new Error(`cannot make the folder ${target} on the host: ${error.message}`)) : resolve(),
    );
  });
}

async function putFolder(sftp: SFTPWrapper, source: string, target: string): Promise<void> {
  await ensureFolder(sftp, target);
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    const [from, to] = [path.join(source, entry.name), path.posix.join(target, entry.name)];
    await (entry.isDirectory() ? putFolder(sftp, from, to) : putFile(sftp, from, to));
  }
}

/** As the real provider: a folder goes into the target unless its path ends in a slash, then its content does. */
async function put(sftp: SFTPWrapper, source: string, target: string): Promise<void> {
  const name = path.basename(source);
  if (statSync(source).isDirectory()) {
    await ensureFolder(sftp, target);
    await putFolder(sftp, source, /[/\\]$/.test(source) ? target : path.posix.join(target, name));
  } else {
    const inside = (await remoteEntry(sftp, target)) === 'folder';
    await putFile(sftp, source, inside ? path.posix.join(target, name) : target);
  }
}

export class SshHosts implements RemoteHosts {
  run(run: RemoteRun): Promise<Finished> {
    return connected(run.connection, run.signal, async (client) => {
      const env = { ...run.optionalEnvironment, ...run.environment };
      const refused = await refusedVariables(client, env, run.signal);
      for (const name of refused) {
        if (name in run.environment) throw new Error(refusedVariable(name));
        run.warn(refusedVariable(name));
      }
      return execute(client, run.command, env, run.stdin, run.signal);
    });
  }

  copy({ connection, source, remotePath, signal }: RemoteCopy): Promise<void> {
    return connected(connection, signal, async (client) => {
      const sftp = await new Promise<SFTPWrapper>((resolve, reject) =>
        client.sftp((error, opened) => (error ? reject(error) : resolve(opened))),
      );
      await put(sftp, source, remotePath);
    });
  }
}
