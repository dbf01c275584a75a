import { expect, it } from 'vitest';
import { contract } from '../contracts';
import type { App, Told } from './app';
import { onBoth, type Place } from './both';
import { selfSigned, type Lab, type Person } from './lab';
import { until } from './processes';
import { CONFERENCE, DOMAIN } from './school';
import { escape } from '../../local/join/client';

const QUEUE = '/var/lib/prosody/lesson-events/queue.jsonl';
const QUICK = '    lesson_events_retry = 0.2\n    lesson_events_timeout = 2\n';
const withOptions = (options: string): [string, string][] => [
  ['    lesson_events_url', `${options}    lesson_events_url`],
];

/** A person's token for a lesson, with who it is. */
const of = (id: string, more: Record<string, unknown> = {}): Person => ({
  claims: {
    lesson: { id: 'L1', recording: false },
    context: { user: { id, name: `Name of ${id}` }, features: { recording: false } },
    ...more,
  },
});

const kinds = (told: Told[]): string[] => told.map(({ type }) => type);

async function told(app: App, room: string, count: number): Promise<Told[]> {
  await until(
    `${count} events of ${room}: ${kinds(app.of(room)).join(' ')}`,
    () => app.of(room).length >= count,
  );
  return app.of(room);
}

/** Everything that the app ever got keeps to the contract, was signed and came in order. */
function expectSound({ app }: Lab): void {
  const problems = contract('event');
  expect(app.told.flatMap(({ id: _, ...body }) => problems(body))).toEqual([]);
  expect(app.forged).toEqual([]);
  const numbers = app.told.map(({ data }) => data.sequence);
  expect(numbers).toEqual([...numbers].sort((one, other) => one - other));
}

const say = (room: string, text: string): string =>
  `<message xmlns='jabber:client' to='${room}' type='groupchat'><body>${escape(text)}</body></message>`;

onBoth('events for the app', { config: withOptions(QUICK) }, (place: Place) => {
  it('a lesson from its first person to its end', async () => {
    const { lab } = place;
    const room = lab.room();
    const before = Date.now();
    const teacher = await lab.teacher(room, of('teacher-1'));
    await lab.enter(teacher, room, 'aa11');
    const pupil = await lab.pupil(room, of('pupil-1'));
    await lab.enter(pupil, room, 'bb22');
    const recorder = await lab.recorder();
    await recorder.join(room, 'recorder');
    pupil.send(say(room, 'Привет, "класс" <b>'));
    teacher.send(
      `<message xmlns='jabber:client' to='${room}/bb22' type='chat'><body>private</body></message>`,
    );
    teacher.send(
      `<message xmlns='jabber:client' to='${room}' type='groupchat'><subject>Algebra</subject></message>`,
    );
    await teacher.settled();
    await pupil.leave(room, 'bb22');
    teacher.drop();
    recorder.close();
    const events = await told(lab.app, room, 7);
    expect(kinds(events)).toEqual([
      'room.created',
      'occupant.joined',
      'occupant.joined',
      'chat.message',
      'occupant.left',
      'occupant.left',
      'room.destroyed',
    ]);
    expectSound(lab);
    const { meeting } = events[0]!.data;
    expect(meeting).toMatch(/^[0-9a-f-]{36}$/);
    for (const { timestamp, data } of events) {
      expect(data).toMatchObject({ shard: DOMAIN, lesson: 'L1', meeting });
      expect(Date.parse(timestamp)).toBeGreaterThanOrEqual(before - 1);
      expect(Date.parse(timestamp)).toBeLessThanOrEqual(Date.now());
    }
    const teaching = { id: 'aa11', role: 'moderator', user: { id: 'teacher-1', name: 'Name of teacher-1' } };
    const learning = { id: 'bb22', role: 'participant', user: { id: 'pupil-1', name: 'Name of pupil-1' } };
    expect(events.map(({ data }) => data.occupant)).toEqual([
      undefined,
      teaching,
      learning,
      learning,
      learning,
      teaching,
      undefined,
    ]);
    expect(events[3]!.data).toMatchObject({ text: 'Привет, "класс" <b>', truncated: false });
  });

  it('a room without a lesson, a token without a user, a claim of the wrong kind', async () => {
    const { lab } = place;
    for (const claims of [
      { lesson: undefined, context: undefined },
      { lesson: 'L1' },
      { lesson: { id: '../L1', recording: true } },
      { lesson: { id: 7 } },
    ]) {
      const room = lab.room();
      await lab.enter(await lab.pupil(room, { claims }), room, 'somebody');
      const [created, joined] = await told(lab.app, room, 2);
      expect(created!.data.lesson).toBeNull();
      expect(joined!.data.occupant).toMatchObject({
        user: 'context' in claims ? null : { id: 'pupil-1', name: 'Ada' },
      });
    }
    expectSound(lab);
  });

  it('the platform’s own looks at itself are not told', async () => {
    const { lab } = place;
    const room = `platform-check-${Date.now()}@${CONFERENCE}`;
    await lab.enter(await lab.teacher(room, of('somebody')), room, 'somebody');
    const next = lab.room();
    await lab.enter(await lab.pupil(next, of('pupil-1')), next, 'pupil');
    await told(lab.app, next, 2);
    expect(lab.app.of(room)).toEqual([]);
  });

  it('a room belongs to the lesson of its first person', async () => {
    const { lab } = place;
    const room = lab.room();
    await lab.enter(await lab.pupil(room, of('one')), room, 'one');
    await lab.enter(
      await lab.pupil(room, of('two', { lesson: { id: 'L2', recording: false } })),
      room,
      'two',
    );
    const events = await told(lab.app, room, 3);
    expect(events.map(({ data }) => data.lesson)).toEqual(['L1', 'L1', 'L1']);
  });

  it('a long message is cut between characters, and one to nobody in the room is not told', async () => {
    const { lab } = place;
    const room = lab.room();
    const pupil = await lab.pupil(room, of('pupil-1'));
    await lab.enter(pupil, room, 'pupil');
    pupil.send(say(room, `${'ж'.repeat(5000)}`));
    const outside = await lab.pupil(room, of('pupil-2'));
    outside.send(say(room, 'from outside'));
    await outside.settled();
    await pupil.leave(room, 'pupil');
    const events = await told(lab.app, room, 5);
    expect(kinds(events)).toEqual([
      'room.created',
      'occupant.joined',
      'chat.message',
      'occupant.left',
      'room.destroyed',
    ]);
    expect(events[2]!.data.truncated).toBe(true);
    expect(events[2]!.data.text).toMatch(/^ж{4090,4096}$/);
    expectSound(lab);
  });

  it('what the app does not take is told again, in order, with the same id', async () => {
    const { lab } = place;
    const room = lab.room();
    const { app } = lab;
    app.answer(204, 500, 'cut', 404, 302);
    const pupil = await lab.pupil(room, of('pupil-1'));
    await lab.enter(pupil, room, 'pupil');
    for (const text of ['1', '2', '3']) pupil.send(say(room, text));
    await pupil.leave(room, 'pupil');
    const events = await told(app, room, 7);
    expect(events.filter(({ type }) => type === 'chat.message').map(({ data }) => data.text)).toEqual([
      '1',
      '2',
      '3',
    ]);
    const numbers = events.map(({ data }) => data.sequence);
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    expectSound(lab);
    expect(lab.log()).toMatch(/The app took no event, 1 times now: HTTP 500; \d+ wait/);
    expect(lab.log()).toContain('The app takes events again');
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'what was not delivered survives %s of Prosody',
    async (signal) => {
      const { lab } = place;
      const { app } = lab;
      const room = lab.room();
      app.answer(503);
      const pupil = await lab.pupil(room, of('pupil-1'));
      await lab.enter(pupil, room, 'pupil');
      for (let index = 0; index < 20; index += 1) pupil.send(say(room, `${index}`));
      await pupil.settled();
      await lab.restartProsody(signal, () => {
        // As after a power cut: the last line is half there.
        if (signal === 'SIGKILL') lab.role.append(QUEUE, '{"sequence":999999,"id":"msg_torn","body":"{\\"ty');
        app.answer(204);
      });
      const events = await told(app, room, signal === 'SIGTERM' ? 24 : 22);
      expect(kinds(events).slice(0, 2)).toEqual(['room.created', 'occupant.joined']);
      expect(events.filter(({ type }) => type === 'chat.message').map(({ data }) => data.text)).toEqual(
        Array.from({ length: 20 }, (_, index) => `${index}`),
      );
      // An end in order tells that people left; a kill cannot.
      expect(kinds(events).slice(22)).toEqual(
        signal === 'SIGTERM' ? ['occupant.left', 'room.destroyed'] : [],
      );
      // The sequence goes on.
      const next = lab.room();
      await lab.enter(await lab.pupil(next, of('pupil-2')), next, 'pupil');
      const [first] = await told(app, next, 1);
      expect(first!.data.sequence).toBe(events.at(-1)!.data.sequence + 1);
      expectSound(lab);
    },
  );

  it('an app that never answers holds up no one in the room', async () => {
    const { lab } = place;
    const { app } = lab;
    const room = lab.room();
    app.answer(204, 'never');
    const requests = app.requests;
    const teacher = await lab.teacher(room, of('teacher-1'));
    await lab.enter(teacher, room, 'teacher');
    await until('the app is asked', () => app.requests > requests);
    await lab.enter(await lab.pupil(room, of('pupil-1')), room, 'pupil');
    await teacher.settled();
    expect(teacher.standing(room, 'pupil')).toBe('none/participant');
    // It is asked anew once that request is given up.
    await told(app, room, 3);
  });

  it('counters are there for who asks on this host', async () => {
    const { lab } = place;
    const room = lab.room();
    lab.app.answer(204, 500);
    await lab.enter(await lab.pupil(room, of('pupil-1')), room, 'pupil');
    await told(lab.app, room, 2);
    const metrics = await lab.metrics();
    expect(metrics).toMatch(/^prosody_mod_lesson_events__waiting\{host="conference\.\S+"\} \d+/m);
    expect(metrics).toMatch(/^prosody_mod_lesson_events__refused_total\{host="conference\.\S+"\} [1-9]/m);
  });
});

onBoth(
  'events beyond the limit',
  { config: withOptions(`${QUICK}    lesson_events_limit = 5\n`) },
  (place) => {
    it('are dropped, which is logged and leaves a gap', async () => {
      const { lab } = place;
      const { app } = lab;
      const room = lab.room();
      app.answer(503);
      const pupil = await lab.pupil(room, of('pupil-1'));
      await lab.enter(pupil, room, 'pupil');
      for (let index = 0; index < 10; index += 1) pupil.send(say(room, `${index}`));
      await pupil.settled();
      await lab.logged('5 events wait, more are dropped');
      app.answer(204);
      await told(app, room, 5);
      await until('the queue is empty', async () =>
        /lesson_events__waiting\S* 0$/m.test(await lab.metrics()),
      );
      pupil.send(say(room, 'after'));
      const events = await told(app, room, 6);
      expect(events.at(-1)!.data).toMatchObject({ text: 'after', sequence: events[4]!.data.sequence + 8 });
      expect(lab.log()).toContain('7 events were dropped');
      expect(await lab.metrics()).toMatch(/lesson_events__dropped_total\S* 7$/m);
      expectSound(lab);
    });

    it('a secret is read anew for each, and without one nothing is sent', async () => {
      const { lab } = place;
      const { app } = lab;
      const room = lab.room();
      lab.secret('webhook-secret', '');
      const pupil = await lab.pupil(room, of('pupil-1'));
      const requests = app.requests;
      await lab.enter(pupil, room, 'pupil');
      await lab.logged('no secret: it is empty');
      expect(app.requests).toBe(requests);
      lab.secret('webhook-secret', 'another-secret');
      app.secret = 'another-secret';
      await told(app, room, 2);
      expectSound(lab);
    });
  },
);

// Prosody resolves names by DNS alone, and takes an address in a certificate for a name.
const pair = selfSigned('127.0.0.1');

onBoth('an app behind TLS', { appPair: pair, config: withOptions(QUICK) }, (place) => {
  it('whose certificate nobody vouches for is told nothing', async () => {
    const { lab } = place;
    const room = lab.room();
    await lab.enter(await lab.pupil(room, of('pupil-1')), room, 'pupil');
    await lab.logged(/The app took no event, 4 times now: .*certificate/);
    expect(lab.app.requests).toBe(0);
  });
});

onBoth(
  'an app behind TLS that this host trusts',
  {
    appPair: pair,
    files: { '/app.crt': pair.certificate },
    config: [
      ...withOptions(QUICK),
      ['component_admins', 'client_https_ssl = { cafile = "{root}/app.crt" }\ncomponent_admins'],
    ],
  },
  (place) => {
    it('is told', async () => {
      const { lab } = place;
      const room = lab.room();
      await lab.enter(await lab.pupil(room, of('pupil-1')), room, 'pupil');
      await told(lab.app, room, 2);
      expectSound(lab);
    });
  },
);
