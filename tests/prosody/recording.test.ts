import type { Element } from 'ltx';
import { expect, it } from 'vitest';
import { contract } from '../contracts';
import type { Told } from './app';
import { onBoth } from './both';
import type { Circumstances, Lab, Person } from './lab';
import { until } from './processes';
import { busy, jibri, pending, recorders, ScriptedRecorder } from './scripted-recorder';
import { BREWERY, DOMAIN, FOCUS, JIBRI_PASSWORD } from './school';
import { account, errorOf, type Client } from '../../local/join/client';

// Lessons that the server records by itself, with the stand-in focus and recorders that answer what a test says.

const JIBRI = 'http://jitsi.org/protocol/jibri';
const START = { action: 'start', recording_mode: 'file', app_data: '{}' };
const STOP = { action: 'stop', recording_mode: 'file' };

const OPTIONS =
  ['retry = 0.2', 'longest_retry = 0.5'].map((each) => `    lesson_recording_${each}\n`).join('') +
  '    lesson_events_retry = 0.2\n';

const circumstances = (focus: string[] = [], more: [string, string][] = []): Circumstances => ({
  accounts: [['auth', 'jibri', JIBRI_PASSWORD]],
  focus: ['--reply-timeout', '60', '--pending-timeout', '120', '--failure-timeout', '1', ...focus],
  config: [
    ['    lesson_recording_start', `${OPTIONS}    lesson_recording_start`],
    ['lesson_recording_stop_grace = 300', 'lesson_recording_stop_grace = 1.5'],
    ...more,
  ],
});

const start = (policy: string): [string, string] => [
  'lesson_recording_start = "first-moderator"',
  `lesson_recording_start = "${policy}"`,
];
const mayRecord: [string, string] = [
  'lesson_recording_moderators_may_record = false',
  'lesson_recording_moderators_may_record = true',
];

const features = (recording: boolean) => ({
  context: { user: { id: 'u', name: 'Ada' }, features: { recording, livestreaming: false } },
});
const recorded = (more: Record<string, unknown> = features(false)): Person => ({
  claims: { lesson: { id: 'L-1', recording: true }, ...more },
});

const ofRecording = (lab: Lab, room: string): Told[] =>
  lab.app.of(room).filter(({ type }) => type.startsWith('recording.'));
const kinds = (lab: Lab, room: string): string[] =>
  ofRecording(lab, room).map(({ type, data }) => [type.slice(10), data.reason].filter(Boolean).join(' '));

/** What the app was told of a room's recording so far ends like this, now or later. */
async function told(lab: Lab, room: string, ...expected: string[]): Promise<Told> {
  const last = () => kinds(lab, room).slice(-expected.length).join(', ');
  await until(`${room}: ${expected.join(', ')}`, () => last() === expected.join(', ')).catch(
    (error: Error) => {
      throw new Error(`${error.message}; it is ${kinds(lab, room).join(', ')}`);
    },
  );
  const problems = contract('event');
  expect(lab.app.told.flatMap(({ id: _, ...body }) => problems(body))).toEqual([]);
  return ofRecording(lab, room).at(-1)!;
}

function status(client: Client, room: string): Record<string, string> | undefined {
  const said = client
    .seen(room, 'focus')
    .map(({ element }) => element.getChild('jibri-recording-status', JIBRI))
    .filter((each): each is Element => each !== undefined);
  return said.at(-1)?.attrs;
}

const sees = (client: Client, room: string, value: string) =>
  until(`${room} is told ${value}`, () => status(client, room)?.status === value);

/** Messages of the server to one client. */
const messages = (client: Client): string[] =>
  client.stanzas
    .map((stanza) => stanza.getChildText('json-message'))
    .filter((text): text is string => text !== null && text.includes('system_chat_message'))
    .map((text) => (JSON.parse(text) as { message: string }).message);

/** A recorder that was asked says that it records. */
async function on(recorder: ScriptedRecorder, number = 1): Promise<string> {
  const { session } = await recorder.started(number);
  // An answer has to be there before: a recorder says pending first.
  expect(await recorder.tell({ status: 'on' })).toBeUndefined();
  return session;
}

onBoth('a lesson that records itself', circumstances(), (place) => {
  const join = recorders(place);

  it('from its first moderator until the last one has been gone for the grace time', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const pupil = await lab.pupil(room, recorded());
    await lab.enter(pupil, room, 'pupil');
    await until('the app knows the pupil', () => lab.app.of(room).length === 2);
    expect(recorder.asked).toEqual([]);
    const teacher = await lab.teacher(room, recorded());
    await lab.enter(teacher, room, 'teacher');
    const { element } = await recorder.started();
    const data = element.getChild('jibri')!.attrs.app_data as string;
    expect(JSON.parse(data)).toEqual({
      file_recording_metadata: { share: true, lesson: 'L-1', room: room.split('@')[0] },
    });
    const session = await on(recorder);
    await sees(pupil, room, 'on');
    expect(status(pupil, room)).toMatchObject({ session_id: session, initiator: room });
    expect((await told(lab, room, 'requested', 'on')).data).toMatchObject({
      lesson: 'L-1',
      session,
      recorder: recorder.nick,
    });
    const kept = JSON.parse(lab.role.read(`/var/lib/prosody/lesson-recordings/${session}.json`)) as unknown;
    const { meeting } = lab.app.of(room)[0]!.data;
    expect(kept).toEqual({ lesson: 'L-1', room: room.split('@')[0], meeting, shard: DOMAIN });
    // Who comes later is told with the entry.
    const late = await lab.pupil(room, recorded());
    await late.join(room, 'late');
    expect(status(late, room)).toMatchObject({ status: 'on', session_id: session });
    // A moderator who comes back in time changes nothing.
    await teacher.leave(room, 'teacher');
    const again = await lab.teacher(room, recorded());
    await again.join(room, 'again');
    const left = Date.now();
    await again.leave(room, 'again');
    expect((await recorder.stopped()).session).toBe(session);
    expect(Date.now() - left).toBeGreaterThan(1400);
    expect(recorder.stops).toHaveLength(1);
    await sees(pupil, room, 'off');
    await told(lab, room, 'requested', 'on', 'off lesson-ended');
    // It begins anew with a moderator, and not with a pupil.
    const another = await lab.pupil(room, recorded());
    await another.join(room, 'another');
    await another.settled();
    expect(recorder.starts).toHaveLength(1);
    await recorder.say('idle');
    await (await lab.teacher(room, recorded())).join(room, 'third');
    expect((await recorder.started(2)).session).not.toBe(session);
  });

  it.each([
    ['without a lesson', {}],
    ['whose token does not ask for it', { lesson: { id: 'L-1', recording: false } }],
    ['whose token says it in another way', { lesson: { id: 'L-1', recording: 'true' } }],
  ])('is not one %s', async (_, claims) => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    await lab.enter(await lab.teacher(room, { claims }), room, 'teacher');
    await until('the app knows the teacher', () => lab.app.of(room).length === 2);
    await lab.enter(await lab.pupil(room, { claims }), room, 'pupil');
    await until('the app knows the pupil', () => lab.app.of(room).length === 3);
    expect(recorder.asked).toEqual([]);
  });

  it('a busy pool is tried again, which the app and the moderators are told once', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    await recorder.say('busy');
    const pupil = await lab.pupil(room, recorded());
    await lab.enter(pupil, room, 'pupil');
    const teacher = await lab.teacher(room, recorded());
    await teacher.join(room, 'teacher');
    expect((await told(lab, room, 'requested', 'failed busy')).data).toMatchObject({
      session: null,
      retrying: true,
    });
    await until('busy is counted again', async () =>
      /lesson_recording__attempts_total\{host="conference\.\S+",result="busy"\} [3-9]/.test(
        await lab.metrics(),
      ),
    );
    const second = await lab.teacher(room, recorded());
    await second.join(room, 'second');
    await recorder.say('idle');
    await on(recorder);
    await told(lab, room, 'requested', 'failed busy', 'on');
    await until('teachers are told', () => messages(teacher).length + messages(second).length === 4);
    for (const client of [teacher, second]) {
      expect(messages(client)[0]).toMatch(/все серверы записи заняты[^]*all recorders are busy/);
      expect(messages(client)[1]).toMatch(/Запись идёт/);
    }
    await pupil.settled();
    expect(messages(pupil)).toEqual([]);
    expect(await lab.metrics()).toMatch(/lesson_recording__running\S* 1$/m);
  });

  it('begins when the first recorder is there', async () => {
    const { lab } = place;
    const room = lab.room();
    await lab.enter(await lab.teacher(room, recorded()), room, 'teacher');
    await told(lab, room, 'requested', 'failed no-recorder');
    await on(await join());
    await told(lab, room, 'requested', 'failed no-recorder', 'on');
  });

  it('a recorder that refuses or dies is followed by another: a further part of the session', async () => {
    const { lab } = place;
    const room = lab.room();
    const [first, second] = [await join(), await join()];
    await lab.enter(await lab.teacher(room, recorded()), room, 'teacher');
    await until('one is asked', () => first.starts.length + second.starts.length === 1);
    const [one, other] = first.starts.length > 0 ? [first, second] : [second, first];
    const session = await on(one);
    await told(lab, room, 'requested', 'on');
    one.drop();
    expect(await on(other)).toBe(session);
    expect((await told(lab, room, 'requested', 'on', 'on')).data).toMatchObject({
      session,
      recorder: other.nick,
    });
  });

  it('a recorder that fails for good, or ends by itself, is followed by a recording of its own', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    await lab.enter(await lab.teacher(room, recorded()), room, 'teacher');
    const sessions = [await on(recorder)];
    await recorder.tell({ status: 'off', failure_reason: 'error', should_retry: 'false' });
    await recorder.say('idle');
    sessions.push(await on(recorder, 2));
    await told(lab, room, 'requested', 'on', 'failed recorder-failed', 'requested', 'on');
    await recorder.tell({ status: 'off' });
    await recorder.say('idle');
    sessions.push(await on(recorder, 3));
    await told(lab, room, 'on', 'off ended-by-recorder', 'requested', 'on');
    expect(new Set(sessions).size).toBe(3);
  });

  it('an empty room is not recorded anew', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const teacher = await lab.teacher(room, recorded());
    await lab.enter(teacher, room, 'teacher');
    await recorder.started();
    const inside = await lab.recorder();
    await inside.join(room, 'recorder');
    await on(recorder);
    await told(lab, room, 'requested', 'on');
    await teacher.leave(room, 'teacher');
    await recorder.tell({ status: 'off' });
    await recorder.say('idle');
    await told(lab, room, 'off lesson-ended');
    // The next room is asked for at once; this one would have been before.
    const next = lab.room();
    await lab.enter(await lab.teacher(next, recorded()), next, 'teacher');
    expect((await recorder.started(2)).element.getChild('jibri')!.attrs.room).toBe(next);
  });

  it('ends with its room', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const teacher = await lab.teacher(room, recorded());
    await lab.enter(teacher, room, 'teacher');
    await on(recorder);
    await told(lab, room, 'requested', 'on');
    await teacher.iq('set', room, "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>");
    await recorder.stopped();
    await told(lab, room, 'off room-destroyed');
    await until('the room is gone', () => lab.app.of(room).at(-1)!.type === 'room.destroyed');
  });

  it('never two at once when focus restarts while a recorder goes on', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const teacher = await lab.teacher(room, recorded());
    await lab.enter(teacher, room, 'teacher');
    await recorder.started();
    const inside = await lab.recorder();
    await inside.join(room, 'recorder');
    const session = await on(recorder);
    await told(lab, room, 'requested', 'on');
    await lab.restartFocus();
    // The recorder is shown out, which ends its recording.
    await until('the recorder is out', () => inside.standing(room, 'recorder') === undefined);
    await told(lab, room, 'requested', 'on', 'off focus-lost');
    await recorder.say('idle');
    expect(recorder.starts).toHaveLength(1);
    await teacher.conference(room);
    expect(await on(recorder, 2)).not.toBe(session);
    await told(lab, room, 'off focus-lost', 'requested', 'on');
  });

  it('a recorder that has not come into the room yet is stopped when focus is gone', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    await lab.enter(await lab.teacher(room, recorded()), room, 'teacher');
    await on(recorder);
    await told(lab, room, 'requested', 'on');
    await lab.restartFocus();
    await recorder.stopped();
  });

  it('a start that was refused is begun for nobody', async () => {
    const { lab } = place;
    const room = lab.room();
    const refusing = await join(busy);
    await lab.enter(await lab.teacher(room, recorded()), room, 'teacher');
    await told(lab, room, 'requested', 'failed busy');
    const ghosts = new Set(refusing.starts.map(({ session }) => session));
    await refusing.say('busy');
    const good = await join();
    ghosts.delete(await on(good));
    await good.say('busy');
    await told(lab, room, 'on');
    const idle = await join();
    // Jicofo now starts another one with the session that it refused.
    for (const { session } of refusing.starts) ghosts.add(session);
    refusing.close();
    await lab.logged('A refused session is not begun');
    const next = lab.room();
    await lab.enter(await lab.teacher(next, recorded()), next, 'teacher');
    const { session, element } = await idle.started();
    expect(element.getChild('jibri')!.attrs.room).toBe(next);
    expect(ghosts.has(session)).toBe(false);
    expect(idle.starts).toHaveLength(1);
  });

  it('a new lesson after an end of Prosody is recorded anew', async () => {
    const { lab } = place;
    const room = lab.room();
    // Focus does not see it go: it ends with Prosody.
    const before = await ScriptedRecorder.join(lab, pending);
    await lab.enter(await lab.teacher(room, recorded()), room, 'teacher');
    const session = await on(before);
    await told(lab, room, 'requested', 'on');
    await lab.restartProsody('SIGKILL');
    const recorder = await join();
    await lab.enter(await lab.teacher(room, recorded()), room, 'teacher');
    // Focus may come into the brewery later than people into the room: no recorder is there until then.
    expect(await on(recorder)).not.toBe(session);
    await until('it is on again', () => kinds(lab, room).filter((kind) => kind === 'on').length === 2);
    expect(lab.role.exists(`/var/lib/prosody/lesson-recordings/${session}.json`)).toBe(true);
  }, 90_000);

  it('no person can stop or start it, on any road', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const teacher = await lab.teacher(room, recorded(features(true)));
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room, recorded(features(true)));
    await pupil.join(room, 'pupil');
    await recorder.started();
    const inside = await lab.recorder();
    await inside.join(room, 'recorder');
    const session = await on(recorder);
    await told(lab, room, 'requested', 'on');
    const recording = (await recorder.started()).element.attrs.to as string;
    const roads = [`${room}/focus`, room, `focus.${DOMAIN}`, `${FOCUS}/focus`, recording, `${BREWERY}/focus`];
    for (const client of [teacher, pupil]) {
      for (const to of [...roads, recorder.occupant, `${room}/recorder`]) {
        for (const request of [START, STOP, { ...STOP, session_id: session }]) {
          expect({ to, error: errorOf(await client.iq('set', to, jibri(request))) }).toEqual({
            to,
            error: 'forbidden',
          });
        }
      }
    }
    // Nor by showing the recorder out.
    const jid = account(inside.jid);
    expect(await teacher.admin(room, { nick: 'recorder', role: 'none' })).toBe('not-allowed');
    expect(await teacher.admin(room, { jid, affiliation: 'outcast' })).toBe('not-allowed');
    await teacher.settled();
    expect(recorder.asked).toHaveLength(1);
    expect(status(teacher, room)?.status).toBe('on');
    expect(teacher.standing(room, 'recorder')).toBeDefined();
  });
});

onBoth('a recording that does not begin', circumstances(['--pending-timeout', '1.5']), (place) => {
  const join = recorders(place);

  it('is given up and asked for anew', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const teacher = await lab.teacher(room, recorded());
    await lab.enter(teacher, room, 'teacher');
    const { session } = await recorder.started();
    expect((await recorder.stopped()).session).toBe(session);
    expect((await told(lab, room, 'requested', 'failed never-on')).data).toMatchObject({
      session,
      recorder: recorder.nick,
    });
    await recorder.say('idle');
    await on(recorder, 2);
    await told(lab, room, 'requested', 'failed never-on', 'on');
    expect(messages(teacher)[0]).toMatch(/Запись не идёт/);
  });
});

onBoth(
  'a recorder that is silent',
  circumstances(['--reply-timeout', '1', '--num-retries', '0']),
  (place) => {
    const join = recorders(place);

    it('and begins too late is stopped', async () => {
      const { lab } = place;
      const room = lab.room();
      const recorder = await join('silence');
      await lab.enter(await lab.teacher(room, recorded()), room, 'teacher');
      await told(lab, room, 'requested', 'failed refused');
      const stops = recorder.stops.length;
      await recorder.tell({ status: 'on' });
      await recorder.stopped(stops + 1);
    });
  },
);

onBoth('a focus that checks for moderators', circumstances(['--moderator-checks']), (place) => {
  const join = recorders(place);

  it('is asked in the name of one, and without one the recorder is shown out', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const teacher = await lab.teacher(room, recorded());
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room, recorded());
    await pupil.join(room, 'pupil');
    await recorder.started();
    const inside = await lab.recorder();
    await inside.join(room, 'recorder');
    await on(recorder);
    await sees(pupil, room, 'on');
    expect(status(pupil, room)).toMatchObject({ initiator: `${room}/teacher` });
    await teacher.leave(room, 'teacher');
    await until('the recorder is out', () => inside.standing(room, 'recorder') === undefined);
    await recorder.tell({ status: 'off' });
    await told(lab, room, 'requested', 'on', 'off lesson-ended');
  });
});

onBoth('from the first person', circumstances([], [start('first-person')]), (place) => {
  const join = recorders(place);

  it('it begins, and goes on while a teacher is awaited', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const pupil = await lab.pupil(room, recorded());
    await lab.enter(pupil, room, 'pupil');
    await on(recorder);
    const teacher = await lab.teacher(room, recorded());
    await teacher.join(room, 'teacher');
    await teacher.leave(room, 'teacher');
    await recorder.stopped();
    await told(lab, room, 'requested', 'on', 'off lesson-ended');
  });
});

onBoth('from the first two', circumstances([], [start('first-two-occupants')]), (place) => {
  const join = recorders(place);

  it('it begins with the second', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    await lab.enter(await lab.teacher(room, recorded()), room, 'teacher');
    await until('the app knows the first', () => lab.app.of(room).length === 2);
    expect(recorder.asked).toEqual([]);
    await (await lab.pupil(room, recorded())).join(room, 'pupil');
    await on(recorder);
    await told(lab, room, 'requested', 'on');
  });
});

onBoth('by command', circumstances([], [start('command'), mayRecord]), (place) => {
  const join = recorders(place);

  it('a moderator starts and stops it, nobody else, and it carries the lesson', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const teacher = await lab.teacher(room, recorded(features(true)));
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room, recorded(features(true)));
    await pupil.join(room, 'pupil');
    const ask = (client: Client, request: Record<string, string>, to = `${room}/focus`) =>
      client.iq('set', to, jibri(request));
    expect(errorOf(await ask(pupil, START))).toBe('forbidden');
    expect(errorOf(await ask(teacher, STOP))).toBe('item-not-found');
    expect(errorOf(await ask(teacher, { ...START, recording_mode: 'stream', streamid: 's' }))).toBe(
      'forbidden',
    );
    expect(errorOf(await ask(teacher, START, `${FOCUS}/focus`))).toBe('forbidden');
    expect(recorder.asked).toEqual([]);
    const session = (await ask(teacher, START)).getChild('jibri', JIBRI)?.attrs.session_id as string;
    expect(await on(recorder)).toBe(session);
    expect((await recorder.started()).element.getChild('jibri')!.attrs.app_data).toContain('"lesson":"L-1"');
    expect(errorOf(await ask(teacher, START))).toBe('unexpected-request');
    expect(errorOf(await ask(pupil, STOP))).toBe('forbidden');
    expect((await ask(teacher, STOP)).attrs.type).toBe('result');
    await recorder.stopped();
    await told(lab, room, 'requested', 'on', 'off stopped');
    // With nobody free the answer says so, and it is tried on.
    await recorder.say('busy');
    expect(errorOf(await ask(teacher, START))).toBe('resource-constraint');
    await recorder.say('idle');
    await on(recorder, 2);
    await told(lab, room, 'off stopped', 'requested', 'failed busy', 'on');
  });

  it('a token without the feature does not', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const teacher = await lab.teacher(room, recorded());
    await lab.enter(teacher, room, 'teacher');
    expect(errorOf(await teacher.iq('set', `${room}/focus`, jibri(START)))).toBe('forbidden');
    expect(recorder.asked).toEqual([]);
  });
});

onBoth('by itself and by hand', circumstances([], [mayRecord]), (place) => {
  const join = recorders(place);

  it('what a moderator stopped stays stopped', async () => {
    const { lab } = place;
    const room = lab.room();
    const recorder = await join();
    const teacher = await lab.teacher(room, recorded(features(true)));
    await lab.enter(teacher, room, 'teacher');
    await on(recorder);
    await told(lab, room, 'requested', 'on');
    expect((await teacher.iq('set', `${room}/focus`, jibri(STOP))).attrs.type).toBe('result');
    await told(lab, room, 'requested', 'on', 'off stopped');
    await recorder.say('idle');
    await (await lab.teacher(room, recorded())).join(room, 'second');
    await until('the app knows the second', () => lab.app.of(room).at(-1)!.type === 'occupant.joined');
    expect(recorder.starts).toHaveLength(1);
  });
});
