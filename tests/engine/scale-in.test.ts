import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSchool, type School } from './school';

let school: School;
beforeAll(async () => {
  school = await startSchool({ recorderCount: 15 });
  const { code, stdout, stderr } = await school.up();
  expect(code, stdout + stderr).toBe(0);
}, 900_000);
afterAll(() => school?.close());

test('15 → 3: all twelve leavers stop taking lessons before the first wait, and each server waits for its own drain', async () => {
  const ids = new Map((await school.servers()).map(({ name, id }) => [name, id]));
  const mark = (await school.commands()).at(-1)!.n;
  await school.fault({
    onCommand: { phase: 'delete', nth: 'every' },
    then: { exitCode: 0, takesMs: 700 },
  });
  school.set({ recorderCount: 3 });
  const { code, stdout, stderr } = await school.up();
  expect(code, stdout + stderr).toBe(0);

  const ran = (await school.commands()).filter(({ n }) => n > mark);
  const roster = ran.find(({ command }) => command === 'platform-roster')!;
  const drains = ran.filter(({ phase }) => phase === 'delete');
  expect(drains).toHaveLength(12);
  for (const drain of drains) expect(drain.startedAt >= roster.endedAt, drain.command).toBe(true);
  // The engine runs as many at a time as it likes; the roster is what stops them all at once.
  const requests = await school.requests();
  for (const drain of drains) {
    const [, name] = drain.command.split(' ');
    const gone = requests.find(
      ({ method, path }) => method === 'DELETE' && path === `/v1/servers/${ids.get(name!)}`,
    )!;
    expect(gone.at >= drain.endedAt, `${name} deleted after its drain`).toBe(true);
  }
  expect((await school.servers()).map(({ name }) => name).sort()).toEqual([
    'jitsi-1',
    'recorder-1',
    'recorder-2',
    'recorder-3',
  ]);
  const groups = (await school.api('GET', '/placement_groups')) as { placement_groups: unknown[] };
  expect(groups.placement_groups).toHaveLength(1);
}, 300_000);
