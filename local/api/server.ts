import fastify from 'fastify';
import { Actions } from './actions';
import { cloudflare } from './cloudflare/cloudflare';
import { defaultLimits, type Cloud, type Limits } from './cloud';
import { Faults } from './faults';
import { serve } from './gate';
import { hetzner } from './hetzner/hetzner';
import { machineOf } from './hetzner/machine';
import { noMachines, type MachineDriver } from './machine-driver';
import { addressRecords } from './names';
import { RequestLog } from './request-log';
import { sideDoor } from './side-door';
import { Store } from './store';

export interface LocalCloudOptions {
  /** On 127.0.0.1; 0, the default, takes a free one. */
  port?: number;
  /** One JSON file, made when it is not there. Only one cloud at a time may have it. */
  stateFile: string;
  /** The bearer token that clients show, 64 characters. */
  token: string;
  /** Boots the servers; by default none boots. */
  driver?: MachineDriver;
  /** Told one line for each request. */
  log?: (line: string) => void;
  /** How long an action takes, in milliseconds, 100 by default. */
  actionMs?: number;
  limits?: Partial<Limits>;
  /** What `POST /local/shutdown` does, closing the cloud by default. */
  onShutdown?: () => void;
}

export interface LocalCloud {
  /** E.g. `http://127.0.0.1:40123`; the Hetzner API is below `/v1`, Cloudflare's below `/client/v4`. */
  url: string;
  /** Stops listening and writes what is not written; running actions are completed by the next start. */
  close(): Promise<void>;
}

/**
 * Starts a local cloud: the Hetzner Cloud API, the Cloudflare calls that go with it, and a side door for tests.
 * Every answer that it gives is on the disk before it is given.
 *
 * @throws when the token has not 64 characters, the port is taken, or the state file is not one of ours
 */
export async function startLocalCloud(options: LocalCloudOptions): Promise<LocalCloud> {
  if (!/^[A-Za-z0-9]{64}$/.test(options.token)) {
    throw new Error('token: expected 64 letters and digits, as Hetzner issues them');
  }
  const store = await Store.open(options.stateFile);
  const cloud: Cloud = {
    store,
    actions: new Actions(store, options.actionMs ?? 100),
    faults: new Faults(),
    driver: options.driver ?? noMachines,
    limits: { ...defaultLimits, ...options.limits },
  };
  const log = new RequestLog(options.log);
  const app = fastify({ forceCloseConnections: true, bodyLimit: 8 * 2 ** 20 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    // Clients send the content type with empty bodies as well.
    if (body === '') return done(null, undefined);
    try {
      done(null, JSON.parse(body as string));
    } catch {
      done(Object.assign(new Error('the body is not valid JSON'), { statusCode: 400 }));
    }
  });

  let closing: Promise<void> | undefined;
  const close = () =>
    (closing ??= (async () => {
      cloud.actions.stop();
      await app.close();
      await store.durable();
    })());

  serve(app, cloud, log, hetzner(cloud, options.token));
  serve(app, cloud, log, cloudflare(cloud, options.token));
  sideDoor(app, cloud, log, options.onShutdown ?? (() => void close()));

  const { servers } = store.state;
  await cloud.driver.adopt(
    [...servers].map((server) => ({
      machine: machineOf(server, store.state),
      running: server.status === 'running',
    })),
  );
  const tellNames = () => cloud.driver.namesChanged(addressRecords(store.state));
  await tellNames();
  store.onWritten = () => {
    // There is no action that could fail.
    tellNames().catch((error: unknown) => options.log?.(`names: ${String(error)}`));
  };
  cloud.actions.resume();
  const url = await app.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  return { url, close };
}
