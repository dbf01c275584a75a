import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { daemonOutput, startedDaemon } from './daemon';
import { ended, scratchDirectory, serverOrder, type Ask, type ServerAnswer } from './local-cloud';

interface Server {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  public_net: { ipv4: { id: number } | null };
}

interface PrimaryIp {
  id: number;
  assignee_id: number | null;
}

async function all<T>(hetzner: Ask, kind: string): Promise<T[]> {
  const found: T[] = [];
  for (let page = 1; ; page++) {
    const { body } = await hetzner<Record<string, T[]>>('GET', `/${kind}?per_page=50&page=${page}`);
    const records = body[kind] ?? [];
    found.push(...records);
    if (records.length < 50) return found;
  }
}

/** Servers whose answers arrived: the label that was last confirmed, or gone. What was under way may be either. */
type Confirmed = Map<number, { label: string; maybe?: string } | 'deleting' | 'gone'>;

/** Creates, changes and deletes servers until the connection breaks. */
async function work(hetzner: Ask, confirmed: Confirmed, name: string, answered: () => void): Promise<void> {
  try {
    for (let i = 0; ; i++) {
      const created = await hetzner<ServerAnswer>(
        'POST',
        '/servers',
        serverOrder(`${name}-${i}`, { labels: { n: '0' } }),
      );
      if (created.status !== 201) throw new Error(`create answered ${created.status}`);
      const { id } = created.body.server;
      confirmed.set(id, { label: '0' });
      answered();

      confirmed.set(id, { label: '0', maybe: '1' });
      const changed = await hetzner('PUT', `/servers/${id}`, { labels: { n: '1' } });
      if (changed.status !== 200) throw new Error(`change answered ${changed.status}`);
      confirmed.set(id, { label: '1' });
      answered();

      if (i % 3 === 0) {
        await ended(hetzner, created.body.action.id);
        confirmed.set(id, 'deleting');
        const deleted = await hetzner<ServerAnswer>('DELETE', `/servers/${id}`);
        // The action that starts it may not have ended yet.
        if (deleted.status === 423) confirmed.set(id, { label: '1' });
        else if ((await ended(hetzner, deleted.body.action.id)).status === 'success')
          confirmed.set(id, 'gone');
        answered();
      }
    }
  } catch (error) {
    // fetch reports a broken connection as a TypeError; everything else is a failure of the cloud.
    if (!(error instanceof TypeError)) throw error;
  }
}

const rounds = process.env.TIER === 'soak' ? 100 : 4;

test('every answered change survives a kill at any moment', { timeout: rounds * 30_000 }, async () => {
  const directory = await scratchDirectory();
  const confirmed: Confirmed = new Map();
  for (let round = 0; round < rounds; round++) {
    const daemon = await startedDaemon(directory, ['--action-ms', '3']);
    let answers = 0;
    const enough = 5 + Math.floor(Math.random() * 60);
    const count = () => {
      if (++answers === enough) daemon.child.kill('SIGKILL');
    };
    const workers = [1, 2, 3, 4].map((n) => work(daemon.hetzner, confirmed, `s-${round}-${n}`, count));
    await Promise.all(workers);
    expect((await daemon.exited)[1]).toBe('SIGKILL');
    expect(answers).toBeGreaterThanOrEqual(enough);

    const next = await startedDaemon(directory, ['--action-ms', '3']);
    for (;;) {
      const { body } = await next.hetzner<{ servers: Server[] }>(
        'GET',
        '/servers?status=initializing&status=deleting',
      );
      if (body.servers.length === 0) break;
    }
    const servers = new Map(
      (await all<Server>(next.hetzner, 'servers')).map((server) => [server.id, server]),
    );
    for (const [id, known] of confirmed) {
      const server = servers.get(id);
      if (known === 'gone') expect(server, `server ${id} came back`).toBeUndefined();
      if (known === 'gone' || known === 'deleting') continue;
      expect(server, `server ${id} is lost`).toBeDefined();
      expect([known.label, known.maybe]).toContain(server?.labels.n);
      expect(server?.status).toBe('running');
      confirmed.set(id, { label: server!.labels.n! });
    }
    // No half state: each server with the address that was made for it, no address without its server.
    const ips = new Map((await all<PrimaryIp>(next.hetzner, 'primary_ips')).map((ip) => [ip.id, ip]));
    for (const server of servers.values())
      expect(ips.get(server.public_net.ipv4!.id)?.assignee_id).toBe(server.id);
    for (const ip of ips.values())
      expect(servers.has(ip.assignee_id ?? 0), `address ${ip.id} is an orphan`).toBe(true);
    next.child.kill('SIGKILL');
    await next.exited;
  }
  expect([...confirmed.values()].filter((known) => typeof known === 'object').length).toBeGreaterThan(10);
});

test('a running action is completed by the next start', async () => {
  const directory = await scratchDirectory();
  const first = await startedDaemon(directory, ['--action-ms', '3600000']);
  const { body } = await first.hetzner<ServerAnswer>('POST', '/servers', serverOrder('slow'));
  expect(body.server.status).toBe('initializing');
  first.child.kill('SIGKILL');
  await first.exited;

  const second = await startedDaemon(directory);
  expect((await ended(second.hetzner, body.action.id)).status).toBe('success');
  const { server } = (await second.hetzner<ServerAnswer>('GET', `/servers/${body.server.id}`)).body;
  expect(server.status).toBe('running');
});

test('the daemon says where it is, takes no second of its kind and leaves cleanly', async () => {
  const directory = await scratchDirectory();
  const daemon = await startedDaemon(directory);
  const file = join(directory, 'endpoint.json');
  expect(daemon.endpoint.pid).toBe(daemon.child.pid);
  if (process.platform !== 'win32') {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await daemon.hetzner('POST', '/placement_groups', { name: 'g', type: 'spread' });
    expect((await stat(join(directory, 'state.json'))).mode & 0o777).toBe(0o600);
  }

  const second = await daemonOutput(['--state', directory]);
  expect(second.code).toBe(3);
  expect(second.output).toContain(`running already: process ${daemon.child.pid}`);

  daemon.child.kill('SIGTERM');
  expect(await daemon.exited).toEqual([0, null]);
  await expect(readFile(file)).rejects.toThrow('ENOENT');
  expect(daemon.output()).not.toContain(daemon.endpoint.token);
});

test('the daemon explains itself', async () => {
  const help = await daemonOutput(['--help']);
  expect(help.code).toBe(0);
  expect(help.output).toContain('--state DIR');
  const wrong = await daemonOutput(['--state', await scratchDirectory(), '--port', 'many']);
  expect(wrong.code).toBe(1);
  expect(wrong.output).toContain(
    "--port: expected a whole number from 0 to 65535, e.g. --port 0, not 'many'",
  );
});

test('the side door shuts the daemon down', async () => {
  const daemon = await startedDaemon(await scratchDirectory());
  expect((await daemon.local('POST', '/shutdown')).status).toBe(202);
  expect(await daemon.exited).toEqual([0, null]);
});
