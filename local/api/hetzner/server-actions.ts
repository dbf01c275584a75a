import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { findByIdOrName, id, idOrName, noInput, parseBody } from '../input';
import type { Machine, MachineDriver } from '../machine-driver';
import type { Call, Routes } from '../routes';
import type { ServerRecord } from '../state';
import { imageWithId, serverTypeNamed, serverTypes } from './catalogue';
import { began, existing, wanted } from './kind';
import { machineOf } from './machine';
import { refuseFull } from './placement-groups';
import { fittingImage, refuseUnavailable, userData } from './server-order';
import { rootPassword } from './servers';

const changeType = z.strictObject({ server_type: idOrName, upgrade_disk: z.boolean() });
const rebuildBody = z.strictObject({ image: idOrName, user_data: userData.nullish() });
const protection = z.strictObject({ delete: z.boolean().optional(), rebuild: z.boolean().optional() });
const groupBody = z.strictObject({ placement_group: id });

/** Power, type, rebuild, protection, backups and placement of a server that is there. */
export function serverActionRoutes(routes: Routes, cloud: Cloud): void {
  const { actions, driver } = cloud;
  const { state } = cloud.store;

  const at = (server: ServerRecord) => [{ type: 'server' as const, id: server.id }];
  const unlocked = (call: Call) => {
    const server = wanted({ records: state.servers, type: 'server' }, call);
    actions.refuseWhileRunning('server', server.id);
    return server;
  };
  const stopped = (call: Call) => {
    const server = unlocked(call);
    if (server.status === 'off') return server;
    throw new ApiError('server_not_stopped', `server ${server.id} is running, but must be powered off`);
  };
  /** Serves one action: `prepare` checks and says what is to be done, `apply` does it to the record at the end. */
  const serverAction = <A extends object>(
    path: string,
    effect: {
      command: string;
      drive?: (machine: Machine, server: ServerRecord, args: A) => Promise<void>;
      apply: (server: ServerRecord, args: A) => void;
    },
    prepare: (call: Call) => { server: ServerRecord; args: A; rest?: object },
  ) => {
    const begin = actions.define<A & { server: number }>(`server/${path}`, {
      command: effect.command,
      drive: async (args) => {
        const server = state.servers.get(args.server);
        if (server) await effect.drive?.(machineOf(server, state), server, args);
      },
      apply: (args) => {
        const server = state.servers.get(args.server);
        if (server) effect.apply(server, args);
      },
    });
    routes.post(`/servers/:id/actions/${path}`, (call) => {
      const { server, args, rest } = prepare(call);
      return began(begin(at(server), { ...args, server: server.id }), rest);
    });
  };

  const power = (
    path: string,
    command: string,
    status: ServerRecord['status'],
    drive: (driver: MachineDriver, machine: Machine, server: ServerRecord) => Promise<void>,
  ) =>
    serverAction(
      path,
      {
        command,
        drive: (machine, server) => drive(driver, machine, server),
        apply: (server) => (server.status = status),
      },
      (call) => {
        parseBody(noInput, call.body);
        return { server: unlocked(call), args: {} };
      },
    );
  const restart = (hard: boolean) => async (to: MachineDriver, machine: Machine, server: ServerRecord) => {
    if (server.status === 'running') await to.powerOff(machine, hard);
    await to.powerOn(machine);
  };
  power('poweron', 'start_server', 'running', (to, machine) => to.powerOn(machine));
  power('poweroff', 'stop_server', 'off', (to, machine) => to.powerOff(machine, true));
  power('shutdown', 'shutdown_server', 'off', (to, machine) => to.powerOff(machine, false));
  power('reboot', 'reboot_server', 'running', restart(false));
  power('reset', 'reset_server', 'running', restart(true));

  // Whether the service powers the server on again after a change of its type is not known: it stays off here,
  // which is the case that a program must cope with.
  serverAction<{ type: string; upgradeDisk: boolean }>(
    'change_type',
    {
      command: 'change_server_type',
      apply: (server, { type, upgradeDisk }) => {
        server.serverType = type;
        if (upgradeDisk) server.primaryDiskSize = serverTypeNamed(type).disk;
      },
    },
    (call) => {
      const server = stopped(call);
      const given = parseBody(changeType, call.body);
      const type = findByIdOrName(serverTypes, given.server_type);
      if (!type) throw invalidInput('server_type', `'${given.server_type}' is no server type, e.g. cx33`);
      const unfit = (why: string) => new ApiError('invalid_server_type', `${type.name} does not fit: ${why}`);
      if (type.name === server.serverType) throw unfit('the server has this type already');
      if (type.architecture !== imageWithId(server.image).architecture) throw unfit('another architecture');
      if (type.disk < server.primaryDiskSize)
        throw unfit(`the server's disk of ${server.primaryDiskSize} GB is larger`);
      refuseUnavailable(type, server.location, state);
      return { server, args: { type: type.name, upgradeDisk: given.upgrade_disk } };
    },
  );

  serverAction<{ image: number; userData: string | undefined }>(
    'rebuild',
    {
      command: 'rebuild_server',
      drive: (machine, _server, args) => {
        const { name, architecture } = imageWithId(args.image);
        return driver.rebuild({
          ...machine,
          image: { name, architecture },
          userData: args.userData ?? machine.userData,
        });
      },
      apply: (server, args) => {
        server.image = args.image;
        server.userData = args.userData ?? server.userData;
        server.status = 'running';
      },
    },
    (call) => {
      const server = unlocked(call);
      const given = parseBody(rebuildBody, call.body);
      if (server.protection.rebuild)
        throw new ApiError('protected', `server ${server.id} is protected from rebuild`);
      const image = fittingImage(given.image, serverTypeNamed(server.serverType));
      return {
        server,
        args: { image: image.id, userData: given.user_data ?? undefined },
        rest: { root_password: rootPassword(server) },
      };
    },
  );

  serverAction<{ delete?: boolean; rebuild?: boolean }>(
    'change_protection',
    {
      command: 'change_protection',
      apply: (server, args) => {
        server.protection = {
          delete: args.delete ?? server.protection.delete,
          rebuild: args.rebuild ?? server.protection.rebuild,
        };
      },
    },
    (call) => {
      const server = unlocked(call);
      const args = parseBody(protection, call.body);
      const wantedState = { ...server.protection, ...args };
      if (wantedState.delete !== wantedState.rebuild)
        throw invalidInput('rebuild', 'must be equal to delete');
      return { server, args };
    },
  );

  const backup = (path: string, command: string, window: string | null) =>
    serverAction(path, { command, apply: (server) => (server.backupWindow = window) }, (call) => {
      return { server: unlocked(call), args: {} };
    });
  backup('enable_backup', 'enable_backup', '22-02');
  backup('disable_backup', 'disable_backup', null);

  serverAction<{ group: number }>(
    'add_to_placement_group',
    { command: 'add_to_placement_group', apply: (server, { group }) => (server.placementGroup = group) },
    (call) => {
      const server = stopped(call);
      const group = existing(
        state.placementGroups,
        'placement group',
        parseBody(groupBody, call.body).placement_group,
      );
      if (server.placementGroup !== null) {
        throw invalidInput(
          'placement_group',
          `server ${server.id} is in placement group ${server.placementGroup}`,
        );
      }
      refuseFull(group, state);
      return { server, args: { group: group.id } };
    },
  );
  serverAction(
    'remove_from_placement_group',
    { command: 'remove_from_placement_group', apply: (server) => (server.placementGroup = null) },
    (call) => ({ server: unlocked(call), args: {} }),
  );
}
