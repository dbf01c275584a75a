import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { parse, type Element } from 'ltx';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, presenceOf } from '../../local/join/client';
import { freePort } from '../host/prosody-host';
import { Lab } from '../prosody/lab';
import { end, until } from '../prosody/processes';
import { prosodies } from '../prosody/prosodies';
import { DOMAIN, FOCUS, FOCUS_PASSWORD, JIBRI_PASSWORD } from '../prosody/school';
import { jibri, ScriptedRecorder } from '../prosody/scripted-recorder';
import { JitsiClasses, shape, type Making, type Reading } from './classes';

// What the stand-ins say is read, and what they are asked is written, by the classes that Jitsi's own programs use.
// Nothing may be lost on the way: an attribute or a value that the classes do not know is not Jitsi's protocol.

const PACKAGES = join(__dirname, '..', '..', 'local', 'stand-ins', 'packages');
const PASSWORD = 'a-password-of-these-tests';
const prosody = prosodies().find(({ missing }) => !missing);

let classes: JitsiClasses;
let lab: Lab;
const running: ChildProcess[] = [];

/** Prosody's own part of what comes through a room; and what joins a room, which Smack writes and never reads. */
const OTHERS = ['{urn:xmpp:occupant-id:0}occupant-id', '{http://jabber.org/protocol/muc}x'];

async function understood(stanza: string | Element): Promise<Reading> {
  const reading = await classes.read(stanza.toString());
  expect(reading.unknown.filter((name) => !OTHERS.includes(name))).toEqual([]);
  expect(shape(reading.xml)).toEqual(shape(stanza));
  return reading;
}

/** Sends an IQ that the classes wrote, and gives its answer. */
async function ask(client: Client, making: Making): Promise<Element> {
  const id = `made-${Math.random()}`;
  const from = client.stanzas.length;
  client.send(await classes.make({ ...making, id }));
  return client.wait((stanza) => stanza.getName() === 'iq' && stanza.attrs.id === id, from);
}

/** Runs a stand-in's program of Jitsi's packages with settings of its own. */
function program(name: string, file: string, settings: object, path = ''): ChildProcess {
  lab.role.write(`/${name}.conf`, JSON.stringify(settings));
  lab.role.write('/none/stand-in', '');
  const env = {
    ...process.env,
    PATH: `${path}:${process.env.PATH}`,
    PYTHONPATH: join(PACKAGES, 'common'),
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const args = [join(PACKAGES, file), lab.role.path(`/${name}.conf`), lab.role.path(`/${name}.properties`)];
  const child = spawn('/usr/bin/python3', args, { env, stdio: ['pipe', 'ignore', 'pipe'] });
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  running.push(child);
  return child;
}
let said = '';

/** Joins a brewery with the focus's account, from a session beside the focus's. */
async function brewery(name: string): Promise<{ client: Client; room: string }> {
  const account = { host: `auth.${DOMAIN}`, user: 'focus', password: FOCUS_PASSWORD };
  const client = lab.keep(await Client.login({ site: lab.site, account }));
  const room = `${name}@internal.auth.${DOMAIN}`;
  // Under a nick of its own: what is sent to `focus` goes to that one.
  expect((await client.join(room, 'check')).error).toBeUndefined();
  return { client, room };
}

/** The next presence of an occupant, from the given stanza on. */
const next = (client: Client, occupant: string, from: number, fits = (_: string) => true) =>
  client.wait(
    (stanza) => stanza.getName() === 'presence' && stanza.attrs.from === occupant && fits(stanza.toString()),
    from,
    `presence of ${occupant}; ${said}`,
  );

describe.skipIf(!prosody)('what the stand-ins say, by the classes of Jitsi', () => {
  beforeAll(async () => {
    classes = new JitsiClasses();
    lab = await Lab.start(prosody!, {
      autoOwner: true,
      hostModule: 'from_inside',
      accounts: [
        ['auth', 'jibri', JIBRI_PASSWORD],
        ['auth', 'jvb', PASSWORD],
      ],
      config: [
        ['        "limits_exception";\n', '        "limits_exception";\n        "stanza_debug";\n'],
        // It would end what it did not begin.
        ['        "lesson_recording";\n', ''],
      ],
    });
  }, 180_000);
  afterAll(async () => {
    for (const each of running) await end(each);
    await lab?.stop();
    classes?.stop();
  });

  it('a class refuses what is not its protocol, so that a row can fail', async () => {
    const conference =
      "<conference xmlns='http://jitsi.org/protocol/focus' room='r@c' ready='true' made='up'/>";
    await expect(
      understood(`<iq xmlns='jabber:client' type='result' id='1'>${conference}</iq>`),
    ).rejects.toThrow();
    const jibri = "<jibri xmlns='http://jitsi.org/protocol/jibri' status='paused'/>";
    await expect(understood(`<iq xmlns='jabber:client' type='set' id='1'>${jibri}</iq>`)).rejects.toThrow();
    const unknown = "<iq xmlns='jabber:client' type='set' id='1'><jibri xmlns='urn:another'/></iq>";
    await expect(understood(unknown)).rejects.toThrow('no class');
    await expect(classes.make({ make: 'jibri.JibriIq', type: 'set', with: { pause: 'X' } })).rejects.toThrow(
      'JibriIq has no property pause',
    );
  });

  it('focus takes the conference request of the classes, and they its answers', async () => {
    const room = lab.room();
    const teacher = await lab.teacher(room);
    const request: Making = {
      make: 'jitsimeet.ConferenceIq',
      type: 'set',
      to: `focus.${DOMAIN}`,
      with: { room, machineUID: 'a-machine' },
    };
    const answer = await ask(teacher, request);
    expect((await understood(answer)).classes).toEqual(['ConferenceIq', 'Property']);
    expect(answer.getChild('conference')?.attrs).toMatchObject({ room, ready: 'true', focusjid: FOCUS });
    expect(answer.getChild('conference')?.getChild('property')?.attrs).toEqual({
      name: 'authentication',
      value: 'false',
    });
    const refused = await ask(teacher, { ...request, with: {} });
    expect((await understood(refused)).classes).toEqual([]);
    expect(refused.getChild('error')?.getChild('bad-request')).toBeTruthy();
  });

  it('everything that focus sends is of classes that Jicofo has', async () => {
    const room = lab.room();
    // The first one in is no teacher: focus asks for ownership, and is refused.
    const pupil = await lab.pupil(room);
    await lab.enter(pupil, room, 'pupil');
    await lab.logged(`Failed to grant ownership in ${room}`, 'focus');
    await pupil.leave(room, 'pupil');
    const sent = () =>
      [...lab.log().matchAll(/RECV: (<(?:iq|presence|message)\b.*)$/gm)]
        .map(([, xml = '']) => xml)
        .filter((xml) => xml.includes(`to='${room}`) && !xml.includes('pupil'));
    await until('focus leaves', () => sent().some((xml) => xml.includes("type='unavailable'")));
    const kinds = new Set<string>();
    for (const xml of sent()) {
      const stanza = xml.replace(/^<(\w+)/, "<$1 xmlns='jabber:client'");
      const reading = await understood(
        stanza.replace(/ xmlns='jabber:client'(?=.* xmlns='jabber:client')/, ''),
      );
      kinds.add(reading.classes.join('+'));
    }
    expect([...kinds].sort()).toEqual(['', 'MUCAdmin', 'MUCOwner', 'MUCOwner+DataForm']);
  });

  it('who somebody is, is read from presence', async () => {
    const room = lab.room();
    const [teacher, pupil] = [
      await lab.teacher(room),
      await lab.pupil(room, {
        claims: {
          context: {
            user: { id: 'pupil-9', name: 'Ada & Bob', avatar: 'https://app.example.org/a.png' },
            group: 'class-7',
          },
        },
      }),
    ];
    await lab.enter(teacher, room, 'teacher');
    await pupil.join(room, 'pupil');
    const seen = await next(teacher, `${room}/pupil`, 0);
    expect((await understood(seen)).classes).toContain('IdentityPacketExtension');
  });

  it('what focus asks of a recorder, answers and shows in the room is of the classes that Jibri and Jicofo have', async () => {
    const lesson = lab.room();
    const teacher = await lab.teacher(lesson);
    await lab.enter(teacher, lesson, 'teacher');
    const asked = (attributes: Record<string, string>) =>
      lab.fromInside(
        `<iq xmlns='jabber:client' type='set' id='asked' from='${lesson}/teacher' to='${FOCUS}/focus'>${jibri(attributes)}</iq>`,
      );
    const start = {
      action: 'start',
      recording_mode: 'file',
      app_data: '{"file_recording_metadata":{"lesson":"L1"}}',
    };
    const inClient = (element: Element) =>
      element.toString().replace(/^<iq (?!.*?xmlns=['"]jabber:client)/, "<iq xmlns='jabber:client' ");

    const recorder = await ScriptedRecorder.join(lab);
    const taken = await asked(start);
    expect((await understood(inClient(taken!))).classes).toEqual(['JibriIq']);
    const { element } = await recorder.started();
    // The classes of the public release do not know yet what Jicofo adds for its tracing.
    const request = parse(element.toString());
    request.getChild('jibri')!.children = [];
    expect((await understood(request)).classes).toEqual(['JibriIq']);
    expect(await recorder.tell({ status: 'on' })).toBeUndefined();
    const on = await next(
      teacher,
      `${lesson}/focus`,
      0,
      (xml) => xml.includes('jibri-recording-status') && xml.includes('"on"'),
    );
    expect((await understood(on)).classes).toContain('RecordingStatus');

    const from = teacher.stanzas.length;
    expect(
      await recorder.tell({ status: 'off', failure_reason: 'error', should_retry: 'false' }),
    ).toBeUndefined();
    const off = await next(teacher, `${lesson}/focus`, from, (xml) => xml.includes('failure_reason'));
    expect((await understood(off)).classes).toContain('RecordingStatus');
    expect(off.getChild('jibri-recording-status')!.attrs).toMatchObject({
      status: 'off',
      failure_reason: 'error',
    });
    recorder.close();
    await lab.logged(`recorder gone: ${recorder.occupant}`, 'focus');
  });

  it("a recorder's presence and recording are the protocol of Jibri, start and stop those of Jicofo", async () => {
    const { client, room } = await brewery('jibribrewery');
    const lesson = lab.room();
    const teacher = await lab.teacher(lesson);
    await lab.enter(teacher, lesson, 'teacher');
    lab.role.write(
      '/bin/ffmpeg',
      '#!/bin/sh\ntrap "exit 0" INT\nfor file; do :; done\necho picture >"$file"\nwhile kill -0 $PPID; do sleep 0.1; done\n',
      0o755,
    );
    const login = (user: string, host: string, password: string) => ({
      username: user,
      domain: `${host}.${DOMAIN}`,
      password,
      port: lab.c2s,
    });
    const environment = {
      'xmpp-server-hosts': ['127.0.0.1'],
      'control-login': login('jibri', 'auth', JIBRI_PASSWORD),
      'control-muc': {
        domain: `internal.auth.${DOMAIN}`,
        'room-name': 'jibribrewery',
        nickname: 'recorder-1',
      },
      'call-login': login('recorder', 'recorder', 'recorder-password-of-these-tests'),
      'strip-from-room-domain': 'conference.',
    };
    const ports = { 'external-api-port': await freePort(), 'internal-api-port': await freePort() };
    program(
      'jibri',
      'jibri/usr/share/jibri/recorder.py',
      {
        jibri: {
          api: { http: ports, xmpp: { environments: [environment] } },
          recording: { 'recordings-directory': lab.role.path('/recordings') },
        },
      },
      lab.role.path('/bin'),
    );
    const occupant = `${room}/recorder-1`;
    const idle = await next(client, occupant, 0);
    expect((await understood(idle)).classes).toContain('JibriStatusPacketExt');
    expect(idle.toString()).toContain('status="idle"');

    const start: Making = {
      make: 'jibri.JibriIq',
      type: 'set',
      to: occupant,
      with: {
        action: 'START',
        room: lesson,
        sessionId: 'a-session',
        recordingMode: 'FILE',
        appData: JSON.stringify({ file_recording_metadata: { share: true } }),
        rtcStatsEnabled: true,
      },
    };
    const from = client.stanzas.length;
    const pending = await ask(client, start);
    expect((await understood(pending)).classes).toEqual(['JibriIq']);
    expect(pending.getChild('jibri')?.attrs.status).toBe('pending');
    await understood(await next(client, occupant, from, (xml) => xml.includes('"busy"')));
    const on = await client.wait((stanza) => stanza.getChild('jibri')?.attrs.status === 'on', from);
    expect((await understood(on)).classes).toEqual(['JibriIq']);
    client.send(
      `<iq xmlns='jabber:client' type='result' id='${String(on.attrs.id)}' to='${String(on.attrs.from)}'/>`,
    );
    const recorder = teacher.stanzas.find(
      (stanza) => presenceOf(stanza).jid?.startsWith(`recorder@recorder.${DOMAIN}`) ?? false,
    );
    expect((await understood(recorder!)).classes).toContain('FeaturesExtension');

    const busy = await ask(client, start);
    expect((await understood(busy)).classes).toEqual(['JibriIq']);
    expect(busy.getChild('jibri')?.attrs).toMatchObject({
      status: 'off',
      failure_reason: 'busy',
      should_retry: 'true',
    });

    const stopped = client.stanzas.length;
    const stop = { action: 'STOP', sessionId: 'a-session' };
    const off = await ask(client, { make: 'jibri.JibriIq', type: 'set', to: occupant, with: stop });
    expect((await understood(off)).classes).toEqual(['JibriIq']);
    expect(off.getChild('jibri')?.attrs.status).toBe('off');
    await understood(await next(client, occupant, stopped, (xml) => xml.includes('"idle"')));
  });

  it("a bridge's figures are the ones that Jicofo reads", async () => {
    const { client, room } = await brewery('jvbbrewery');
    const config = {
      hostname: '127.0.0.1',
      port: lab.c2s,
      domain: `auth.${DOMAIN}`,
      username: 'jvb',
      password: PASSWORD,
      muc_jids: room,
      muc_nickname: 'bridge-1-1',
      disable_certificate_verification: true,
    };
    program('jvb', 'jitsi-videobridge2/usr/share/jitsi-videobridge/bridge.py', {
      videobridge: {
        apis: { 'xmpp-client': { configs: { shard: config } } },
        ice: { udp: { port: await freePort() } },
        'http-servers': { private: { port: await freePort() } },
        relay: { enabled: true, region: 'eu', 'relay-id': 'bridge-1-1' },
      },
    });
    const presence = await next(client, `${room}/bridge-1-1`, 0);
    expect((await understood(presence)).classes).toContain('ColibriStatsExtension');
    const figures = Object.fromEntries(
      presence
        .getChild('stats')!
        .getChildren('stat')
        .map(({ attrs }) => [attrs.name as string, attrs.value as string]),
    );
    expect(figures).toMatchObject({ drain: 'false', region: 'eu', relay_id: 'bridge-1-1', colibri2: 'true' });
  });
});
