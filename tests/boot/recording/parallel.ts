import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Recorded } from './recorded';

/** As many lessons as there are recorder instances, and one more. */
export function parallelSuite(recorded: () => Recorded, instances: number): void {
  test(`${instances} lessons are recorded at once; the next is told that all are busy, and starts when one is free`, async () => {
    const school = recorded();
    const rooms = Array.from({ length: instances }, (_, index) => `parallel-${index + 1}`);
    const lessons = await Promise.all(rooms.map((room) => school.join(room)));
    const on = await Promise.all(rooms.map((room) => school.tells(room, 'recording.on')));
    expect(new Set(on.map(({ data }) => data['recorder'])).size).toBe(instances);

    await school.join('waiting');
    const failed = await school.tells('waiting', 'recording.failed');
    expect(failed.data).toMatchObject({ reason: 'busy', retrying: true });
    const check = await school.jitsi.attempt('/usr/local/lib/platform/checks/35-recorders');
    expect(check.stdout).toMatch(
      new RegExp(`0 instances idle, ${instances} busy\nall recorders are busy: the next lesson waits`),
    );
    expect(school.told('waiting', 'recording.on')).toEqual([]);

    await school.end(lessons[0]!);
    const late = await school.tells('waiting', 'recording.on');
    expect(late.data['recorder']).toBe(on[0]!.data['recorder']);
    await sleep(5000);
    await school.endAll();
    for (const room of [...rooms, 'waiting']) {
      const [meta] = await school.stored(room);
      expect(meta).toMatchObject({ lesson: `lesson-${room}`, room, complete: true });
    }
    school.expectGoodEvents();
    await school.quiet();
  });
}
