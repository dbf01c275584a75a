import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { bucketFolder } from '../../../local/store/local-store';
import { contract } from '../../contracts';
import type { School } from '../../engine/school';
import type { Told } from '../../prosody/app';
import { ran, until } from '../booted-cloud';
import type { BootedHost } from '../booted-host';
import { Lesson, type Entrance } from '../lesson';
import type { LessonApp } from './lesson-app';

/** How long the uploader may take from the end of a recording, seconds: it looks every 20 s, others boot meanwhile. */
export const UPLOAD_SECONDS = 240;
/** How long it may take until a lesson is recorded, or recorded again, seconds. */
export const START_SECONDS = 120;

/** A recorder's own view of itself. */
export interface RecorderStatus {
  draining: boolean;
  instances: { name: string; state: string; lesson: string | null; since: string | null }[];
  uploads: number;
  quarantine: string[];
}

/** `meta.json` of a recording in the store. */
export interface Meta {
  lesson: string | null;
  room: string | null;
  session: string;
  part: string;
  recorder: string;
  instance: number;
  startedAt: string;
  endedAt: string;
  durationMs: number;
  complete: boolean;
  video: { bytes: number; sha256: string };
}

const validEvent = contract('event');
const validMeta = contract('meta');
const files = ['meta.json', 'poster.jpg', 'storyboard.jpg', 'storyboard.vtt', 'video.mp4'];

/** A school with recorders that has booted, its app and its store. */
export class Recorded {
  /** Lessons that somebody is still in. */
  private readonly open = new Set<Lesson>();

  constructor(
    readonly school: School,
    readonly entrance: Entrance,
    readonly jitsi: BootedHost,
    /** Recorders by name. */
    readonly recorders: Record<string, BootedHost>,
    readonly lessonApp: LessonApp,
  ) {}

  /** Somebody comes to a lesson, by default one that is to be recorded; its id is the room's name after `lesson-`. */
  async join(room: string, moderator = true, recorded = true): Promise<Lesson> {
    const claims = { moderator, ...(recorded && { lesson: `lesson-${room}` }) };
    const lesson = await Lesson.enter(this.entrance, room, claims);
    this.open.add(lesson);
    return lesson;
  }

  /** Somebody goes; Jibri waits half a minute for others. */
  leave = (lesson: Lesson): Promise<void> => this.gone(lesson, lesson.end());

  /** Teachers end their lessons for all. */
  async end(...lessons: Lesson[]): Promise<void> {
    await Promise.all(lessons.map((lesson) => this.gone(lesson, lesson.endForAll())));
  }

  private gone(lesson: Lesson, end: Promise<void>): Promise<void> {
    this.open.delete(lesson);
    return end;
  }

  /** Whoever is in a room. */
  inRoom = (room: string): Lesson[] => [...this.open].filter((lesson) => lesson.room === room);

  /** Rooms that the app was told of and whose names begin so. */
  rooms = (start: string): string[] =>
    [...new Set(this.lessonApp.app.told.map(({ data }) => data.room))].filter((room) =>
      room?.startsWith(start),
    );

  /** Every lesson ends. */
  endAll = (): Promise<void> => this.end(...this.open);

  /** What the app was told of a room. */
  told = (room: string, type?: string): Told[] =>
    this.lessonApp.app.of(room).filter((event) => type === undefined || event.type === type);

  /** Waits until the app has been told something of a room so many times; answers the last one. */
  async tells(room: string, type: string, times = 1, seconds = START_SECONDS): Promise<Told> {
    await until(
      `${type} of ${room}`,
      () => Promise.resolve(this.lessonApp.app.of(room).map((event) => event.type)),
      (types) => types.filter((each) => each === type).length >= times,
      seconds,
    );
    return this.told(room, type)[times - 1]!;
  }

  /**
   * Waits until so many recordings of a room are in the store and the app knows of them, and looks at each: objects,
   * checksum, `meta.json` by the contract, video and sound by ffprobe. In order of their start.
   */
  async stored(room: string, parts = 1): Promise<Meta[]> {
    await this.tells(room, 'recording.stored', parts, UPLOAD_SECONDS);
    // One that comes twice would come with another part.
    const events = this.told(room, 'recording.stored');
    const metas = events.map(({ data }) => data['meta'] as Meta);
    expect(new Set(metas.map(({ part }) => part)).size).toBe(parts);
    for (const { data } of events) await this.examine(data['prefix'] as string, data['meta'] as Meta);
    expect(this.objects(`recordings/lesson-${room}/`).filter((name) => name.endsWith('meta.json'))).toHaveLength(
      parts,
    ); // prettier-ignore
    return metas.sort((one, other) => one.startedAt.localeCompare(other.startedAt));
  }

  private async examine(prefix: string, meta: Meta): Promise<void> {
    expect(validMeta(meta)).toEqual([]);
    expect(prefix).toBe(`recordings/${meta.lesson ?? 'unknown'}/${meta.session}/${meta.part}`);
    expect(this.objects(`${prefix}/`)).toEqual(files.map((name) => `${prefix}/${name}`));
    expect(JSON.parse(this.object(`${prefix}/meta.json`).toString())).toEqual(meta);
    const video = this.object(`${prefix}/video.mp4`);
    expect(createHash('sha256').update(video).digest('hex')).toBe(meta.video.sha256);
    const show = ['-show_entries', 'stream=codec_type:format=duration', '-of', 'json'];
    const probe = await ran(['ffprobe', '-v', 'error', ...show, join(this.bucket, `${prefix}/video.mp4`)]);
    expect(probe).toMatchObject({ code: 0, stderr: '' });
    const shown = JSON.parse(probe.stdout) as {
      streams: { codec_type: string }[];
      format: { duration: string };
    };
    expect(shown.streams.map(({ codec_type }) => codec_type).sort()).toEqual(['audio', 'video']);
    expect(Math.abs(Number(shown.format.duration) * 1000 - meta.durationMs)).toBeLessThan(50);
  }

  private get bucket(): string {
    return bucketFolder(this.jitsi.place.store, 'school-recordings');
  }

  private objects(prefix: string): string[] {
    const folder = join(this.bucket, prefix);
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.bucket.length + 1))
      .sort();
  }

  private object = (name: string): Buffer => readFileSync(join(this.bucket, name));

  /** Whether all that the app was told is signed and as the contract wants it. */
  expectGoodEvents(): void {
    const { app } = this.lessonApp;
    expect(app.forged).toEqual([]);
    for (const { type, timestamp, data } of app.told) {
      const event = { type, timestamp, data };
      expect({ event, wrong: validEvent(event) }).toEqual({ event, wrong: [] });
    }
  }

  /** What a recorder says of itself to the Jitsi host. */
  async status(recorder: string): Promise<RecorderStatus> {
    const ask = `import json, pools; print(json.dumps(pools.status('${recorder}')))`;
    return JSON.parse(
      await this.jitsi.run(`PYTHONPATH=/usr/local/lib/platform python3 -c "${ask}"`),
    ) as RecorderStatus;
  }

  /** The recorder, and the unit of its instance, that an event names. */
  recorderOf({ data }: Told): { host: BootedHost; name: string; instance: string } {
    const [, name, instance] = /^(recorder-\d+)-(\d+)$/.exec(String(data['recorder'])) ?? [];
    if (name === undefined) throw new Error(`no recorder in ${JSON.stringify(data)}`);
    return { host: this.recorders[name]!, name, instance: instance! };
  }

  /** Waits until all recorders that answer are idle and have nothing left to upload. */
  async quiet(): Promise<void> {
    for (const name of Object.keys(this.recorders)) {
      await until(
        `${name} is idle`,
        () => this.status(name),
        ({ instances, uploads }) => uploads === 0 && instances.every(({ state }) => state === 'idle'),
        UPLOAD_SECONDS,
      );
    }
  }
}
