import { storeName } from '../store/local-store';
import type { CloudEndpoint } from './cloud';
import { pulumi, type Engine } from './engine';
import { bootsMachines, hostProgress } from './hosts';
import { bringsPackages } from './machines';
import { stack } from './school';

export interface HostStatus {
  name: string;
  role: 'jitsi' | 'recorder' | 'bridge' | 'app';
  publicAddress: string;
  privateAddress: string;
  /** The server's state, as the cloud's API gives it; of a booted host that runs, how far it is, in the end `ready`. */
  state: string;
  /** What a booted host says of itself, e.g. what a recorder records; may be empty. */
  says: string;
}

/** What `status --json` prints. */
export interface Status {
  stack: string;
  /** Domain of the first shard; null before the first `up`. */
  domain: string | null;
  /** What is not the real thing here, in words. */
  simulated: string[];
  hosts: HostStatus[];
}

interface Server {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  public_net: { ipv4: { ip: string } | null };
  private_net: { ip: string }[];
}

export async function readStatus(engine: Engine, cloud: CloudEndpoint, cloudFolder: string): Promise<Status> {
  const outputs = await pulumi(engine, ['stack', 'output', '--json', '--stack', stack]);
  const { shards } = (outputs.code === 0 ? JSON.parse(outputs.stdout) : {}) as {
    shards?: { domain: string }[];
  };
  return {
    stack,
    domain: shards?.[0]?.domain ?? null,
    simulated: simulated(engine, await bootsMachines(cloud), bringsPackages(cloudFolder)),
    hosts: await readHosts(cloud, cloudFolder),
  };
}

/**
 * The hosts of the stack, and how far each is.
 *
 * @param ready names of hosts that are taken for ready without asking them
 */
export async function readHosts(
  cloud: CloudEndpoint,
  cloudFolder: string,
  ready: ReadonlySet<string> = new Set(),
): Promise<HostStatus[]> {
  const boots = await bootsMachines(cloud);
  return Promise.all(
    (await servers(cloud)).map(async (server) => ({
      name: server.name,
      role: server.labels['role'] as HostStatus['role'],
      publicAddress: server.public_net.ipv4?.ip ?? '',
      privateAddress: server.private_net[0]?.ip ?? '',
      ...(boots && server.status === 'running' && !ready.has(server.name)
        ? await hostProgress(cloudFolder, server.id)
        : { state: ready.has(server.name) ? 'ready' : server.status, says: '' }),
    })),
  );
}

/** The stack's servers, the Jitsi hosts first. */
export async function servers(cloud: CloudEndpoint): Promise<Server[]> {
  const all: Server[] = [];
  for (let page: number | null = 1; page !== null;) {
    const response = await fetch(
      `${cloud.url}/v1/servers?per_page=50&page=${page}&label_selector=platform=${stack}`,
      {
        headers: { authorization: `Bearer ${cloud.token}` },
      },
    );
    const body = (await response.json()) as {
      servers: Server[];
      meta: { pagination: { next_page: number | null } };
    };
    all.push(...body.servers);
    page = body.meta.pagination.next_page;
  }
  const order = ['jitsi', 'bridge', 'recorder', 'app'];
  return all.sort(
    (a, b) =>
      order.indexOf(a.labels['role'] ?? '') - order.indexOf(b.labels['role'] ?? '') ||
      a.name.localeCompare(b.name, 'en', { numeric: true }),
  );
}

function simulated(engine: Engine, boots: boolean, standInPackages: boolean): string[] {
  const plugins = engine.plugins.filter((plugin) => plugin.kind === 'stand-in');
  return [
    'Hetzner Cloud API and Cloudflare API: served on this machine',
    ...plugins.map(({ name, version }) => `provider plugin ${name} ${version}: stand-in`),
    ...(engine.cli.kind === 'built' ? ['language host nodejs: stand-in'] : []),
    boots
      ? 'hosts: containers with systemd on this machine, in networks of their own; out of them, only packages can be had'
      : 'hosts: declared, not booted; remote commands are recorded, not run',
    ...(boots ? ["certificates: the stack's own authority's, since Let's Encrypt cannot be reached"] : []),
    ...(boots
      ? [
          `object store ${storeName}: a real S3 server on this machine; recordings are in .local/cloud/store/buckets`,
        ]
      : []),
    ...(standInPackages ? ["Jitsi's packages: stand-ins; lessons have signalling, and no media"] : []),
  ];
}

/** What is the real thing here, as one line. */
function realText({ cli, plugins }: Engine): string {
  const real = plugins
    .filter(({ kind }) => kind === 'real')
    .map(({ name, version }) => `plugin ${name} ${version}`);
  return ['index.ts', `Pulumi CLI ${cli.version} (${cli.kind}, from ${cli.from})`, ...real].join(', ');
}

/** The summary for people. */
export function statusText(status: Status, engine: Engine): string {
  const rows = [
    ['HOST', 'ROLE', 'PUBLIC', 'PRIVATE', 'STATE', ''],
    ...status.hosts.map((host) => [
      host.name,
      host.role,
      host.publicAddress,
      host.privateAddress,
      host.state,
      host.says,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const table = rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd(),
  );
  return [
    `Stack      ${status.stack}`,
    `Domain     ${status.domain ?? 'none yet'}`,
    '',
    ...(status.hosts.length > 0 ? table : ['  no hosts']),
    '',
    `Real here: ${realText(engine)}`,
    'Simulated here:',
    ...status.simulated.map((line) => `  - ${line}`),
  ].join('\n');
}
