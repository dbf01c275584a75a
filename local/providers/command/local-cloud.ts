/** Remote commands while no machines boot: the local cloud records them and says how they end. */
import { loopbackUrl, send, type HttpApi } from '../http';
import { connectionDefaults, type Connection } from './connection';
import type { Finished } from './outcome';
import { refusedVariable, type RemoteCopy, type RemoteHosts, type RemoteRun } from './remote-host';

interface Recorded {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** What Debian's SSH server takes from a client. */
const accepted = /^(LANG|LC_.*)$/;

export class LocalCloudHosts implements RemoteHosts {
  readonly #api: HttpApi;

  constructor(url: string) {
    this.#api = { baseUrl: url, token: 'none', retryCodes: new Set(), errorOf: () => undefined };
  }

  /** Whether servers of the local cloud are machines that SSH reaches. */
  async bootsMachines(signal: AbortSignal): Promise<boolean> {
    const status = (await send(this.#api, 'GET', '/local/status', undefined, signal)) as {
      machines: boolean;
    };
    return status.machines;
  }

  async run(run: RemoteRun): Promise<Finished> {
    const refused = Object.keys(run.environment).find((name) => !accepted.test(name));
    if (refused) throw new Error(refusedVariable(refused));
    return this.#send(run.connection, run.phase, run.command, run.stdin, run.stdinSecret, run.signal);
  }

  async copy(copy: RemoteCopy): Promise<void> {
    const { connection, source, remotePath, signal } = copy;
    const finished = await this.#send(
      connection,
      'create',
      `copy ${source} ${remotePath}`,
      undefined,
      false,
      signal,
    );
    if (finished.exitCode !== 0) throw new Error(finished.stderr.trim());
  }

  async #send(
    connection: Connection,
    phase: string,
    command: string,
    stdin: string | undefined,
    stdinSecret: boolean,
    signal: AbortSignal,
  ): Promise<Finished> {
    const answer = (await send(
      this.#api,
      'POST',
      '/local/commands',
      {
        host: connection.host,
        port: connection.port ?? connectionDefaults.port,
        user: connection.user ?? connectionDefaults.user,
        phase,
        command,
        stdinSecret,
        ...(stdin !== undefined && !stdinSecret && { stdin }),
      },
      signal,
    )) as Recorded;
    return { exitCode: answer.exitCode, stdout: answer.stdout, stderr: answer.stderr };
  }
}

/** @throws when LOCAL_CLOUD does not name a local cloud. */
export function localCloud(): LocalCloudHosts {
  return new LocalCloudHosts(loopbackUrl('LOCAL_CLOUD', process.env.LOCAL_CLOUD, 'http://127.0.0.1:8080'));
}
