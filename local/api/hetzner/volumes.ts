import { z } from 'zod';
import { actionView } from '../actions';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { findByIdOrName, id, idOrName, labels, orNull, parseBody } from '../input';
import type { Routes } from '../routes';
import type { VolumeRecord } from '../state';
import { locationNamed, locations } from './catalogue';
import {
  began,
  existing,
  newRecord,
  refuseProtected,
  refuseTakenName,
  serveKind,
  serveProtection,
  wanted,
} from './kind';

const name = z
  .string()
  .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,62}[a-zA-Z0-9])?$/, 'not a volume name, e.g. data-1');
/** GB. */
const size = z.number().int().min(10).max(10_240);

const create = z.strictObject({
  name,
  size,
  location: idOrName.optional(),
  server: orNull(id),
  format: z.enum(['ext4', 'xfs']).nullish(),
  automount: z.boolean().optional(),
  labels: labels.optional(),
});
const attachBody = z.strictObject({ server: id, automount: z.boolean().nullish() });
const resize = z.strictObject({ size });

export function volumeRoutes(routes: Routes, cloud: Cloud): void {
  const { actions } = cloud;
  const { state } = cloud.store;
  const kind = {
    plural: 'volumes',
    type: 'volume' as const,
    records: state.volumes,
    name,
    view: volumeView,
    filters: { status: (_: VolumeRecord, statuses: string[]) => statuses.includes('available') },
    refuseDelete: (volume: VolumeRecord) => {
      refuseProtected('volume', volume);
      if (volume.server !== null) {
        throw new ApiError(
          'resource_in_use',
          `volume ${volume.id} is still attached to server ${volume.server}`,
        );
      }
    },
  };
  serveKind<VolumeRecord>(routes, cloud, kind);

  const created = actions.define<object>('volume/create', { command: 'create_volume' });
  const attached = actions.define<{ volume: number; server: number }>('volume/attach', {
    command: 'attach_volume',
    apply: (args) => {
      const volume = state.volumes.get(args.volume);
      if (volume && state.servers.get(args.server)) volume.server = args.server;
    },
  });
  const onServer = (server: number, volume: number) => [
    { type: 'server', id: server } as const,
    { type: 'volume', id: volume } as const,
  ];

  routes.post('/volumes', ({ body }) => {
    const given = parseBody(create, body);
    refuseTakenName(state.volumes, 'volume', given.name);
    if (state.volumes.size >= cloud.limits.volumes) {
      throw new ApiError('resource_limit_exceeded', `volume limit of ${cloud.limits.volumes} exceeded`);
    }
    const server = given.server === undefined ? undefined : existing(state.servers, 'server', given.server);
    if (server) actions.refuseWhileRunning('server', server.id);
    const location = server
      ? locationNamed(server.location)
      : findByIdOrName(locations, given.location ?? '');
    if (!location) throw invalidInput('location', 'a location is needed without a server, e.g. fsn1');
    const volume = state.volumes.add<VolumeRecord>({
      ...newRecord(cloud, given),
      size: given.size,
      location: location.name,
      format: given.format ?? null,
      server: null,
      protection: { delete: false },
    });
    const action = created([{ type: 'volume', id: volume.id }], {});
    const next = server
      ? [attached(onServer(server.id, volume.id), { volume: volume.id, server: server.id }, action)]
      : [];
    return {
      status: 201,
      body: { volume: volumeView(volume), action: actionView(action), next_actions: next.map(actionView) },
    };
  });

  routes.post('/volumes/:id/actions/attach', (call) => {
    const volume = wanted(kind, call);
    const given = parseBody(attachBody, call.body);
    const server = existing(state.servers, 'server', given.server);
    actions.refuseWhileRunning('server', server.id);
    refuseAttach(volume, server.location);
    return began(attached(onServer(server.id, volume.id), { volume: volume.id, server: server.id }));
  });

  const detached = actions.define<{ volume: number }>('volume/detach', {
    command: 'detach_volume',
    apply: (args) => {
      const volume = state.volumes.get(args.volume);
      if (volume) volume.server = null;
    },
  });
  routes.post('/volumes/:id/actions/detach', (call) => {
    const volume = wanted(kind, call);
    if (volume.server === null) throw invalidInput('id', `volume ${volume.id} is not attached`);
    actions.refuseWhileRunning('server', volume.server);
    return began(detached(onServer(volume.server, volume.id), { volume: volume.id }));
  });

  const resized = actions.define<{ volume: number; size: number }>('volume/resize', {
    command: 'resize_volume',
    apply: (args) => {
      const volume = state.volumes.get(args.volume);
      if (volume) volume.size = args.size;
    },
  });
  routes.post('/volumes/:id/actions/resize', (call) => {
    const volume = wanted(kind, call);
    const given = parseBody(resize, call.body);
    if (given.size <= volume.size) throw invalidInput('size', `must be larger than ${volume.size} GB`);
    actions.refuseWhileRunning('volume', volume.id);
    return began(resized([{ type: 'volume', id: volume.id }], { volume: volume.id, size: given.size }));
  });

  serveProtection(routes, cloud, kind);
}

/** @throws ApiError when the volume cannot be attached to a server in this location */
export function refuseAttach(volume: VolumeRecord, location: string): void {
  if (volume.server !== null) {
    throw new ApiError(
      'volume_already_attached',
      `volume ${volume.id} is attached to server ${volume.server}`,
    );
  }
  if (volume.location !== location) {
    throw invalidInput('server', `volume ${volume.id} is in ${volume.location}, the server in ${location}`);
  }
}

function volumeView(volume: VolumeRecord) {
  const { id, name, labels, created, size, format, server, protection } = volume;
  return {
    id,
    name,
    labels,
    created,
    size,
    format,
    server,
    protection,
    status: 'available',
    location: locationNamed(volume.location),
    linux_device: `/dev/disk/by-id/scsi-0HC_Volume_${id}`,
  };
}
