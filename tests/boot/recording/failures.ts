import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { act, booted, type Api } from '../booted-cloud';
import type { Recorded } from './recorded';

/**
 * The longest time from a lost recorder to the recording that goes on elsewhere, seconds. Of one that is silent Prosody
 * gives the link up after twice 40 s and 15 s of hibernation; the rest is for a machine that does other things as well.
 */
const NOTICED_SECONDS = 180;

/** What may break while a lesson is recorded: it is recorded on, and what there was is kept. */
export function failureSuite(recorded: () => Recorded): void {
  /** A lesson that is recorded, for some seconds already. */
  const running = async (room: string) => {
    const school = recorded();
    const teacher = await school.join(room);
    const on = await school.tells(room, 'recording.on');
    await sleep(5000);
    return { school, teacher, on, recorder: school.recorderOf(on) };
  };

  test('power off of a recorder: recorded on elsewhere, and its cut file is stored when it is back', async () => {
    const { school, on, recorder } = await running('power');
    const api: Api = (method, path, body) =>
      school.school.api(method, path.slice('/v1'.length), body) as never;
    await act(api, recorder.host.id, 'poweroff');
    const next = await school.tells('power', 'recording.on', 2, NOTICED_SECONDS);
    expect(school.recorderOf(next).name).not.toBe(recorder.name);
    await sleep(5000);
    await school.endAll();
    await school.stored('power');
    await act(api, recorder.host.id, 'poweron');
    await booted(recorder.host.place, recorder.host.id);
    const [cut, whole] = await school.stored('power', 2);
    expect(cut).toMatchObject({
      ...{ complete: false, session: on.data['session'] },
      ...{ lesson: 'lesson-power', room: 'power', recorder: recorder.name },
    });
    // Fragments of two seconds.
    expect(cut!.durationMs).toBeGreaterThan(2000);
    expect(whole).toMatchObject({ complete: true });
    await school.quiet();
  });

  if (process.env['TIER'] !== 'rehearsal') return;

  test('killing ffmpeg: recorded on as a further part, and the part that was cut is kept', async () => {
    const { school, recorder } = await running('ffmpeg');
    await recorder.host.run(`pkill -KILL -u jibri-${recorder.instance} -x ffmpeg`);
    await school.tells('ffmpeg', 'recording.on', 2);
    await sleep(5000);
    await school.endAll();
    const parts = await school.stored('ffmpeg', 2);
    expect(parts.map(({ complete }) => complete)).toEqual([false, true]);
    for (const { lesson, durationMs } of parts) {
      expect(lesson).toBe('lesson-ffmpeg');
      expect(durationMs).toBeGreaterThan(2000);
    }
    await school.quiet();
  });

  test('a restart of Jicofo: no recorder goes on unseen beside the new one', async () => {
    const { school, teacher } = await running('jicofo');
    await school.jitsi.run('systemctl restart jicofo');
    await school.tells('jicofo', 'recording.off');
    // The web page asks again, until it comes.
    for (let tries = 0; !(await teacher.callFocus()); tries++) {
      if (tries === 30) throw new Error('Jicofo does not come back');
      await sleep(2000);
    }
    await school.tells('jicofo', 'recording.on', 2);
    await sleep(3000);
    const states = await Promise.all(Object.keys(school.recorders).map((name) => school.status(name)));
    const busy = states.flatMap(({ instances }) => instances).filter(({ state }) => state === 'busy');
    expect(busy).toHaveLength(1);
    await school.endAll();
    const parts = await school.stored('jicofo', 2);
    expect(new Set(parts.map(({ session }) => session)).size).toBe(2);
    await school.quiet();
  });

  test('a restart of Prosody: what was recorded is stored, and the lesson that comes again is recorded again', async () => {
    const { school } = await running('prosody');
    await school.jitsi.run('systemctl restart prosody');
    await school.endAll();
    await school.quiet();
    await school.join('prosody');
    await school.tells('prosody', 'recording.on', 2);
    await sleep(3000);
    await school.endAll();
    await school.stored('prosody', 2);
    await school.quiet();
  });

  test('a recorder that vanishes without a word is noticed, and replaced', async () => {
    const { school, recorder } = await running('vanished');
    const silent = (hook: string, way: string) =>
      `chain ${hook} { type filter hook ${hook} priority -300; ${way} lo accept; drop; };`;
    await recorder.host.run(
      `nft 'table inet vanished { ${silent('input', 'iif')} ${silent('output', 'oif')} }'`,
    );
    const silentSince = Date.now();
    const next = await school.tells('vanished', 'recording.on', 2, NOTICED_SECONDS);
    const seconds = (Date.parse(next.timestamp) - silentSince) / 1000;
    process.stdout.write(`a silent recorder was replaced after ${seconds.toFixed(0)} s\n`);
    expect(school.recorderOf(next).name).not.toBe(recorder.name);
    await recorder.host.run('nft delete table inet vanished');
    await sleep(3000);
    await school.endAll();
    await school.stored('vanished', 2);
    await school.quiet();
  });
}
