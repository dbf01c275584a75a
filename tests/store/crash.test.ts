import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { LessonApp } from './lesson-app';
import {
  boxes,
  liveRecording,
  makeRecording,
  mustPlay,
  packetDigest,
  probe,
  retitled,
  sha256,
} from './media';
import { Recorder } from './recorder';
import { bucket, Store } from './store';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Length of a fragment, seconds: `-g 60` at 30 pictures a second. */
const fragment = 2;
const long = process.env['TIER'] === 'soak';

const scratch = mkdtempSync(join(tmpdir(), 'lesson-platform-crash-'));
let store: Store;
let app: LessonApp;
let recorder: Recorder;

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
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

it('what ffmpeg wrote until it was killed can be played, but for the last fragment', async () => {
  // Killed at different places in a fragment, at the same time: they record in real time.
  const lives = Array.from({ length: long ? 12 : 3 }, (_, index) => {
    const file = join(scratch, `live-${index}.mp4`);
    return { file, live: liveRecording(file), after: 7000 + ((index * 700) % 2100) };
  });
  const written = await Promise.all(
    lives.map(async ({ file, live, after }) => {
      for (let tries = 0; tries < 1200 && !(existsSync(file) && statSync(file).size > 0); tries++)
        await sleep(50);
      await sleep(after);
      const ended = once(live, 'exit');
      live.kill('SIGKILL');
      await ended;
      // What the file holds: each fragment begins with a moof.
      return { file, fragments: boxes(file).filter((kind) => kind === 'moof').length };
    }),
  );
  for (const [index, { file, fragments }] of written.entries()) {
    expect(fragments).toBeGreaterThan(1);
    recorder.record(file, 1, `killed-${index}`, { ended: 1_790_000_000 + index * 60, killed: true });
  }
  expect(await recorder.upload()).toMatchObject({ code: 0 });
  const stored = store.objects().filter((name) => name.endsWith('video.mp4'));
  expect(stored).toHaveLength(lives.length);
  for (const [index, { fragments }] of written.entries()) {
    const name = stored.find((one) => one.includes(`/killed-${index}/`))!;
    const file = join(store.folder, 'buckets', bucket, name);
    mustPlay(file);
    expect(boxes(file).join()).toMatch(/^ftyp,moov,(free,)?mdat$/);
    const { seconds, kinds } = probe(file);
    expect(kinds).toEqual(['audio', 'video']);
    expect(seconds).toBeGreaterThan((fragments - 1) * fragment - 0.1);
  }
  expect([...app.catalogue.values()].map(({ data }) => data.meta!['complete'])).toEqual(
    lives.map(() => false),
  );
});

/** Numbers that look random and are the same for the same seed. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const recordings = long ? 100 : 8;
const base = join(scratch, 'base.mp4');
beforeAll(() => makeRecording(base, 2));

it(
  `${recordings} recordings through kills, cuts and a slow store: each is there once`,
  async () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1e6);
    const random = randomNumbers(seed);
    const wanted = new Map<string, string>();
    let made = 0;
    const record = () => {
      const session = `session-${made}`;
      const file = join(scratch, `${session}.mp4`);
      retitled(base, file, session);
      wanted.set(session, packetDigest(file));
      const killed = made % 5 === 4;
      const lesson = `L-${made % 7}`;
      if (killed)
        recorder.note(session, { lesson, room: 'algebra-7b', meeting: 'm', shard: 'meet.example.org' });
      // Both instances end one in the same second now and then.
      recorder.record(file, 1 + (made % 2), session, {
        lesson,
        ended: 1_790_000_000 + (made >> 2) * 60,
        killed,
      });
      if (!killed) recorder.finish(1 + (made % 2), session);
      rmSync(file);
      made += 1;
    };

    let kills = 0;
    for (let round = 0; made < recordings || recorder.backlog().uploads > 0; round++) {
      for (let n = 0; n < 4 && made < recordings; n++) record();
      const run = recorder.spawn('--now');
      const ended = once(run, 'close');
      run.stdout!.resume();
      run.stderr!.resume();
      // Kills most of the time: 3 and above.
      const fault = Math.floor(random() * 7);
      // Enough runs end by themselves for the work to end.
      const after = 200 + random() * (round < recordings / 2 ? 4000 : 60_000);
      await Promise.race([ended, sleep(after)]);
      if (fault === 0) store.way.rate = 200_000;
      if (fault === 1) {
        store.way.break();
        await sleep(1000);
        store.way.mend();
      }
      if (fault === 2) app.answers = 503;
      if (run.exitCode === null && fault >= 3) {
        // The uploader alone, its ffmpeg and rclone going on; or all at once, as when the host dies.
        process.kill(fault % 2 === 1 ? run.pid! : -run.pid!, 'SIGKILL');
        kills += 1;
      }
      await ended;
      store.way.rate = 0;
      app.answers = 204;
    }
    expect((await recorder.upload('--now')).code, `seed ${seed}`).toBe(0);
    process.stdout.write(`seed ${seed}: ${kills} kills\n`);

    const objects = store.objects();
    const folders = new Set(objects.map((name) => name.slice(0, name.lastIndexOf('/'))));
    expect(folders.size, `seed ${seed}`).toBe(recordings);
    expect(objects).toHaveLength(recordings * 5);
    expect(app.catalogue.size).toBe(recordings);
    expect(new Set([...app.catalogue.values()].map(({ data }) => data.meta!['session'])).size).toBe(
      recordings,
    );
    for (const { data } of app.catalogue.values()) {
      const meta = data.meta as unknown as {
        session: string;
        part: string;
        complete: boolean;
        video: { sha256: string };
        files: Record<string, { sha256: string }>;
      };
      const place = data['prefix'] as string;
      expect(JSON.parse(store.object(`${place}/meta.json`).toString())).toEqual(meta);
      expect(sha256(store.object(`${place}/video.mp4`))).toBe(meta.video.sha256);
      for (const [file, about] of Object.entries(meta.files))
        expect(sha256(store.object(`${place}/${file}`))).toBe(about.sha256);
      expect(packetDigest(join(store.folder, 'buckets', bucket, place, 'video.mp4'))).toBe(
        wanted.get(meta.session),
      );
      expect(data.lesson).toBe(`L-${Number(meta.session.split('-')[1]) % 7}`);
    }
    expect(recorder.backlog()).toMatchObject({ uploads: 0, quarantine: [], untold: 0 });
    expect(recorder.folders('stored')).toHaveLength(recordings);
  },
  long ? 3_600_000 : 400_000,
);

it('of a stored recording goes first what is old, and all that is told when the disk is full', async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const session of ['a', 'b', 'c']) {
    const file = join(scratch, `${session}.mp4`);
    retitled(base, file, session);
    recorder.record(file, 1, `session-${session}`, {
      lesson: 'L1',
      ended: now - 600 - session.charCodeAt(0) * 60,
    });
    recorder.finish(1, `session-${session}`);
  }
  app.answers = 500;
  expect((await recorder.upload()).code).toBe(0);
  app.answers = 204;
  const forget = (room: number) =>
    recorder
      .python(`from upload import spool; spool.forget_old(${room})`)
      .then(({ output }) => expect(output).toBe(''));
  const kept = () =>
    recorder
      .folders('stored')
      .map((part) => existsSync(recorder.role.path(`/var/lib/jibri/stored/${part}/files/video.mp4`)));
  await forget(0);
  expect(kept()).toEqual([true, true, true]);
  // Older than a day, and the app does not know of it yet.
  const [oldest] = recorder.folders('stored');
  const job = recorder.job('stored', oldest!);
  const path = recorder.role.path(`/var/lib/jibri/stored/${oldest}/job.json`);
  writeFileSync(path, JSON.stringify({ ...job, stored: Date.now() / 1000 - 90_000 }));
  await forget(0);
  expect(kept()).toEqual([false, true, true]);
  expect((await recorder.upload('--now')).code).toBe(0);
  expect(app.catalogue.size).toBe(3);
  await forget(0);
  expect(kept()).toEqual([true, true]);
  // No room: those that are stored and told go before their day is over.
  await forget(2 ** 62);
  expect(kept()).toEqual([]);
  expect(spawnSync('ls', ['-A', recorder.role.path('/var/lib/jibri/upload')]).stdout.toString()).toBe('');
});
