import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { contract } from '../contracts';
import { LessonApp } from './lesson-app';
import { boxes, makeRecording, mustPlay, packetDigest, probe, sha256 } from './media';
import { Recorder } from './recorder';
import { Store } from './store';

// Real ffmpeg and rclone beside whatever else the machine does.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const scratch = mkdtempSync(join(tmpdir(), 'lesson-platform-media-'));
const short = join(scratch, 'short.mp4');
const large = join(scratch, 'large.mp4');
/** A moment long ago enough for nothing to be written any more. */
const ended = Date.parse('2026-11-24T10:00:10.250Z') / 1000;

let store: Store;
let app: LessonApp;
let recorder: Recorder;

beforeAll(() => {
  makeRecording(short, 12);
  makeRecording(large, 5, { noisy: true });
  // Several parts of 16 MiB each.
  expect(statSync(large).size).toBeGreaterThan(40e6);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

beforeEach(async () => {
  store = await Store.start();
  app = await LessonApp.start();
  recorder = await Recorder.start(store, app);
});
afterEach(async () => {
  recorder.stop();
  app.close();
  await store.stop();
});

const files = ['meta.json', 'poster.jpg', 'storyboard.jpg', 'storyboard.vtt', 'video.mp4'];

describe('a finished recording', () => {
  it('is stored with its pictures and meta.json, and the app is told', async () => {
    recorder.record(short, 1, 'session-a', { lesson: 'L1', ended });
    recorder.finish(1, 'session-a');
    expect(await recorder.upload()).toMatchObject({ code: 0 });

    const seconds = probe(short).seconds;
    const started = new Date(Math.round((ended - seconds) * 1000));
    const part = `${recorder.name}-1-${started.toISOString().replace(/[-:]|\.\d+/g, '')}`;
    const place = `recordings/L1/session-a/${part}`;
    expect(store.objects()).toEqual(files.map((file) => `${place}/${file}`));

    const meta = JSON.parse(store.object(`${place}/meta.json`).toString()) as { durationMs: number };
    expect(contract('meta')(meta)).toEqual([]);
    for (const name of store.objects()) expect(contract('object-key')(name)).toEqual([]);
    const video = store.object(`${place}/video.mp4`);
    const described = (file: string) => {
      const bytes = store.object(`${place}/${file}`);
      return { bytes: bytes.length, sha256: sha256(bytes) };
    };
    expect(meta).toEqual({
      format: 1,
      lesson: 'L1',
      room: 'algebra-7b',
      shard: 'meet.example.org',
      meeting: 'meeting-of-session-a',
      session: 'session-a',
      part,
      recorder: recorder.name,
      instance: 1,
      startedAt: expect.stringMatching(/^2026-11-24T09:59:5\d\.\d{3}Z$/) as string,
      endedAt: '2026-11-24T10:00:10.250Z',
      durationMs: expect.any(Number) as number,
      complete: true,
      video: { bytes: video.length, sha256: sha256(video), width: 1280, height: 720, codec: 'h264' },
      files: {
        'poster.jpg': described('poster.jpg'),
        'storyboard.jpg': described('storyboard.jpg'),
        'storyboard.vtt': described('storyboard.vtt'),
      },
    });
    expect(Math.abs(meta.durationMs - seconds * 1000)).toBeLessThan(100);

    expect(app.events).toHaveLength(1);
    const [{ id, event }] = app.events as [(typeof app.events)[0]];
    expect(id).toBe(`stored-${part}`);
    expect(contract('event')(event)).toEqual([]);
    expect(event).toMatchObject({
      type: 'recording.stored',
      data: { lesson: 'L1', room: 'algebra-7b', shard: 'meet.example.org', prefix: place, meta },
    });
    // Nothing is left to do, and a copy is kept.
    expect(await recorder.upload()).toEqual({ code: 0, output: '' });
    expect(recorder.backlog()).toMatchObject({ uploads: 0, quarantine: [], untold: 0 });
    expect(recorder.folders('stored')).toEqual([part]);
    expect(app.events).toHaveLength(1);
  });

  it('can be played from its beginning, and shows what was recorded', async () => {
    recorder.record(short, 1, 'session-a', { lesson: 'L1', ended });
    recorder.finish(1, 'session-a');
    await recorder.upload();
    const stored = (file: string) => {
      const name = store.objects().find((one) => one.endsWith(`/${file}`))!;
      return join(store.folder, 'buckets', 'school-recordings', name);
    };
    expect(boxes(stored('video.mp4')).join()).toMatch(/^ftyp,moov,(free,)?mdat$/);
    expect(packetDigest(stored('video.mp4'))).toBe(packetDigest(short));
    mustPlay(stored('video.mp4'));
    expect(probe(stored('poster.jpg'))).toMatchObject({ width: 640, height: 360 });
    // 12 seconds: three pictures, one for each five.
    expect(probe(stored('storyboard.jpg'))).toMatchObject({ width: 480, height: 90 });
    expect(readFileSync(stored('storyboard.vtt'), 'utf8').trim().split('\n\n').slice(0, 3)).toEqual([
      'WEBVTT',
      '00:00:00.000 --> 00:00:05.000\nstoryboard.jpg#xywh=0,0,160,90',
      '00:00:05.000 --> 00:00:10.000\nstoryboard.jpg#xywh=160,0,160,90',
    ]);
  });

  it('is one of several parts when its session came back to the same recorder', async () => {
    recorder.record(short, 1, 'session-a', { lesson: 'L1', ended });
    recorder.finish(1, 'session-a');
    recorder.record(short, 1, 'session-a', { lesson: 'L1', ended: ended + 60 });
    recorder.finish(1, 'session-a');
    // Two in one folder, and in the same second.
    recorder.record(short, 2, 'session-a', { lesson: 'L1', ended });
    const folder = recorder.folder(2, 'session-a');
    makeRecording(join(folder, 'algebra-7b_2026-11-24-11-00-00.mp4'), 3);
    recorder.finish(2, 'session-a');
    expect(await recorder.upload()).toMatchObject({ code: 0 });
    const parts = new Set(store.objects().map((name) => name.split('/').slice(0, 4).join('/')));
    expect(parts.size).toBe(4);
    expect(app.catalogue.size).toBe(4);
  });
});

describe('what a crash left', () => {
  it('is stored with the lesson that the signalling knows', async () => {
    recorder.note('session-k', {
      lesson: 'L7',
      room: 'physics-8',
      meeting: 'meeting-7',
      shard: 'meet.example.org',
    });
    // Cut in the middle of a fragment.
    const whole = readFileSync(short);
    const cut = join(scratch, 'cut.mp4');
    writeFileSync(cut, whole.subarray(0, whole.length * 0.7));
    recorder.record(cut, 1, 'session-k', { ended, killed: true });
    expect(await recorder.upload()).toMatchObject({ code: 0 });
    const [event] = [...app.catalogue.values()];
    expect(event?.data).toMatchObject({
      lesson: 'L7',
      meta: { lesson: 'L7', room: 'physics-8', meeting: 'meeting-7', session: 'session-k', complete: false },
    });
    const video = store.objects().find((name) => name.endsWith('video.mp4'))!;
    mustPlay(join(store.folder, 'buckets', 'school-recordings', video));
  });

  it('waits for a Jitsi host that does not answer, but not for ever', async () => {
    const now = Date.now() / 1000 - 300;
    recorder.record(short, 1, 'session-k', { ended: now, killed: true });
    recorder.jitsiIsSilent();
    const { code, output } = await recorder.upload();
    expect(code).toBe(4);
    expect(output).toContain('whose lesson it is cannot be asked: 127.0.0.1');
    expect(recorder.backlog().uploads).toBe(1);
    const [entry] = recorder.folders('upload');
    const folder = recorder.role.path(`/var/lib/jibri/upload/${entry}`);
    const media = readdirSync(folder).find((name) => name.endsWith('.mp4'))!;
    utimesSync(join(folder, media), ended, ended);
    expect((await recorder.upload('--now')).code).toBe(0);
    expect(store.objects()[0]).toMatch(/^recordings\/unknown\/session-k\//);
    expect([...app.catalogue.values()][0]?.data.lesson).toBeNull();
  });

  it('is left alone while something writes to it', async () => {
    recorder.record(short, 1, 'session-k', { ended: Date.now() / 1000, killed: true });
    expect(await recorder.upload()).toEqual({ code: 0, output: '' });
    expect(recorder.backlog().uploads).toBe(1);
  });

  it.each([
    ['a lesson that could not stand in a name', '../../elsewhere'],
    ['an empty lesson', ''],
  ])('goes to unknown with %s', async (_, lesson) => {
    recorder.record(short, 1, 'session-k', { lesson, ended });
    recorder.finish(1, 'session-k');
    expect((await recorder.upload()).code).toBe(0);
    expect(store.objects()[0]).toMatch(/^recordings\/unknown\/session-k\//);
  });
});

describe('what cannot be stored', () => {
  const spoil: [string, (folder: string) => void, RegExp][] = [
    ['no media', (folder) => rmSync(join(folder, 'algebra-7b_2026-11-24-10-00-00.mp4')), /no media in it/],
    [
      'an empty file',
      (folder) => writeFileSync(join(folder, 'algebra-7b_2026-11-24-10-00-00.mp4'), ''),
      /Invalid data|moov atom/,
    ],
    [
      'a file that is no video',
      (folder) => writeFileSync(join(folder, 'algebra-7b_2026-11-24-10-00-00.mp4'), 'x'.repeat(50_000)),
      /Invalid data|moov atom/,
    ],
    [
      'a way out of its folder',
      (folder) => {
        const file = join(folder, 'algebra-7b_2026-11-24-10-00-00.mp4');
        rmSync(file);
        symlinkSync('/etc/shadow', file);
      },
      /is no plain file/,
    ],
  ];
  it.each(spoil)('%s is kept in quarantine and reported, and stops nobody', async (_, change, reason) => {
    recorder.record(short, 1, 'session-b', { lesson: 'L2', ended });
    change(recorder.folder(1, 'session-b'));
    recorder.finish(1, 'session-b');
    recorder.record(short, 2, 'session-a', { lesson: 'L1', ended });
    recorder.finish(2, 'session-a');
    const { code, output } = await recorder.upload();
    expect(code).toBe(4);
    expect(output).toMatch(reason);
    expect(app.catalogue.size).toBe(1);
    for (const { event } of app.events) expect(contract('event')(event)).toEqual([]);
    expect(app.events.map(({ event }) => event)).toContainEqual({
      type: 'recording.quarantined',
      timestamp: expect.stringMatching(/Z$/) as string,
      data: {
        shard: null,
        room: null,
        lesson: null,
        meeting: null,
        session: 'session-b',
        recorder: recorder.name,
        instance: 1,
        folder: recorder.folders('quarantine')[0],
        reason: expect.stringMatching(reason) as string,
      },
    });
    expect(recorder.backlog()).toMatchObject({ uploads: 0, quarantine: [expect.any(String) as string] });
    expect(await recorder.upload('--now')).toMatchObject({ code: 0 });
    expect(recorder.folders('quarantine')).toHaveLength(1);
    const listed = await recorder.upload('--list');
    expect(listed.output).toMatch(/^quarantine {2}1\.session-b\./m);
  });
});

describe('the app', () => {
  it.each([
    ['refuses', () => (app.answers = 500), () => (app.answers = 204), 'the app answers 500'],
    ['is away', () => app.close(), () => app.open(), 'the app does not answer'],
  ])('is told again when it %s, with the same id', async (_, spoilIt, mend, said) => {
    spoilIt();
    recorder.record(short, 1, 'session-a', { lesson: 'L1', ended });
    recorder.finish(1, 'session-a');
    const { code, output } = await recorder.upload();
    // The recording is safe; the news waits.
    expect(code).toBe(0);
    expect(output).toContain(said);
    expect(recorder.backlog()).toMatchObject({ uploads: 0, untold: 1 });
    await mend();
    expect((await recorder.upload('--now')).code).toBe(0);
    expect(app.catalogue.size).toBe(1);
    expect(recorder.backlog().untold).toBe(0);
    await recorder.upload('--now');
    expect(app.events).toHaveLength(1);
  });
});

describe('a large recording', () => {
  const record = () => {
    recorder.record(large, 1, 'session-a', { lesson: 'L1', ended });
    recorder.finish(1, 'session-a');
  };
  const storedVideo = () => store.object(store.objects().find((name) => name.endsWith('video.mp4'))!);

  it('goes on where the network broke', async () => {
    record();
    // So slow that it is under way for some seconds.
    store.way.rate = 10e6;
    const uploaded = recorder.upload();
    await expect.poll(() => store.way.sent, { timeout: 120_000 }).toBeGreaterThan(20e6);
    store.way.break();
    await sleep(1500);
    store.way.rate = 0;
    store.way.mend();
    const { code, output } = await uploaded;
    expect(output).not.toContain('again in');
    expect(code).toBe(0);
    expect(packetDigest(large)).toBe(
      packetDigest(join(store.folder, 'buckets', 'school-recordings', store.objects().at(-1)!)),
    );
    // At most the parts that were under way went twice.
    expect(store.way.sent).toBeLessThan(statSync(large).size + 4 * 16 * 1024 * 1024);
  });

  it('leaves nothing half in the store when its upload is killed, once that is cleared', async () => {
    record();
    store.way.rate = 10e6;
    const run = recorder.spawn();
    const ends = once(run, 'close');
    await expect.poll(() => store.way.sent, { timeout: 120_000 }).toBeGreaterThan(20e6);
    process.kill(-run.pid!, 'SIGKILL');
    await ends;
    expect(store.brokenOff()).toBe(1);
    store.way.rate = 0;
    // Too young to be given up.
    const clear = (age: string) =>
      recorder.python(`from upload import store; store.clear_broken_off("${age}")`);
    expect(await clear('1h')).toEqual({ code: 0, output: '' });
    expect(store.brokenOff()).toBe(1);
    expect(await clear('0s')).toEqual({ code: 0, output: '' });
    expect(store.brokenOff()).toBe(0);
    expect((await recorder.upload()).code).toBe(0);
  });

  it('is not taken for stored when a bit fell over on its way', async () => {
    record();
    store.way.flipNext = true;
    expect((await recorder.upload()).code).toBe(0);
    expect(store.way.flipNext).toBe(false);
    const meta = [...app.catalogue.values()][0]!.data.meta!;
    expect(meta['video']).toMatchObject({ sha256: sha256(storedVideo()) });
  });

  it('is sent again when the store has something else', async () => {
    record();
    app.close();
    expect((await recorder.upload()).code).toBe(0);
    // A store that lost its mind, seen by the comparison alone.
    const script = [
      'import json, sys; from upload import store, spool',
      'entry = spool.Entry(sys.argv[1]); job = entry.job',
      'store.verify(job["prefix"], job["digests"]); print("fits")',
      'job["digests"]["video.mp4"].update(etag="0-3", sha256="0" * 64)',
      'store.verify(job["prefix"], job["digests"])',
    ].join('\n');
    const entry = recorder.role.path(`/var/lib/jibri/stored/${recorder.folders('stored')[0]}`);
    const { output, code } = await recorder.python(script, entry);
    expect(output).toMatch(/^fits\n[^]*video\.mp4 has other content than the file/);
    expect(code).toBe(1);
  });

  it('is compared by its content where the store’s ETag is no digest', async () => {
    record();
    recorder.role.adapt('/usr/local/lib/platform/upload/store.py', [
      ['return answer.headers.get("ETag", "").strip(\'"\')', 'return "made-up-3"'],
    ]);
    expect((await recorder.upload()).code).toBe(0);
    expect(app.catalogue.size).toBe(1);
  });

  it('waits while the store refuses its keys, and says no secret', async () => {
    recorder.stop();
    recorder = await Recorder.start(store, app, { ...store.keys, secretAccessKey: 'not the secret at all' });
    record();
    const { code, output } = await recorder.upload();
    expect(code).toBe(4);
    expect(output).toMatch(/rclone copy: .*(SignatureDoesNotMatch|403)/i);
    expect(output).not.toContain('not the secret');
    expect(recorder.backlog()).toMatchObject({ uploads: 1, quarantine: [] });
    expect(store.objects()).toEqual([]);
    recorder.role.adapt('/etc/platform/rclone.conf', [['not the secret at all', store.keys.secretAccessKey]]);
    expect((await recorder.upload('--now')).code).toBe(0);
    expect(app.catalogue.size).toBe(1);
  });
});

it.skipIf(process.getuid?.() !== 0)('a full store is waited for, and has nothing half', async () => {
  const tiny = await Store.start(20);
  const other = await Recorder.start(tiny, app);
  try {
    other.record(large, 1, 'session-a', { lesson: 'L1', ended });
    other.finish(1, 'session-a');
    const { code } = await other.upload();
    expect(code).toBe(4);
    expect(other.backlog()).toMatchObject({ uploads: 1, quarantine: [] });
    expect(app.catalogue.size).toBe(0);
    tiny.grow(400);
    expect(await other.upload('--now')).toMatchObject({ code: 0 });
    expect(app.catalogue.size).toBe(1);
  } finally {
    other.stop();
    await tiny.stop();
  }
});

it('two runs never do the same work', async () => {
  recorder.record(short, 1, 'session-a', { lesson: 'L1', ended });
  recorder.finish(1, 'session-a');
  store.way.rate = 20_000;
  const first = recorder.spawn();
  const ends = once(first, 'close');
  await expect.poll(() => store.way.sent, { timeout: 60_000 }).toBeGreaterThan(0);
  expect(await recorder.upload()).toEqual({ code: 0, output: 'another run is at work\n' });
  store.way.rate = 0;
  await ends;
  expect(app.events).toHaveLength(1);
});
