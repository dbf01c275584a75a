import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LessonApp } from '../tests/store/lesson-app';
import { makeRecording } from '../tests/store/media';
import { Recorder } from '../tests/store/recorder';
import { bucket, Store } from '../tests/store/store';
import { median, printRows, runsWanted, say } from './rows';

/**
 * Our upload of a prepared recording, comparison with the store included, against a plain `rclone copy` of the same
 * files in parts of the same size, side by side in one run, to the same S3 server.
 *
 * usage: npm run bench:upload [-- --runs N]   (default 5; the median of N pairs is quoted)
 */
const runs = runsWanted(5);
/** Bytes of the video: about what a lesson of 45 minutes has. */
const wantedBytes = 310e6;

/** rclone's own default is 5 MiB, which is slower. */
const parts = ['--s3-chunk-size', '16Mi', '--s3-upload-cutoff', '16Mi'];

/** The very step of `platform-upload`; the digests, which `meta.json` needs anyway, come before it and are a row of their own. */
const ours = `
import json, os, sys, time
from upload import store
folder, prefix = sys.argv[1:]
digests = {}
began = time.monotonic()
for name in sorted(os.listdir(folder)):
    digests[name] = store.digests(f"{folder}/{name}")
hashed = time.monotonic()
store.upload(folder, prefix, digests, again=False)
print(json.dumps({"digests": hashed - began, "upload": time.monotonic() - hashed}))
`;

async function main(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'lesson-platform-bench-'));
  const store = await Store.start();
  const app = await LessonApp.start();
  const recorder = await Recorder.start(store, app);
  recorder.role.adapt('/etc/platform/rclone.conf', [[store.endpoint, store.direct]]);
  try {
    const folder = join(scratch, 'files');
    mkdirSync(folder);
    const piece = join(scratch, 'piece.mp4');
    makeRecording(piece, 4, { noisy: true });
    const repeat = Math.ceil(wantedBytes / statSync(piece).size);
    const concat = ['-stream_loop', String(repeat - 1), '-i', piece, '-c', 'copy', join(folder, 'video.mp4')];
    const made = spawnSync('ffmpeg', ['-v', 'error', '-nostdin', ...concat], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
    for (const name of ['poster.jpg', 'storyboard.jpg', 'storyboard.vtt', 'meta.json'])
      cpSync(piece, join(folder, name));
    for (const name of ['poster.jpg', 'storyboard.jpg', 'storyboard.vtt', 'meta.json'])
      spawnSync('truncate', ['--size', '100K', join(folder, name)]);
    const megabytes = statSync(join(folder, 'video.mp4')).size / 1e6;
    say(`${megabytes.toFixed(0)} MB and four small files`);

    const ratios: number[] = [];
    const rates: number[] = [];
    const hashing: number[] = [];
    for (let run = 1; run <= runs; run++) {
      // Each goes first every other time.
      const times = { plain: 0, ours: 0 };
      for (const who of run % 2 === 0 ? (['plain', 'ours'] as const) : (['ours', 'plain'] as const)) {
        if (who === 'plain') {
          const began = process.hrtime.bigint();
          const config = recorder.role.path('/etc/platform/rclone.conf');
          const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
          const copied = spawnSync(
            'rclone',
            ['--config', config, ...parts, 'copy', folder, `store:${bucket}/plain-${run}`],
            { encoding: 'utf8', env },
          );
          if (copied.status !== 0) throw new Error(copied.stderr);
          times.plain = Number(process.hrtime.bigint() - began) / 1e9;
        } else {
          const { code, output } = await recorder.python(ours, folder, `ours-${run}`);
          if (code !== 0) throw new Error(output);
          const took = JSON.parse(output) as { digests: number; upload: number };
          times.ours = took.upload;
          hashing.push(took.digests / took.upload);
        }
      }
      say(`run ${run} of ${runs}: ours ${times.ours.toFixed(2)} s, plain copy ${times.plain.toFixed(2)} s`);
      ratios.push(times.plain / times.ours);
      rates.push(megabytes / times.ours);
    }
    printRows([
      {
        what: 'upload with its comparison, throughput against a plain rclone copy of the same files',
        value: median(ratios),
        unit: 'ratio',
        atLeast: 0.9,
      },
      { what: 'upload with its comparison', value: median(rates), unit: 'MB/s' },
      {
        what: 'taking the digests of all files before it, against its time',
        value: median(hashing),
        unit: 'ratio',
      },
    ]);
  } finally {
    recorder.stop();
    app.close();
    await store.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  say(String(error));
  process.exitCode = 1;
});
