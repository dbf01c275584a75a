import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { startLocalCloud, type LocalCloudOptions } from '../../local/api/server';

export const TOKEN = 'a1B2'.repeat(16);

interface Reply<T> {
  status: number;
  headers: Headers;
  body: T;
}

/** Asks one API as a client would. */
export type Ask = <T = Record<string, never>>(
  method: string,
  path: string,
  body?: unknown,
) => Promise<Reply<T>>;

function asker(base: string, headers: Record<string, string>): Ask {
  return async <T>(method: string, path: string, body?: unknown) => {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? undefined : JSON.parse(text)) as T,
    };
  };
}

/** The three sides of a cloud at an address. */
export function clientsOf(url: string, token = TOKEN) {
  const authorization = { authorization: `Bearer ${token}` };
  return {
    hetzner: asker(`${url}/v1`, authorization),
    cloudflare: asker(`${url}/client/v4`, authorization),
    local: asker(`${url}/local`, {}),
  };
}

export async function scratchDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'local-cloud-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts a cloud with quick actions in this process; it ends with the test. */
export async function startedCloud(options: Partial<LocalCloudOptions> = {}) {
  const stateFile = options.stateFile ?? join(await scratchDirectory(), 'state.json');
  const cloud = await startLocalCloud({ token: TOKEN, actionMs: 5, ...options, stateFile });
  onTestFinished(() => cloud.close());
  return { ...cloud, stateFile, ...clientsOf(cloud.url) };
}

export interface ActionAnswer {
  action: { id: number; status: string; progress: number; error: { code: string; message: string } | null };
}

export interface ServerAnswer extends ActionAnswer {
  server: {
    id: number;
    name: string;
    status: string;
    public_net: { ipv4: { id: number; ip: string } | null };
  };
}

export interface ErrorAnswer {
  error: {
    code: string;
    message: string;
    details: { fields: { name: string; messages: string[] }[] } | null;
  };
}

export const serverOrder = (name: string, more: object = {}) => ({
  name,
  server_type: 'cx33',
  image: 'debian-13',
  location: 'nbg1',
  ...more,
});

/** Polls an action until it has ended, as clients do. */
export async function ended(hetzner: Ask, id: number) {
  for (;;) {
    const { body } = await hetzner<ActionAnswer>('GET', `/actions/${id}`);
    if (body.action.status !== 'running') return body.action;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Creates a server and waits until it runs. */
export async function runningServer(hetzner: Ask, name: string, more: object = {}) {
  const { body } = await hetzner<ServerAnswer>('POST', '/servers', serverOrder(name, more));
  await ended(hetzner, body.action.id);
  return (await hetzner<ServerAnswer>('GET', `/servers/${body.server.id}`)).body.server;
}
