import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../booted-cloud';
import type { Recorded } from './recorded';

/** Recorders that leave while they record. */
export function scalingSuite(recorded: () => Recorded): void {
  const names = async ({ school }: Recorded): Promise<string[]> =>
    (await school.servers()).map(({ name }) => name).filter((name) => name.startsWith('recorder-'));

  test('scale-in to one: what leaves takes no lesson, ends what it records, and goes when all is stored', async () => {
    const school = recorded();
    const all = Object.keys(school.recorders);
    const leavers = all.filter((name) => name !== 'recorder-1');
    // Until each recorder records.
    const on: Record<string, string> = {};
    for (let number = 1; Object.keys(on).length < all.length; number++) {
      const room = `scale-${number}`;
      const lesson = await school.join(room);
      on[school.recorderOf(await school.tells(room, 'recording.on')).name] ??= room;
      void lesson;
    }
    const last = on[leavers.at(-1)!]!;

    school.school.set({ recorderCount: 1 });
    const refused = await school.school.up();
    expect(refused.code).not.toBe(0);
    expect(refused.stdout).toMatch(
      new RegExp(`${leavers.at(-1)} still records ${last} since 20\\d\\d-.*Z \\(instance \\d\\).* after 1 min; nothing was deleted`),
    ); // prettier-ignore
    expect(await names(school)).toEqual(all);
    for (const name of leavers) {
      expect((await school.status(name)).draining).toBe(true);
    }
    // The one that stays takes what comes now.
    await school.end(...school.inRoom(on['recorder-1']!));
    const room = 'scale-late';
    await school.join(room);
    expect(school.recorderOf(await school.tells(room, 'recording.on')).name).toBe('recorder-1');

    const again = school.school.up();
    await sleep(3000);
    await school.endAll();
    const { code, stdout } = await again;
    expect(code, stdout).toBe(0);
    expect(await names(school)).toEqual(['recorder-1']);
    for (const name of leavers) delete school.recorders[name];
    for (const room of school.rooms('scale-')) await school.stored(room);
    await until(
      'recorder-1 is idle',
      () => school.status('recorder-1'),
      ({ uploads }) => uploads === 0,
    );
    school.expectGoodEvents();
  });

  if (process.env['TIER'] !== 'rehearsal') return;

  test('destroy waits for a recording, names it, and goes through when it has ended', async () => {
    const school = recorded();
    const teacher = await school.join('last');
    await school.tells('last', 'recording.on');
    const destroy = () => school.school.run('destroy', '--yes', '--stack', school.school.stack);
    const refused = await destroy();
    expect(refused.code).not.toBe(0);
    expect(refused.stdout).toMatch(/recorder-1 still records last since .* after 1 min; nothing was deleted/);
    expect(await teacher.isAlive()).toBe(true);
    await school.endAll();
    const { code, stdout } = await destroy();
    expect(code, stdout).toBe(0);
    expect(await school.school.servers()).toEqual([]);
    await school.stored('last');
  });
}
