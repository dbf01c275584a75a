import type { Element } from 'ltx';
import { expect, it } from 'vitest';
import { errorOf, escape, type Client } from '../../local/join/client';
import { onBoth, type Place } from './both';
import type { Circumstances } from './lab';
import { until } from './processes';
import { busy, jibri, pending, recorders, type Answer, type ScriptedRecorder } from './scripted-recorder';
import { BREWERY, CONFERENCE, DOMAIN, FOCUS, JIBRI_PASSWORD } from './school';

// The stand-in focus against what was measured of Jicofo, row by row: who may ask for a recording, each answer, what a
// recorder is asked, what the room sees, what becomes of each failure. Recorders here answer what a test tells them.
//
// Not focus's, and so not here: what Prosody refuses before focus is asked, and how soon it notices a silent link.

const JIBRI = 'http://jitsi.org/protocol/jibri';
const MUC_USER = 'http://jabber.org/protocol/muc#user';
const APP_DATA = '{"file_recording_metadata":{"share":true,"lesson":"L1"}}';
const START = { action: 'start', recording_mode: 'file', app_data: APP_DATA };
const STOP = { action: 'stop', recording_mode: 'file' };

const circumstances = (...focus: string[]): Circumstances => ({
  hostModule: 'from_inside',
  accounts: [['auth', 'jibri', JIBRI_PASSWORD]],
  // The platform's own module would stop what it did not ask for.
  config: [['        "lesson_recording";\n', '']],
  // No answer comes late on a busy machine.
  focus: ['--reply-timeout', '60', '--pending-timeout', '120', ...focus],
});

/** How the server asks in the room's name: the outcome as `session: …`, `result` or the error's type and condition. */
function asker(place: Place) {
  const send = async (from: string, attributes: Record<string, string>, to = `${FOCUS}/focus`) => {
    const answer = await place.lab.fromInside(
      `<iq xmlns='jabber:client' type='set' id='inside-${Math.random()}' from='${escape(from)}' to='${escape(to)}'>${jibri(attributes)}</iq>`,
    );
    if (!answer) return 'no answer';
    if (answer.attrs.type === 'error')
      return `${String(answer.getChild('error')?.attrs.type)}/${errorOf(answer)}`;
    const session = answer.getChild('jibri', JIBRI)?.attrs.session_id as string | undefined;
    return session ? `session ${session}` : 'result';
  };
  return {
    start: (from: string) => send(from, START),
    stop: (from: string) => send(from, STOP),
    send,
  };
}

/** What focus says of the recording in a room, to one client, in order. */
function statuses(client: Client, room: string): Record<string, string>[] {
  const said = client
    .seen(room, 'focus')
    .map(({ element }) => element.getChild('jibri-recording-status', JIBRI));
  return said
    .filter((status): status is Element => status !== undefined)
    .map(({ attrs }) => {
      const all = Object.entries<string>(attrs);
      return Object.fromEntries(all.filter(([name]) => name !== 'xmlns'));
    });
}

/** A room with somebody in it, whom focus knows. */
async function lesson({ lab }: Place, moderator = true): Promise<{ room: string; person: Client }> {
  const room = lab.room();
  const person = moderator ? await lab.teacher(room) : await lab.pupil(room);
  await lab.enter(person, room, 'first');
  return { room, person };
}

/** None is picked twice within a fifth of a second. */
const pickable = () => new Promise((resolve) => setTimeout(resolve, 300));

const session = (outcome: string): string => {
  expect(outcome).toMatch(/^session [\da-f-]{36}$/);
  return outcome.slice('session '.length);
};

onBoth('who may ask focus, with moderator checks', circumstances('--moderator-checks'), (place) => {
  const ask = asker(place);
  const join = recorders(place);

  it('a moderator in the room may; a participant, nobody, focus itself and the room may not', async () => {
    const { room } = await lesson(place);
    const pupil = await place.lab.pupil(room);
    await pupil.join(room, 'pupil');
    await join(pending);
    expect(await ask.start(`${room}/pupil`)).toBe('cancel/not-allowed');
    expect(await ask.start(`${room}/nobody`)).toBe('auth/forbidden');
    expect(await ask.start(`${room}/focus`)).toBe('auth/forbidden');
    expect(await ask.start(room)).toBe('auth/forbidden');
    session(await ask.start(`${room}/first`));
    expect(await ask.stop(`${room}/pupil`)).toBe('cancel/not-allowed');
    expect(await ask.stop(`${room}/first`)).toBe('result');
  });

  it('when the moderator who began it has left, nobody can stop it', async () => {
    const { room, person } = await lesson(place);
    const pupil = await place.lab.pupil(room);
    await pupil.join(room, 'pupil');
    const recorder = await join(pending);
    session(await ask.start(`${room}/first`));
    expect(await recorder.tell({ status: 'on' })).toBeUndefined();
    await person.leave(room, 'first');
    expect(await ask.stop(`${room}/first`)).toBe('auth/forbidden');
    expect(await ask.stop(`${room}/pupil`)).toBe('cancel/not-allowed');
    expect(recorder.stops).toEqual([]);
  });

  it('who is no room has no conference', async () => {
    const { room } = await lesson(place);
    await join(pending);
    expect(await ask.start(CONFERENCE)).toBe('cancel/item-not-found');
    expect(await ask.start(`endconference.${DOMAIN}`)).toBe('cancel/item-not-found');
    expect(await ask.start(place.lab.room())).toBe('cancel/item-not-found');
    expect(await ask.send(`${room}/first`, START, `focus.${DOMAIN}`)).toBe('cancel/item-not-found');
  });

  it('focus believes a presence that it alone was sent: a made-up moderator, a pupil who is none', async () => {
    const { room } = await lesson(place, false);
    await join(pending);
    const present = (nick: string) =>
      place.lab.fromInside(
        `<presence xmlns='jabber:client' from='${room}/${nick}' to='${FOCUS}/focus'><x xmlns='${MUC_USER}'><item affiliation='owner' role='moderator' jid='made-up@${DOMAIN}/x'/></x></presence>`,
      );
    await present('server');
    session(await ask.start(`${room}/server`));
    expect(await ask.stop(`${room}/server`)).toBe('result');
    await present('first');
    expect(await ask.stop(`${room}/first`)).toBe('cancel/item-not-found');
  });

  it('what a module sends into the room in the name of a client is answered to that client', async () => {
    const { room, person } = await lesson(place);
    const recorder = await join(pending);
    const from = person.stanzas.length;
    void ask.send(person.jid, START, `${room}/focus`).catch(() => undefined);
    const { session: id } = await recorder.started();
    const answer = await person.wait((stanza) => stanza.getChild('jibri')?.attrs.session_id === id, from);
    expect(answer.attrs).toMatchObject({ type: 'result', from: `${room}/focus`, to: person.jid });
  });
});

onBoth('a recording, by focus without moderator checks', circumstances('--no-moderator-checks'), (place) => {
  const ask = asker(place);
  const join = recorders(place);
  const several = async (count: number, answer?: Answer): Promise<ScriptedRecorder[]> => {
    const all: ScriptedRecorder[] = [];
    while (all.length < count) all.push(await join(answer));
    return all;
  };

  /** Focus has told the room all that it did before. */
  const settled = async (client: Client, room: string): Promise<void> => {
    await ask.send(`${room}/nobody`, { action: 'none' });
    await client.settled();
  };

  const recording = async (): Promise<{
    room: string;
    person: Client;
    id: string;
    recorder: ScriptedRecorder;
  }> => {
    const { room, person } = await lesson(place);
    const recorder = await join(pending);
    const id = session(await ask.start(room));
    await recorder.say('busy');
    expect(await recorder.tell({ status: 'on' })).toBeUndefined();
    return { room, person, id, recorder };
  };

  it('starts and stops for the bare room with only a pupil in it, and for a nick that nobody has', async () => {
    const { room } = await lesson(place, false);
    const recorder = await join(pending);
    session(await ask.start(room));
    expect(await ask.stop(room)).toBe('result');
    await recorder.stopped();
    await pickable();
    session(await ask.start(`${room}/nobody`));
    expect(await ask.stop(`${room}/nobody`)).toBe('result');
  });

  it('tells a recorder what Jicofo tells it, broken app data too', async () => {
    const { room } = await lesson(place);
    const recorder = await join(pending);
    const id = session(await ask.start(room));
    const trace = { trace_id: '0'.repeat(32), parent_id: '0'.repeat(16), trace_flags: '00' };
    const traced = ({ element }: { element: Element }) =>
      element.getChild('jibri', JIBRI)?.getChild('traceparent', 'jitsi:opentelemetry')?.attrs;
    const start = await recorder.started();
    expect(start.element.attrs.from).toBe(`${BREWERY}/focus`);
    expect(start.element.getChild('jibri', JIBRI)?.attrs).toEqual({
      xmlns: JIBRI,
      action: 'start',
      room,
      session_id: id,
      recording_mode: 'file',
      rtcstats_enabled: 'true',
      app_data: APP_DATA,
    });
    expect(traced(start)).toMatchObject(trace);
    expect(await ask.stop(room)).toBe('result');
    const stop = await recorder.stopped();
    expect(stop.element.getChild('jibri', JIBRI)?.attrs).toEqual({
      xmlns: JIBRI,
      action: 'stop',
      session_id: id,
    });
    expect(traced(stop)).toMatchObject(trace);
    await pickable();
    session(await ask.send(room, { ...START, app_data: '{"broken' }));
    expect((await recorder.started(2)).element.getChild('jibri')?.attrs.app_data).toBe('{"broken');
  });

  it('refuses a start with nobody to ask: no recorder, none that is idle and healthy', async () => {
    const { room, person } = await lesson(place);
    expect(await ask.start(room)).toBe('cancel/service-unavailable');
    const recorder = await join(pending);
    for (const [state, health] of [
      ['busy', 'healthy'],
      ['idle', 'unhealthy'],
      ['expired', 'healthy'],
      [undefined, 'healthy'],
      ['idle', ''],
    ] as const) {
      await recorder.say(state, health);
      expect(await ask.start(room), `${state} and ${health}`).toBe('wait/resource-constraint');
    }
    // A presence that does not speak of it keeps the old state.
    await recorder.say('busy');
    await recorder.present('');
    expect(await ask.start(room)).toBe('wait/resource-constraint');
    await recorder.say('idle');
    await recorder.present('');
    session(await ask.start(room));
    // None of the refused ones showed in the room, nor does one that is pending.
    await settled(person, room);
    expect(statuses(person, room)).toEqual([]);
  });

  it.each<[string, Answer]>([
    ['busy', busy],
    ['an error', { status: 'off', failure_reason: 'error', should_retry: 'false' }],
    ['on at once', { status: 'on' }],
    ['an IQ error', { error: 'internal-server-error' }],
  ])('a recorder that answers a start with %s has failed, and the next is asked', async (_, answer) => {
    const { room } = await lesson(place);
    const refusing = await join(answer);
    expect(await ask.start(room)).toBe('wait/resource-constraint');
    const refused = (await refusing.started()).session;
    const good = await join(pending);
    const id = session(await ask.start(room));
    expect((await good.started()).session).toBe(id);
    expect(id).not.toBe(refused);
    // It is not picked for a minute, unless it says anew that it is idle.
    expect(refusing.starts).toHaveLength(1);
    expect(await ask.stop(room)).toBe('result');
    await good.say('busy');
    expect(await ask.start(room)).toBe('wait/resource-constraint');
    expect(refusing.starts).toHaveLength(1);
    refusing.answer = pending;
    await refusing.say('idle');
    await pickable();
    session(await ask.start(room));
    expect(refusing.starts).toHaveLength(2);
  });

  it('asks six recorders for one start, all with one session, and no seventh', async () => {
    const { room } = await lesson(place);
    const seven = await several(7, busy);
    expect(await ask.start(room)).toBe('cancel/internal-server-error');
    const starts = seven.flatMap((recorder) => recorder.starts);
    expect(starts).toHaveLength(6);
    expect(new Set(starts.map((start) => start.session)).size).toBe(1);
  });

  it('refuses what runs already or does not run, and what is no request', async () => {
    const { room } = await lesson(place);
    const recorder = await join(pending);
    expect(await ask.stop(room)).toBe('cancel/item-not-found');
    expect(await ask.send(room, { recording_mode: 'file' })).toBe('modify/bad-request');
    expect(await ask.send(room, { ...START, streamid: 'abcd' })).toBe('modify/bad-request');
    expect(await ask.send(room, { action: 'start', recording_mode: 'stream' })).toBe('modify/bad-request');
    session(await ask.start(room));
    expect(await ask.start(room)).toBe('wait/unexpected-request');
    expect(await recorder.tell({ status: 'on' })).toBeUndefined();
    expect(await ask.start(room)).toBe('wait/unexpected-request');
    expect(recorder.starts).toHaveLength(1);
  });

  it('of two starts at once one is taken, and of two stops', async () => {
    const { room } = await lesson(place);
    const [one, other] = [await join(), await join()];
    const started = await Promise.all([ask.start(room), ask.start(`${room}/first`)]);
    expect(started.map((outcome) => outcome.split(' ')[0]).sort()).toEqual([
      'session',
      'wait/unexpected-request',
    ]);
    expect([...one.starts, ...other.starts]).toHaveLength(1);
    const stopped = await Promise.all([ask.stop(room), ask.stop(`${room}/first`)]);
    expect(stopped.sort()).toEqual(['cancel/item-not-found', 'result']);
  });

  it('two rooms that start at once get two recorders', async () => {
    const rooms = [await lesson(place), await lesson(place)];
    const two = await several(2);
    for (const outcome of await Promise.all(rooms.map(({ room }) => ask.start(room)))) session(outcome);
    expect(two.map((recorder) => recorder.starts.length)).toEqual([1, 1]);
  });

  it('picks the same of several idle ones, and one that failed after those that did not', async () => {
    const { room } = await lesson(place);
    const three = await several(3);
    const pick = async (): Promise<string> => {
      const id = session(await ask.start(room));
      await ask.stop(room);
      await pickable();
      return three.find(({ answer, starts }) => answer === pending && starts.at(-1)?.session === id)!.nick;
    };
    const first = await pick();
    expect(await pick()).toBe(first);
    const refusing = three.find(({ nick }) => nick === first)!;
    refusing.answer = busy;
    expect(await pick()).not.toBe(first);
    expect(refusing.starts).toHaveLength(3);
  });

  it('shows on and off with who did it, and nothing of what is pending', async () => {
    const { room, person, id, recorder } = await recording();
    const on = { status: 'on', session_id: id, initiator: room, recording_mode: 'file' };
    await settled(person, room);
    expect(statuses(person, room)).toEqual([on]);
    const late = await place.lab.pupil(room);
    await late.join(room, 'late');
    await late.settled();
    expect(statuses(late, room)).toEqual([on]);
    // Its answer comes before the recorder has done anything.
    expect(await ask.stop(`${room}/first`)).toBe('result');
    await settled(person, room);
    const off = { status: 'off', session_id: id, initiator: `${room}/first`, recording_mode: 'file' };
    expect(statuses(person, room)).toEqual([on, off]);
    await recorder.stopped();
    // The last word stays, for those who come later too.
    const later = await place.lab.pupil(room);
    await later.join(room, 'later');
    await later.settled();
    expect(statuses(later, room)).toEqual([off]);
  });

  it('a recorder that ends by itself: off, nobody did it; what it says later is of no session', async () => {
    const { room, person, id, recorder } = await recording();
    expect(await recorder.tell({ status: 'off' })).toBeUndefined();
    await settled(person, room);
    expect(statuses(person, room).at(-1)).toEqual({ status: 'off', session_id: id, recording_mode: 'file' });
    expect(await recorder.tell({ status: 'off' })).toBe('item-not-found');
    expect(await recorder.tell({ status: 'on' })).toBe('item-not-found');
    expect(await ask.stop(room)).toBe('cancel/item-not-found');
  });

  const failed = { status: 'off', failure_reason: 'error' };

  it('a recorder that fails and may be replaced is, in the same session; the room sees the same on again', async () => {
    const { room, person, id, recorder } = await recording();
    const next = await join(pending);
    expect(await recorder.tell({ ...failed, should_retry: 'true' })).toBeUndefined();
    expect((await next.started()).session).toBe(id);
    await settled(person, room);
    expect(statuses(person, room).map(({ status }) => status)).toEqual(['on']);
    expect(await next.tell({ status: 'on' })).toBeUndefined();
    await settled(person, room);
    const on = { status: 'on', session_id: id, initiator: room, recording_mode: 'file' };
    expect(statuses(person, room)).toEqual([on, on]);
    // The first is of no session any more.
    expect(await recorder.tell({ status: 'off' })).toBe('item-not-found');
  });

  it('retries count over the life of a session: the sixth failure ends it, another idle or not', async () => {
    const { room, person, id, recorder } = await recording();
    let now = recorder;
    for (let failures = 1; failures <= 6; failures += 1) {
      const next = await join(pending);
      expect(await now.tell({ ...failed, should_retry: 'true' })).toBeUndefined();
      if (failures === 6) {
        expect(next.starts).toEqual([]);
        break;
      }
      expect((await next.started()).session).toBe(id);
      await next.say('busy');
      expect(await next.tell({ status: 'on' })).toBeUndefined();
      now = next;
    }
    await settled(person, room);
    expect(statuses(person, room).at(-1)).toEqual({ ...failed, session_id: id, recording_mode: 'file' });
  });

  it.each(['false', 'true'])(
    'a recorder that fails, should_retry %s and no other there: off with the reason, by nobody',
    async (retry) => {
      const { room, person, id, recorder } = await recording();
      expect(await recorder.tell({ ...failed, should_retry: retry })).toBeUndefined();
      await settled(person, room);
      expect(statuses(person, room).at(-1)).toEqual({ ...failed, session_id: id, recording_mode: 'file' });
    },
  );

  it.each(['pending', 'on'])('a recorder that leaves while %s is replaced', async (state) => {
    const { room } = await lesson(place);
    const recorder = await join(pending);
    const id = session(await ask.start(room));
    await recorder.say('busy');
    if (state === 'on') expect(await recorder.tell({ status: 'on' })).toBeUndefined();
    const next = await join(pending);
    recorder.drop();
    expect((await next.started()).session).toBe(id);
  });

  it('a recorder that leaves with no other there: off with the reason; one that comes later is not used', async () => {
    const { room, person, id, recorder } = await recording();
    recorder.close();
    await until('the room knows', () => statuses(person, room).at(-1)?.status === 'off');
    expect(statuses(person, room).at(-1)).toEqual({ ...failed, session_id: id, recording_mode: 'file' });
    const late = await join(pending);
    await settled(person, room);
    expect(late.asked).toEqual([]);
  });

  it('a stop while pending; a start right after it waits for the recorder to be idle', async () => {
    const { room, person } = await lesson(place);
    const recorder = await join(pending);
    const id = session(await ask.start(room));
    await recorder.say('busy');
    expect(await ask.stop(room)).toBe('result');
    expect((await recorder.stopped()).session).toBe(id);
    await settled(person, room);
    expect(statuses(person, room)).toEqual([
      { status: 'off', session_id: id, initiator: room, recording_mode: 'file' },
    ]);
    expect(await ask.start(room)).toBe('wait/resource-constraint');
    await recorder.say('idle');
    await pickable();
    session(await ask.start(room));
  });

  it('goes on when who began it has left', async () => {
    const { room } = await lesson(place);
    const teacher = await place.lab.teacher(room);
    await teacher.join(room, 'second');
    const recorder = await join(pending);
    session(await ask.start(`${room}/second`));
    expect(await recorder.tell({ status: 'on' })).toBeUndefined();
    await teacher.leave(room, 'second');
    expect(await ask.start(room)).toBe('wait/unexpected-request');
    expect(recorder.stops).toEqual([]);
  });

  it('is stopped when all have left, but not while the recorder itself sits in the room', async () => {
    const { room, person, id, recorder } = await recording();
    const user = await place.lab.recorder();
    expect((await user.join(room, 'recorder')).error).toBeUndefined();
    await person.leave(room, 'first');
    expect(await ask.start(room)).toBe('wait/unexpected-request');
    expect(recorder.stops).toEqual([]);
    await user.leave(room, 'recorder');
    expect((await recorder.stopped()).session).toBe(id);
  });

  it('is stopped when the room is destroyed; a new room has no status', async () => {
    const { room, person, id, recorder } = await recording();
    const destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
    expect(errorOf(await person.iq('set', room, destroy))).toBeUndefined();
    expect((await recorder.stopped()).session).toBe(id);
    const again = await place.lab.teacher(room);
    await place.lab.enter(again, room, 'again');
    await again.settled();
    expect(again.seen(room, 'focus')).not.toEqual([]);
    expect(statuses(again, room)).toEqual([]);
  });

  it('a focus that starts anew tells no recorder, and knows of nothing that is recorded', async () => {
    const { room, person, recorder } = await recording();
    const other = await join(pending);
    const from = person.stanzas.length;
    await place.lab.restartFocus();
    await person.conference(room);
    await person.settled();
    expect(recorder.stops).toEqual([]);
    const now = person.seen(room, 'focus', from).filter(({ type }) => type === 'available');
    expect(now.length).toBeGreaterThan(0);
    expect(now.filter(({ element }) => element.getChild('jibri-recording-status'))).toEqual([]);
    expect(await recorder.tell({ status: 'on' })).toBe('item-not-found');
    session(await ask.start(room));
    expect(other.starts).toHaveLength(1);
    expect(recorder.starts).toHaveLength(1);
  });

  it('after a restart of Prosody nothing is left of it, and the next start is like the first', async () => {
    const { room } = await recording();
    await place.lab.restartProsody('SIGTERM');
    const again = await place.lab.teacher(room);
    await place.lab.enter(again, room, 'again');
    expect(await ask.stop(room)).toBe('cancel/item-not-found');
    expect(await ask.start(room)).toBe('cancel/service-unavailable');
    const recorder = await join(pending);
    const id = session(await ask.start(room));
    expect((await recorder.started()).session).toBe(id);
  });
});

const hasty = circumstances(
  '--no-moderator-checks',
  '--reply-timeout',
  '4',
  '--pending-timeout',
  '5',
  '--failure-timeout',
  '8',
);

onBoth('when a recorder is late, by focus', hasty, (place) => {
  const ask = asker(place);
  const join = recorders(place);

  it('a start waits for a silent recorder, and with it the next request; people come in', async () => {
    const { room } = await lesson(place);
    const silent = await join('silence');
    const first = ask.start(room);
    const { session: id } = await silent.started();
    const second = ask.stop(room);
    const pupil = await place.lab.pupil(room);
    expect((await pupil.join(room, 'pupil')).error).toBeUndefined();
    expect(await first).toBe('wait/resource-constraint');
    expect(await second).toBe('cancel/item-not-found');
    // It may have heard it after all.
    expect((await silent.stopped()).session).toBe(id);
  });

  it('one that failed is asked again after a while', async () => {
    const { room } = await lesson(place);
    const recorder = await join(busy);
    expect(await ask.start(room)).toBe('wait/resource-constraint');
    recorder.answer = pending;
    expect(await ask.start(room)).toBe('wait/resource-constraint');
    expect(recorder.starts).toHaveLength(1);
    await until('it is asked again', async () => (await ask.start(room)).startsWith('session'));
  });

  it('one that does not say on is stopped; the room sees off, nobody did it, and no other is asked', async () => {
    const { room, person } = await lesson(place);
    const recorder = await join(pending);
    const id = session(await ask.start(room));
    const other = await join(pending);
    expect((await recorder.stopped()).session).toBe(id);
    await until('the room knows', () => statuses(person, room).length > 0);
    expect(statuses(person, room)).toEqual([{ status: 'off', session_id: id, recording_mode: 'file' }]);
    expect(await recorder.tell({ status: 'on' })).toBe('item-not-found');
    expect(other.starts).toEqual([]);
  });

  it('the ghost of a refused start: when the recorder asked last leaves, another is asked for nobody', async () => {
    const { room, person } = await lesson(place);
    const refusing = await join(busy);
    expect(await ask.start(room)).toBe('wait/resource-constraint');
    const refused = (await refusing.started()).session;
    const haunted = await join(pending);
    // Even after the room has ended.
    await person.leave(room, 'first');
    refusing.close();
    expect((await haunted.started()).session).toBe(refused);
    expect(await haunted.tell({ status: 'on' })).toBe('item-not-found');
    const again = await place.lab.teacher(room);
    await place.lab.enter(again, room, 'again');
    expect(await ask.stop(room)).toBe('cancel/item-not-found');
    await haunted.say('busy');
    const third = await join(pending);
    const id = session(await ask.start(room));
    expect((await third.started()).session).toBe(id);
    // Nobody is told that it began, so it is too late at some time.
    expect((await haunted.stopped()).session).toBe(refused);
    await again.settled();
    expect(statuses(again, room).filter(({ session_id }) => session_id === refused)).toEqual([]);
  });
});
