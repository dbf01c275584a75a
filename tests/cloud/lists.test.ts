import { describe, expect, test } from 'vitest';
import { parseLabelSelector } from '../../local/api/label-selector';
import { runningServer, startedCloud, type ErrorAnswer } from './local-cloud';

interface GroupList {
  placement_groups: { name: string }[];
  meta: { pagination: Record<string, number | null> };
}

describe('lists', () => {
  test('pages: the last, the one behind it, the size', async () => {
    const { hetzner } = await startedCloud();
    const names = Array.from({ length: 27 }, (_, i) => `g-${String(i).padStart(2, '0')}`);
    for (const name of names) await hetzner('POST', '/placement_groups', { name, type: 'spread' });
    const list = async (query: string) =>
      (await hetzner<GroupList>('GET', `/placement_groups?${query}`)).body;

    const first = await list('');
    expect(first.placement_groups).toHaveLength(25);
    expect(first.meta.pagination).toEqual({
      page: 1,
      per_page: 25,
      previous_page: null,
      next_page: 2,
      last_page: 2,
      total_entries: 27,
    });
    const last = await list('page=3&per_page=13&sort=name:desc');
    expect(last.placement_groups.map(({ name }) => name)).toEqual(['g-00']);
    expect(last.meta.pagination).toMatchObject({ previous_page: 2, next_page: null, last_page: 3 });
    const behind = await list('page=9');
    expect(behind.placement_groups).toEqual([]);
    expect(behind.meta.pagination).toMatchObject({ page: 9, next_page: null, total_entries: 27 });
    const none = await list('name=nobody');
    expect(none.meta.pagination).toMatchObject({ last_page: 1, total_entries: 0 });
  });

  test.each(['page=0', 'page=x', 'per_page=51', 'per_page=0', 'sort=colour', 'label_selector=a%20b'])(
    '%s is refused',
    async (query) => {
      const { hetzner } = await startedCloud();
      const { status, body } = await hetzner<ErrorAnswer>('GET', `/placement_groups?${query}`);
      expect(status).toBe(422);
      expect(body.error.code).toBe('invalid_input');
    },
  );

  test('actions are listed by id only, and by resource', async () => {
    const { hetzner } = await startedCloud();
    const server = await runningServer(hetzner, 'a');
    expect((await hetzner<ErrorAnswer>('GET', '/actions')).body.error.code).toBe('deprecated_api_endpoint');
    interface List {
      actions: { id: number; command: string; resources: unknown[] }[];
    }
    const ofServer = (await hetzner<List>('GET', `/servers/${server.id}/actions?sort=id`)).body.actions;
    expect(ofServer.map(({ command }) => command)).toEqual(['create_server', 'start_server']);
    const [one, two] = ofServer;
    const both = await hetzner<List>('GET', `/actions?id=${one!.id}&id=${two!.id}`);
    expect(both.body.actions).toHaveLength(2);
    expect(one?.resources).toEqual([{ id: server.id, type: 'server' }]);
  });
});

test.each([
  ['role', { role: '' }, true],
  ['role', {}, false],
  ['!role', {}, true],
  ['role=jitsi', { role: 'jitsi' }, true],
  ['role == jitsi', { role: 'jitsi' }, true],
  ['role!=jitsi', { role: 'bridge' }, true],
  ['role!=jitsi', {}, true],
  ['role!=jitsi', { role: 'jitsi' }, false],
  ['role in (jitsi, bridge)', { role: 'bridge' }, true],
  ['role in (jitsi)', {}, false],
  ['role notin (jitsi)', {}, true],
  ['role notin (jitsi,bridge),shard=1', { role: 'app', shard: '1' }, true],
  ['role notin (jitsi,bridge),shard=1', { role: 'bridge', shard: '1' }, false],
  ['example.org/role=jitsi', { 'example.org/role': 'jitsi' }, true],
  ['role=', { role: '' }, true],
  ['constructor', {}, false],
])('label selector %s on %j: %s', (selector, labels: Record<string, string>, fits) => {
  expect(parseLabelSelector(selector)(labels)).toBe(fits);
});

test.each(['=jitsi', 'role in jitsi', 'a,,b', 'a b', '!'])('%j is no label selector', (selector) => {
  expect(() => parseLabelSelector(selector)).toThrow('is not a label selector');
});
