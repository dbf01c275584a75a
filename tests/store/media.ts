import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { recorderHostPlan } from '../../cloud-init/roles';
import { recorderValues } from '../host/role-values';

/** ffmpeg's settings for what it writes, as the recorder's plan gives them to Jibri. */
export function recordingSettings(): string[] {
  const plan = recorderHostPlan(recorderValues);
  const conf = plan.files['/etc/jitsi/jibri/instance-1/jibri.conf']!.content;
  const list = /video-params-recording = \[([^\]]*)\]/.exec(conf)![1]!;
  return [...list.matchAll(/"([^"]*)"/g)].map(([, word]) => word!);
}

const sources = (picture: string): string[] => [
  ...['-f', 'lavfi', '-i', picture],
  ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=44100'],
];

/** A recording of a test picture and a tone, with the very settings; small, or so noisy that it is large. */
export function makeRecording(file: string, seconds: number, { noisy = false, title = '' } = {}): void {
  const picture = `testsrc2=size=1280x720:rate=30${noisy ? ',noise=alls=70:allf=t' : ''}`;
  ffmpeg([
    ...sources(picture),
    ...['-t', String(seconds), '-metadata', `title=${title}`],
    ...recordingSettings(),
    file,
  ]);
}

/** A copy that differs by its title. */
export const retitled = (from: string, to: string, title: string): void =>
  ffmpeg([
    ...['-i', from, '-c', 'copy', '-metadata', `title=${title}`],
    ...['-movflags', '+frag_keyframe+empty_moov+default_base_moof', to],
  ]);

export function ffmpeg(args: string[]): void {
  const { status, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`ffmpeg ${args.join(' ')}\n${stderr}`);
}

/** A recording that goes on in real time until it is killed. */
export const liveRecording = (file: string): ChildProcess =>
  spawn(
    'ffmpeg',
    [
      ...['-v', 'error', '-nostdin', '-y', '-re', ...sources('testsrc2=size=1280x720:rate=30')],
      ...recordingSettings(),
      file,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );

interface Probe {
  format: { duration: string };
  streams: { codec_type: string; width?: number; height?: number }[];
}

export function probe(file: string): { seconds: number; kinds: string[]; width: number; height: number } {
  const { stdout, stderr } = spawnSync(
    'ffprobe',
    ['-v', 'error', '-of', 'json', '-show_format', '-show_streams', file],
    { encoding: 'utf8' },
  );
  if (stderr !== '') throw new Error(stderr);
  const { format, streams } = JSON.parse(stdout) as Probe;
  const picture = streams.find(({ codec_type }) => codec_type === 'video');
  return {
    seconds: Number(format.duration),
    kinds: streams.map(({ codec_type }) => codec_type).sort(),
    width: picture?.width ?? 0,
    height: picture?.height ?? 0,
  };
}

/** Decodes the whole file; throws with what ffmpeg has to complain of. */
export function mustPlay(file: string): void {
  const { stderr, status } = spawnSync('ffmpeg', ['-v', 'error', '-i', file, '-f', 'null', '-'], {
    encoding: 'utf8',
  });
  if (status !== 0 || stderr !== '') throw new Error(`${file} does not play: ${stderr}`);
}

/** A digest of the packets of all streams: the same however the file wraps them. */
export function packetDigest(file: string): string {
  const { stdout, status, stderr } = spawnSync(
    'ffmpeg',
    ['-v', 'error', '-i', file, '-map', '0', '-c', 'copy', '-f', 'streamhash', '-hash', 'md5', '-'],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** Kinds of the top-level boxes of an MP4. */
export function boxes(file: string): string[] {
  const bytes = readFileSync(file);
  const kinds: string[] = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const length = bytes.readUInt32BE(at);
    kinds.push(bytes.toString('latin1', at + 4, at + 8));
    at += length === 1 ? Number(bytes.readBigUInt64BE(at + 8)) : length;
  }
  return kinds;
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
