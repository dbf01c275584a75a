import { spawnSync } from 'node:child_process';

/** A black recording has perfect counts, too: look at its colours as well. */
export interface FrameCounts {
  frames: number;
  /** Frames that differ from the one before. */
  distinct: number;
}

const decoded = (args: string[]): Buffer => {
  const { status, stdout, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-nostdin', ...args, '-'], {
    maxBuffer: 1e9,
  });
  if (status !== 0) throw new Error(`ffmpeg ${args.join(' ')}: ${stderr.toString()}`);
  return stdout;
};

/** Counts the frames of a recording, and of these the distinct ones. */
export function frameCounts(file: string): FrameCounts {
  const lines = decoded(['-i', file, '-map', '0:v', '-fps_mode', 'passthrough', '-f', 'framemd5'])
    .toString()
    .split('\n')
    .filter((line) => /^0,/.test(line))
    .map((line) => line.split(',').map((field) => field.trim()));
  const digests = lines.map((fields) => fields.at(-1)!);
  return {
    frames: digests.length,
    distinct: digests.filter((digest, at) => digest !== digests[at - 1]).length,
  };
}

/**
 * Mean colour of a part of the picture.
 *
 * @param part ffmpeg's crop: width:height:left:top, in pixels
 * @param second where in the recording
 * @returns red, green and blue, 0 to 255
 */
export const colorOf = (file: string, part: string, second: number): number[] => [
  ...decoded([
    ...['-ss', String(second), '-i', file, '-frames:v', '1', '-vf', `crop=${part},scale=1:1:flags=area`],
    ...['-f', 'rawvideo', '-pix_fmt', 'rgb24'],
  ]),
];

/** Loudness of one frequency in the middle half of a recording, in dB of full scale: 0 or less. */
export function toneOf(file: string, frequency: number): number {
  const rate = 44_100;
  const bytes = decoded(['-i', file, '-map', '0:a', '-ac', '1', '-ar', String(rate), '-f', 's16le']);
  const all = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
  const samples = all.subarray(all.length >> 2, (all.length * 3) >> 2);
  // Goertzel's algorithm, one bin of a Fourier transform, of each tenth of a second: a gap moves the phase.
  const length = rate / 10;
  const step = 2 * Math.cos((2 * Math.PI * frequency) / rate);
  let power = 0;
  let parts = 0;
  for (let from = 0; from + length <= samples.length; from += length) {
    let [before, last] = [0, 0];
    for (const sample of samples.subarray(from, from + length))
      [before, last] = [last, sample / 32768 + step * last - before];
    power += (last * last + before * before - step * last * before) / (length / 2) ** 2;
    parts += 1;
  }
  return parts === 0 ? -Infinity : 10 * Math.log10(Math.max(power / parts, 1e-12));
}
