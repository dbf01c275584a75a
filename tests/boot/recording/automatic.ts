import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { START_SECONDS, type Recorded } from './recorded';

/** From the first moderator to the object in the store, with nobody who presses a button. */
export function automaticSuite(recorded: () => Recorded): void {
  test('a lesson is recorded from its first moderator into the store, and the app hears of each step', async () => {
    const school = recorded();
    const pupil = await school.join('algebra', false);
    const teacher = await school.join('algebra');
    const on = await school.tells('algebra', 'recording.on');
    await sleep(5000);
    const { name, instance } = school.recorderOf(on);
    expect((await school.status(name)).instances[Number(instance) - 1]).toEqual({
      name: instance,
      state: 'busy',
      lesson: 'algebra',
      since: expect.stringMatching(/^20\d\d-.*Z$/) as string,
    });
    await school.leave(teacher);
    await school.leave(pupil);
    const [meta] = await school.stored('algebra');
    expect(meta).toMatchObject({
      lesson: 'lesson-algebra',
      room: 'algebra',
      shard: school.entrance.domain,
      session: on.data['session'],
      recorder: name,
      instance: Number(instance),
      complete: true,
    });
    // By the server's clock, from its start on.
    const moment = (text: string): number => Date.parse(text);
    expect(meta!.durationMs).toBeGreaterThanOrEqual(5000);
    expect(Math.abs(moment(meta!.endedAt) - moment(meta!.startedAt) - meta!.durationMs)).toBeLessThan(2);
    expect(Math.abs(moment(meta!.startedAt) - moment(on.timestamp))).toBeLessThan(START_SECONDS * 1000);

    const events = school.told('algebra').filter(({ type }) => !type.endsWith('.stored'));
    const sequences = events.map(({ data }) => data.sequence);
    expect(sequences).toEqual([...sequences].sort((one, other) => one - other));
    const types = events.map(({ type }) => type);
    expect(types.slice(0, 2)).toEqual(['room.created', 'occupant.joined']);
    expect(types.filter((type) => type.startsWith('recording.'))).toEqual([
      ...['recording.requested', 'recording.on', 'recording.off'],
    ]);
    // Not before the teacher was there.
    const joins = events.filter(({ type }) => type === 'occupant.joined');
    expect(joins).toHaveLength(2);
    const requested = events.find(({ type }) => type === 'recording.requested')!;
    expect(requested.data.sequence).toBeGreaterThan(joins[1]!.data.sequence);
    school.expectGoodEvents();
    const waited = (moment(on.timestamp) - moment(joins[1]!.timestamp)) / 1000;
    process.stdout.write(`first moderator to recording on: ${waited.toFixed(1)} s\n`);
  });

  test('a lesson that asks for no recording is not recorded', async () => {
    const school = recorded();
    const teacher = await school.join('break', true, false);
    await school.tells('break', 'occupant.joined');
    await sleep(3000);
    await school.leave(teacher);
    await school.tells('break', 'room.destroyed');
    expect(school.told('break').filter(({ type }) => type.startsWith('recording.'))).toEqual([]);
  });
}
