import type { Element } from 'ltx';
import { afterEach, expect, it } from 'vitest';
import { errorOf, escape, type Client } from '../../local/join/client';
import { onBoth, type Place } from './both';
import type { Circumstances } from './lab';
import { until } from './processes';
import { busy, jibri, pending, ScriptedRecorder, type Answer } from './scripted-recorder';
import { BREWERY, CONFERENCE, DOMAIN, FOCUS, JIBRI_PASSWORD } from './school';

// The stand-in focus against what was measured of Jicofo, row by row: who may ask for a recording, each answer, what a
// recorder is asked, what the room sees, what becomes of each failure. Recorders here answer what a test tells them.
//
// Not imitated: Jicofo's limits of time for a room without recorders' part in it, its metrics, Jigasi. Prosody's and
// not focus's, and so not here: who is refused before focus is asked, how soon a silent link is noticed.

const JIBRI = 'http://jitsi.org/protocol/jibri';
const MUC_USER = 'http://jabber.org/protocol/muc#user';
const APP_DATA = '{"file_recording_metadata":{"share":true,"lesson":"L1"}}';
const START = { action: 'start', recording_mode: 'file', app_data: APP_DATA };
const STOP = { action: 'stop', recording_mode: 'file' };

const circumstances = (...focus: string[]): Circumstances => ({
  hostModule: 'from_inside',
  accounts: [['auth', 'jibri', JIBRI_PASSWORD]],
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
      const { xmlns: _, ...rest } = attrs as Record<string, string>;
      return rest;
    });
}

/** A room with somebody in it, whom focus knows. */
async function lesson({ lab }: Place, moderator = true): Promise<{ room: string; person: Client }> {
  const room = lab.room();
  const person = moderator ? await lab.teacher(room) : await lab.pupil(room);
  await lab.enter(person, room, 'first');
  return { room, person };
}

/** Recorders of one test; they have left, as focus knows, before the next begins. */
function recorders(place: Place) {
  let here: ScriptedRecorder[] = [];
  afterEach(async () => {
    const left = here;
    here = [];
    for (const recorder of left) recorder.close();
    for (const { occupant } of left) await place.lab.logged(`recorder gone: ${occupant}`, 'focus');
  });
  return async (...answers: Answer[]): Promise<ScriptedRecorder[]> => {
    const all: ScriptedRecorder[] = [];
    for (const answer of answers) {
      const recorder = await ScriptedRecorder.join(place.lab, answer);
      here.push(recorder);
      all.push(recorder);
    }
    return all;
  };
}

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
    const [recorder] = (await join(pending)) as [ScriptedRecorder];
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
    const [recorder] = (await join(pending)) as [ScriptedRecorder];
    const from = person.stanzas.length;
    void ask.send(person.jid, START, `${room}/focus`).catch(() => undefined);
    const { session: id } = await recorder.started();
    const answer = await person.wait((stanza) => stanza.getChild('jibri')?.attrs.session_id === id, from);
    expect(answer.attrs).toMatchObject({ type: 'result', from: `${room}/focus`, to: person.jid });
  });
});
