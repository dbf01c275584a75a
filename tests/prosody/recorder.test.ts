import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Element } from 'ltx';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client, presenceOf } from '../../local/join/client';
import { Lab } from './lab';
import { until } from './processes';
import { prosodies } from './prosodies';
import { jibri } from './scripted-recorder';
import { StandInRecorder, type Fault } from './stand-in-recorder';
import { BREWERY, DOMAIN, FOCUS, JIBRI_PASSWORD } from './school';

// The stand-in recorder against what is known of Jibri: a recorder host's own settings, two shards (a Prosody of each
// release), the stand-in focus, real ffmpeg.

const JIBRI = 'http://jitsi.org/protocol/jibri';
const releases = prosodies();
const missing = releases.find((release) => release.missing)?.missing;
const APP_DATA = '{"file_recording_metadata":{"share":true,"lesson":"L1","room":"algebra"}}';

/** Fragments are cut every second here, so that a test need not record for long. */
const QUICK: [string, string][] = [
  ['"-g", "60"', '"-g", "30"'],
  ['default-call-empty-timeout = 30 seconds', 'default-call-empty-timeout = 3 seconds'],
  ['no-media-timeout = 3 minutes', 'no-media-timeout = 2 seconds'],
];

describe.skipIf(missing)(`the stand-in recorder${missing ? `: ${missing}` : ''}`, { timeout: 90_000 }, () => {
  const labs: Lab[] = [];
  let here: StandInRecorder[] = [];
  const lab = (index = 0): Lab => labs[index]!;

  beforeAll(async () => {
    for (const release of releases) {
      labs.push(
        await Lab.start(release, {
          hostModule: 'from_inside',
          accounts: [['auth', 'jibri', JIBRI_PASSWORD]],
          focus: ['--no-moderator-checks', '--reply-timeout', '5', '--pending-timeout', '20'],
          config: [
            ['smacks_hibernation_time = 15', 'smacks_hibernation_time = 8'],
            // It would end what it did not begin.
            ['        "lesson_recording";\n', ''],
          ],
        }),
      );
    }
  }, 120_000);
  afterEach(async () => {
    for (const each of labs) each.leaveAll();
    for (const recorder of here) await recorder.stop();
    // Killed ones are given up by their Prosody later.
    const gone = (nick: string, at: Lab) =>
      until(`focus knows that ${nick} is gone`, () => {
        const [came, left] = ['idle', 'gone'].map((what) =>
          at.focusLog.lastIndexOf(`recorder ${what}: ${BREWERY}/${nick}`),
        );
        return left! >= came!;
      });
    for (const { nick } of here) for (const each of labs) await gone(nick, each);
    here = [];
  }, 60_000);
  afterAll(async () => {
    for (const each of labs) await each.stop();
  });

  let recorders = 0;
  /** One that nobody has seen before, idle in the breweries behind these ports. */
  const recorder = async (ports = labs.map(({ c2s }) => c2s)): Promise<StandInRecorder> => {
    const name = `recorder-${(recorders += 1)}`;
    const started = await StandInRecorder.start(ports, { changes: QUICK, name });
    here.push(started);
    for (const each of labs.slice(0, ports.length)) await idle(started, each);
    return started;
  };
  const idle = ({ nick }: StandInRecorder, at: Lab) =>
    at.logged(`recorder idle: ${BREWERY}/${nick}`, 'focus');

  /** Sees a brewery from inside. */
  const watcher = async (at = lab()): Promise<Client> => {
    const account = { host: `auth.${DOMAIN}`, user: 'jibri', password: JIBRI_PASSWORD };
    const client = at.keep(await Client.login({ site: at.site, account }));
    expect((await client.join(BREWERY, `watcher-${Math.random()}`)).error).toBeUndefined();
    return client;
  };

  /** `idle healthy` and the like, each time that it was said. */
  const said = (client: Client, { nick }: StandInRecorder): string[] =>
    client
      .seen(BREWERY, nick)
      .map(({ element }) => element.getChild('jibri-status', JIBRI))
      .filter((status): status is Element => status !== undefined)
      .map((status) =>
        status
          .getChildElements()
          .map(({ attrs }) => String(attrs.status))
          .join(' '),
      );

  const lesson = async (at = lab()): Promise<{ room: string; teacher: Client }> => {
    const room = at.room();
    const teacher = await at.teacher(room);
    await at.enter(teacher, room, 'teacher');
    return { room, teacher };
  };

  const ask = async (room: string, attributes: Record<string, string>, at = lab()): Promise<string> => {
    const answer = await at.fromInside(
      `<iq xmlns='jabber:client' type='set' id='inside' from='${room}' to='${FOCUS}/focus'>${jibri(attributes)}</iq>`,
    );
    return String(
      answer?.getChild('jibri')?.attrs.session_id ??
        answer?.getChild('error')?.getChildElements()[0]?.name ??
        'result',
    );
  };
  const start = (room: string, at = lab()) =>
    ask(room, { action: 'start', recording_mode: 'file', app_data: APP_DATA }, at);
  const stop = (room: string) => ask(room, { action: 'stop' });

  const statuses = (client: Client, room: string): Record<string, string>[] =>
    client
      .seen(room, 'focus')
      .map(({ element }) => element.getChild('jibri-recording-status', JIBRI)?.attrs)
      .filter((attrs) => attrs !== undefined);

  const on = (client: Client, room: string, times = 1) =>
    until('it is on', () => statuses(client, room).filter(({ status }) => status === 'on').length >= times);
  const off = (client: Client, room: string) =>
    until('it is off', () => statuses(client, room).at(-1)?.status === 'off');

  /** What ffprobe reads of a file. */
  const probed = (file: string): { streams: Record<string, unknown>[]; seconds: number } => {
    const done = spawnSync('ffprobe', ['-v', 'error', '-of', 'json', '-show_streams', '-show_format', file], {
      encoding: 'utf8',
    });
    expect(done.stderr).toBe('');
    const { streams, format } = JSON.parse(done.stdout) as {
      streams: Record<string, unknown>[];
      format: { duration: string };
    };
    return { streams, seconds: Number(format.duration) };
  };

  it('records a room from start to stop, and is one recorder for both shards', async () => {
    const { room, teacher } = await lesson();
    const one = await recorder();
    const [here, there] = [await watcher(), await watcher(lab(1))];
    expect(await one.health()).toBe('IDLE HEALTHY');
    const session = await start(room);
    expect(session).toHaveLength(36);
    await on(teacher, room);

    // In the room, as people see it.
    const recorders = teacher.stanzas.filter((stanza) =>
      presenceOf(stanza).jid?.startsWith(`recorder@recorder.${DOMAIN}/`),
    );
    expect(recorders[0]?.getChild('features')?.getChild('feature')?.attrs.var).toBe(JIBRI);
    const last = recorders.at(-1);
    expect([last?.getChildText('session_id'), last?.getChildText('mode')]).toEqual([session, 'file']);

    // In the breweries.
    await until(
      'both shards know',
      () => said(here, one).at(-1) === 'busy healthy' && said(there, one).at(-1) === 'busy healthy',
    );
    expect(await one.health()).toBe('BUSY HEALTHY');
    const busy = await there.iq(
      'set',
      `${BREWERY}/${one.nick}`,
      jibri({ action: 'start', room, session_id: 'another' }),
    );
    expect(busy.getChild('jibri')?.attrs).toMatchObject({
      status: 'off',
      failure_reason: 'busy',
      should_retry: 'true',
    });

    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(await stop(room)).toBe('result');
    await until(
      'it is idle again',
      () => said(here, one).at(-1) === 'idle healthy' && said(there, one).at(-1) === 'idle healthy',
    );
    expect(said(here, one)).toEqual(['idle healthy', 'busy healthy', 'idle healthy']);

    const name = room.split('@')[0];
    const [media, metadata] = one.recordings()[session] as [string, string];
    expect(media).toMatch(new RegExp(`^${name}_\\d{4}(-\\d\\d){5}\\.mp4$`));
    expect(JSON.parse(readFileSync(one.path(session, metadata), 'utf8'))).toMatchObject({
      meeting_url: `https://${DOMAIN}/${name}`,
      share: true,
      lesson: 'L1',
      room: 'algebra',
      participants: [{}],
    });
    expect(one.finalized()).toEqual([session]);
    const { streams, seconds } = probed(one.path(session, media));
    expect(streams).toMatchObject([
      { codec_name: 'h264', width: 1280, height: 720, r_frame_rate: '30/1' },
      { codec_name: 'aac' },
    ]);
    expect(seconds).toBeGreaterThan(1);
    // It left before it finalized.
    expect(teacher.seen(room, String(last?.attrs.from).split('/')[1]!).at(-1)?.type).toBe('unavailable');
  });

  it('ends by itself when nobody is in the call but recorders: off without a reason', async () => {
    const { room, teacher } = await lesson();
    const one = await recorder();
    const session = await start(room);
    await on(teacher, room);
    await teacher.leave(room, 'teacher');
    await until('it ended', () => one.finalized().length > 0);
    expect(one.finalized()).toEqual([session]);
    expect(lab().focusLog).not.toContain(`${room}: pending timeout`);
  });

  it.each<[Fault, string | undefined]>([
    ['end', undefined],
    ['fail', 'error'],
  ])('ordered to %s, it tells so and finalizes what it has', async (fault, reason) => {
    const { room, teacher } = await lesson();
    const one = await recorder();
    const session = await start(room);
    await on(teacher, room);
    one.order(fault);
    await off(teacher, room);
    expect(statuses(teacher, room).at(-1)?.failure_reason).toBe(reason);
    await until('it is idle again', async () => (await one.health()) === 'IDLE HEALTHY');
    expect(one.recordings()[session]).toContain('metadata.json');
    expect(one.finalized()).toEqual([session]);
  });

  it.each<Fault>(['fail-retry', 'no-media'])(
    'after %s another recorder takes over, in a folder of the same name',
    async (fault) => {
      const { room, teacher } = await lesson();
      const two = [await recorder(), await recorder()];
      if (fault === 'no-media') two.forEach((each) => each.order(fault));
      const session = await start(room);
      await on(teacher, room);
      const first = two.find((each) => session in each.recordings())!;
      const second = two.find((each) => each !== first)!;
      if (fault === 'no-media') second.behave();
      else first.order(fault);
      await on(teacher, room, 2);
      expect(statuses(teacher, room).map(({ status, session_id }) => [status, session_id])).toEqual([
        ['on', session],
        ['on', session],
      ]);
      await until('the first has finalized', () => first.finalized().includes(session));
      expect(Object.keys(second.recordings())).toEqual([session]);
      expect(await stop(room)).toBe('result');
      await until('the second has finalized', () => second.finalized().includes(session));
    },
  );

  it('answers a start as ordered, or not at all', async () => {
    const { room } = await lesson();
    const one = await recorder();
    const client = await watcher();
    const answered = async (fault: Fault): Promise<unknown> => {
      one.order(fault);
      const answer = await client.iq(
        'set',
        `${BREWERY}/${one.nick}`,
        jibri({ action: 'start', room, session_id: 's' }),
      );
      one.behave();
      return answer.getChild('jibri')?.attrs ?? answer.getChild('error')?.getChildElements()[0]?.name;
    };
    expect(await answered('busy')).toMatchObject({
      status: 'off',
      failure_reason: 'busy',
      should_retry: 'true',
    });
    expect(await answered('error')).toMatchObject({
      status: 'off',
      failure_reason: 'error',
      should_retry: 'true',
    });
    expect(await answered('on')).toMatchObject({ status: 'on' });
    expect(await answered('iq-error')).toBe('internal-server-error');
    one.order('silent');
    expect(await start(room)).toBe('resource-constraint');
    // Broken app data is an error, an action that it does not know as well; and none of this made it busy.
    const broken = jibri({ action: 'start', room, session_id: 's', app_data: '{"broken' });
    one.behave();
    expect(
      (await client.iq('set', `${BREWERY}/${one.nick}`, broken)).getChild('jibri')?.attrs.failure_reason,
    ).toBe('error');
    const unknown = await client.iq('set', `${BREWERY}/${one.nick}`, jibri({ action: 'pause' }));
    expect(unknown.getChild('error')?.getChildElements()[0]?.name).toBe('bad-request');
    expect(await one.health()).toBe('IDLE HEALTHY');
    expect(one.recordings()).toEqual({});
  });

  it('that never says on is stopped in time, and nothing is left of it', async () => {
    const { room, teacher } = await lesson();
    const one = await recorder();
    one.order('never-on');
    const session = await start(room);
    expect(session).toHaveLength(36);
    expect(await one.health()).toBe('BUSY HEALTHY');
    await off(teacher, room);
    await until('it is idle again', async () => (await one.health()) === 'IDLE HEALTHY');
    expect(one.recordings()).toEqual({});
    expect(one.finalized()).toEqual([]);
  });

  it('that is unhealthy says so, and is asked for nothing', async () => {
    const { room } = await lesson();
    const one = await recorder();
    const client = await watcher();
    one.order('unhealthy');
    await until('it says so', () => said(client, one).at(-1) === 'idle unhealthy');
    expect(await one.health()).toBe('IDLE UNHEALTHY');
    expect(await start(room)).toBe('resource-constraint');
    one.behave();
    await until('it is well', () => said(client, one).at(-1) === 'idle healthy');
    expect(await start(room)).toHaveLength(36);
  });

  it('that dies is replaced once its link is given up; what it wrote plays, and it comes back under its name', async () => {
    const { room, teacher } = await lesson();
    const two = [await recorder(), await recorder()];
    const session = await start(room);
    await on(teacher, room);
    const first = two.find((each) => session in each.recordings())!;
    await new Promise((resolve) => setTimeout(resolve, 3000));
    first.order('die');
    await until('it is gone', () => first.ended);
    await on(teacher, room, 2);
    await first.run();
    const client = await watcher();
    await until('it is back', () => said(client, first).at(-1) === 'idle healthy');
    const [media, ...more] = first.recordings()[session]!;
    expect(more).toEqual([]);
    expect(probed(first.path(session, media!)).seconds).toBeGreaterThan(0.9);
    expect(first.finalized()).toEqual([]);
  });

  it('that dies and is back under its name before its link is given up is missed by nobody', async () => {
    const { room, teacher } = await lesson();
    const one = await recorder();
    const client = await watcher();
    const session = await start(room);
    await on(teacher, room);
    const dead = client.seen(BREWERY, one.nick).at(-1)?.jid;
    one.order('die');
    await until('it is gone', () => one.ended);
    await one.run();
    await until('it is idle', () => said(client, one).at(-1) === 'idle healthy');
    await lab().logged(/Destroying session for hibernating too long/);
    await teacher.settled();
    // Why hosts wait longer than that before they start it again: the room says on, and nobody records.
    expect(dead).toBeDefined();
    expect(statuses(teacher, room).map(({ status }) => status)).toEqual(['on']);
    expect(Object.keys(one.recordings())).toEqual([session]);
    expect(await one.health()).toBe('IDLE HEALTHY');
    expect(await start(room)).toBe('unexpected-request');
  });

  it('told to shut down gracefully it ends after its recording, or at once, and takes nothing more', async () => {
    const { room, teacher } = await lesson();
    const one = await recorder();
    const session = await start(room);
    await on(teacher, room);
    await one.shutDown('gracefulShutdown');
    expect(await one.health()).toBe('BUSY HEALTHY');
    expect(await stop(room)).toBe('result');
    await until('it ended', () => one.ended);
    expect(one.finalized()).toEqual([session]);
    await one.run();
    await one.shutDown('gracefulShutdown');
    await until('it ended again', () => one.ended);
  });

  it('whose link breaks ends its recording, and takes the link up again', async () => {
    const cable = await Cable.to(lab().c2s);
    try {
      const { room, teacher } = await lesson();
      const one = await recorder([cable.port]);
      const session = await start(room);
      await on(teacher, room);
      cable.cut();
      await until('it finalized', () => one.finalized().includes(session));
      const client = await watcher();
      await until('it is idle in the brewery', () => said(client, one).at(-1) === 'idle healthy');
    } finally {
      cable.close();
    }
  });
});

/** A way to a port that can be cut. */
class Cable {
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async to(port: number): Promise<Cable> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const cable = new Cable(server, (server.address() as { port: number }).port);
    server.on('connection', (socket) => {
      const other = connect(port, '127.0.0.1');
      for (const [from, to] of [
        [socket, other],
        [other, socket],
      ] as const) {
        cable.sockets.add(from);
        from.pipe(to);
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
      }
    });
    return cable;
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
    this.sockets.clear();
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}
