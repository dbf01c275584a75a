import { z } from 'zod';
import { inNetwork } from './addresses';
import type { Cloud } from './cloud';
import { takeTime } from './faults';
import { parseBody } from './input';
import type { ServerRecord } from './state';

const request = z
  .strictObject({
    host: z.string().min(1),
    port: z.number().int().min(1).max(65535).default(22),
    user: z.string().min(1).default('root'),
    phase: z.enum(['create', 'update', 'delete']),
    command: z.string(),
    stdin: z.string().nullish(),
    stdinSecret: z.boolean().default(false),
  })
  .refine((body) => !body.stdinSecret || (body.stdin ?? null) === null, {
    path: ['stdin'],
    message: 'a secret is never sent: leave stdin out when stdinSecret is true',
  });

export interface RemoteCommand {
  n: number;
  startedAt: string;
  /** Null while it runs. */
  endedAt: string | null;
  /** The server that had the address; null when none did. */
  server: string | null;
  host: string;
  user: string;
  phase: 'create' | 'update' | 'delete';
  command: string;
  /** `[secret]` for a secret one, null for none. */
  stdin: string | null;
  exitCode: number | null;
}

const KEPT = 10_000;

/**
 * Remote commands while no machine boots: recorded, and successful unless the address has no running server or a
 * fault says otherwise. Kept in memory, in the order in which they began.
 */
export class RemoteCommands {
  private readonly commands: RemoteCommand[] = [];
  private last = 0;

  constructor(private readonly cloud: Cloud) {}

  list(): RemoteCommand[] {
    return this.commands;
  }

  async run(body: unknown): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const { host, port, user, phase, command, stdin, stdinSecret } = parseBody(request, body);
    const server = serverAt(this.cloud, host);
    const entry: RemoteCommand = {
      n: ++this.last,
      startedAt: new Date().toISOString(),
      endedAt: null,
      server: server?.name ?? null,
      host,
      user,
      phase,
      command,
      stdin: stdinSecret ? '[secret]' : (stdin ?? null),
      exitCode: null,
    };
    this.commands.push(entry);
    if (this.commands.length > KEPT) this.commands.shift();

    const unreachable = whyUnreachable(this.cloud, server);
    const outcome = unreachable
      ? undefined
      : this.cloud.faults.forCommand({ server: server?.name ?? '', phase, command });
    await takeTime(outcome);
    entry.endedAt = new Date().toISOString();
    if (unreachable) {
      entry.exitCode = 255;
      return {
        exitCode: 255,
        stdout: '',
        stderr: `ssh: connect to host ${host} port ${port}: ${unreachable}\n`,
      };
    }
    const { exitCode = 0, stdout = '', stderr = '' } = outcome ?? {};
    entry.exitCode = exitCode;
    return { exitCode, stdout, stderr };
  }
}

/** The server that has an address, public or private. */
function serverAt(cloud: Cloud, host: string): ServerRecord | undefined {
  const { primaryIps, servers } = cloud.store.state;
  const owned = primaryIps.find((ip) =>
    ip.type === 'ipv4' ? ip.ip === host : host.includes(':') && inNetwork(host, ip.ip),
  );
  if (owned) return owned.assignee === null ? undefined : servers.get(owned.assignee);
  return servers.find((server) => server.networks.some((at) => at.ip === host || at.aliasIps.includes(host)));
}

function whyUnreachable(cloud: Cloud, server: ServerRecord | undefined): string | undefined {
  if (!server) return 'No route to host';
  if (server.status === 'running') return undefined;
  // A server that is just being made has its address before it has an SSH server.
  return cloud.actions.running('server', server.id) ? 'Connection refused' : 'No route to host';
}
