import { randomBytes } from 'node:crypto';
import { actionView } from '../actions';
import type { Cloud } from '../cloud';
import { hostName, parseBody } from '../input';
import type { Routes } from '../routes';
import type { ServerRecord } from '../state';
import { began, newRecord, refuseProtected, serveKind, wanted, type Kind } from './kind';
import { machineOf } from './machine';
import { addPrimaryIp } from './primary-ips';
import { attach } from './server-networks';
import { checkOrder, serverOrder } from './server-order';
import { serverStatus, serverView } from './server-view';

function serverKind({ store, actions, driver }: Cloud): Kind<ServerRecord> {
  const { state } = store;
  return {
    plural: 'servers',
    type: 'server',
    records: state.servers,
    name: hostName,
    view: (server) => serverView(server, state, actions),
    filters: { status: (server, statuses) => statuses.includes(serverStatus(server, actions)) },
    change: (server) => {
      // Labels may have brought it under another firewall, or out of one. There is no action that could fail.
      driver.firewallChanged(machineOf(server, state)).catch(() => undefined);
    },
  };
}

/** Servers: create, change, delete. What is done to one that is there is in `server-actions`. */
export function serverRoutes(routes: Routes, cloud: Cloud): void {
  const { actions, driver } = cloud;
  const { state } = cloud.store;
  const kind = serverKind(cloud);
  serveKind<ServerRecord>(routes, cloud, kind);

  const created = actions.define<{ server: number; start: boolean }>('server/create', {
    command: 'create_server',
    drive: async (args) => {
      const server = state.servers.get(args.server);
      if (!server) return;
      await driver.create(machineOf(server, state));
      if (args.start) await driver.powerOn(machineOf(server, state));
    },
    apply: (args) => {
      const server = state.servers.get(args.server);
      if (server && args.start) server.status = 'running';
    },
  });
  // The service reports the start as an action of its own, which ends with the creation.
  const started = actions.define<object>('server/created_started', { command: 'start_server' });

  routes.post('/servers', ({ body }) => {
    const given = parseBody(serverOrder, body);
    const order = checkOrder(given, cloud);

    const server: ServerRecord = {
      ...newRecord(cloud, given),
      status: 'off',
      serverType: order.type.name,
      image: order.image.id,
      location: order.location,
      primaryDiskSize: order.type.disk,
      userData: given.user_data ?? '',
      sshKeys: order.sshKeys,
      placementGroup: given.placement_group ?? null,
      firewalls: order.firewalls,
      networks: [],
      backupWindow: null,
      protection: { delete: false, rebuild: false },
    };
    // The last check: networks may overlap one another.
    for (const network of order.networks) attach(server, network, state);
    state.servers.add(server);
    for (const [type, ip] of order.publicIps) {
      const own = ip ?? addPrimaryIp(cloud, { ...ownIp(cloud, type), location: server.location });
      own.autoDelete = ip ? ip.autoDelete : true;
      own.assignee = server.id;
    }
    for (const volume of order.volumes) volume.server = server.id;

    const action = created([{ type: 'server', id: server.id }], {
      server: server.id,
      start: given.start_after_create,
    });
    const next = given.start_after_create ? [started([{ type: 'server', id: server.id }], {}, action)] : [];
    return {
      status: 201,
      body: {
        server: kind.view(server),
        action: actionView(action),
        next_actions: next.map(actionView),
        root_password: rootPassword(server),
      },
    };
  });

  const deleted = actions.define<{ server: number }>('server/delete', {
    command: 'delete_server',
    drive: async (args) => {
      const server = state.servers.get(args.server);
      if (server) await driver.delete(machineOf(server, state));
    },
    apply: (args) => {
      for (const volume of state.volumes) if (volume.server === args.server) volume.server = null;
      for (const ip of state.primaryIps.filter(({ assignee }) => assignee === args.server)) {
        ip.assignee = null;
        if (ip.autoDelete) state.primaryIps.delete(ip.id);
      }
      state.servers.delete(args.server);
    },
  });
  routes.delete('/servers/:id', (call) => {
    const server = wanted(kind, call);
    refuseProtected('server', server);
    actions.refuseWhileRunning('server', server.id);
    return { ...began(deleted([{ type: 'server', id: server.id }], { server: server.id })), status: 200 };
  });
}

/** A password is made only for a server without SSH keys. */
export function rootPassword(server: ServerRecord): string | null {
  return server.sshKeys.length > 0 ? null : randomBytes(15).toString('base64url');
}

function ownIp(cloud: Cloud, type: 'ipv4' | 'ipv6') {
  const record = newRecord(cloud, { name: '' });
  return { ...record, name: `primary_ip-${record.id}`, type };
}
