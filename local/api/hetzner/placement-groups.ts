import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError } from '../errors';
import { labels, name, parseBody } from '../input';
import type { Routes } from '../routes';
import type { PlacementGroupRecord, State } from '../state';
import { newRecord, refuseTakenName, serveKind } from './kind';

const create = z.strictObject({ name, type: z.literal('spread'), labels: labels.optional() });

/** A spread group puts each of its servers on another physical host: ten at most. */
const MOST_SERVERS = 10;

export function placementGroupRoutes(routes: Routes, cloud: Cloud): void {
  const { state } = cloud.store;
  const records = state.placementGroups;
  serveKind<PlacementGroupRecord>(routes, cloud, {
    plural: 'placement_groups',
    type: 'placement_group',
    records,
    view: (group) => placementGroupView(group, state),
    filters: { type: (group, wanted) => wanted.includes(group.type) },
    refuseDelete: (group) => {
      const members = membersOf(group, state);
      if (members.length > 0) {
        throw new ApiError(
          'resource_in_use',
          `placement group ${group.id} is in use by server ${members.join(', ')}`,
        );
      }
    },
  });

  routes.post('/placement_groups', ({ body }) => {
    const given = parseBody(create, body);
    refuseTakenName(records, 'placement group', given.name);
    const group = records.add({ ...newRecord(cloud, given), type: given.type });
    return { status: 201, body: { placement_group: placementGroupView(group, state), action: null } };
  });
}

export function placementGroupView(group: PlacementGroupRecord, state: State) {
  const { id, name, labels, created, type } = group;
  return { id, name, labels, created, type, servers: membersOf(group, state) };
}

/** @throws ApiError `placement_error` when the group is full. */
export function refuseFull(group: PlacementGroupRecord, state: State): void {
  if (membersOf(group, state).length >= MOST_SERVERS) {
    throw new ApiError(
      'placement_error',
      `placement group ${group.id} holds ${MOST_SERVERS} servers already`,
    );
  }
}

function membersOf(group: PlacementGroupRecord, state: State): number[] {
  return state.servers.filter((server) => server.placementGroup === group.id).map(({ id }) => id);
}
