/** Groups whose servers the service puts on different physical hosts (ten at most in a spread group). */
import { list, number, required, text } from '../properties';
import { resourceFor } from '../resource';
import type { HetznerClient } from './client';
import { labels } from './labels';

interface ApiPlacementGroup {
  id: number;
  name: string;
  type: string;
  labels: Record<string, string>;
  servers: number[];
}

const stateOf = (group: ApiPlacementGroup) => ({
  name: group.name,
  type: group.type,
  labels: group.labels,
  servers: group.servers,
});

export const placementGroup = resourceFor<HetznerClient>()({
  inputs: { labels: labels(), name: text(), type: required(text({ replaces: true, oneOf: ['spread'] })) },
  outputs: { servers: list(number()) },
  reports: 'details',
  autoName: true,
  deletesFirstWhenNamed: true,
  async create({ client, inputs }) {
    const { placement_group } = await client.request<{ placement_group: ApiPlacementGroup }>(
      'POST',
      '/placement_groups',
      { name: inputs.name, type: inputs.type, ...(inputs.labels && { labels: inputs.labels }) },
    );
    return { id: String(placement_group.id), state: stateOf(placement_group) };
  },
  async read({ client, id }) {
    const found = await client.find<{ placement_group: ApiPlacementGroup }>(`/placement_groups/${id}`);
    return found && { state: stateOf(found.placement_group) };
  },
  async update({ client, id, inputs }) {
    const { placement_group } = await client.request<{ placement_group: ApiPlacementGroup }>(
      'PUT',
      `/placement_groups/${id}`,
      { name: inputs.name, labels: inputs.labels ?? {} },
    );
    return stateOf(placement_group);
  },
  async delete({ client, id }) {
    await client.remove(`/placement_groups/${id}`, ['resource_in_use']);
  },
});
