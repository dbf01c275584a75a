import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serverTypeNamed } from '../local/api/hetzner/catalogue';
import { ensurePrograms } from '../local/command/system';
import { machinePrograms, whyNoMachines } from '../local/machines/requirements';
import { makeCertificates, servePages } from '../tests/boot/recorder/lesson-page';
import { domain, LoneRecorder } from '../tests/boot/recorder/lone-recorder';
import { colorOf, frameCounts, toneOf } from '../tests/boot/recorder/recorded';
import { Session } from '../tests/boot/recorder/session';
import { median, printRows, runsWanted, say, type Row } from './rows';

/**
 * What a recorder instance costs: on a booted recorder host with the generated units, each of 1, 2 and 3 instances
 * records a page in which nine videos move and a tone sounds, by chromium and ffmpeg as Jibri starts them. Jibri's own
 * JVM and WebRTC (decryption, jitter buffers) come on top: the page's videos come from a file.
 *
 * usage: npm run bench:instances [-- --runs N]   (default 1: three recordings; the median of N is quoted)
 */
const runs = runsWanted(1);
const MOST = 3;
/** Seconds that are measured, in the midst of a recording. */
const WINDOW = 40;

interface Cost {
  /** CPU-seconds for each minute recorded: all that belongs to the instance, and ffmpeg of it. */
  cpu: number;
  ffmpeg: number;
  /** MB, shared pages in proportion. */
  memory: number;
  /** Distinct frames a second, of 30. */
  distinct: number;
  /** dB below full scale of the tone. */
  tone: number;
}

/** CPU time of each instance and of its ffmpeg in seconds, and memory in MB, at a moment of the host's clock. */
const SAMPLE = `
import glob, os, re, sys
hertz = os.sysconf("SC_CLK_TCK")
print(open("/proc/uptime").read().split()[0])
for name in sys.argv[1:]:
    group = f"/sys/fs/cgroup/platform.slice/platform-recorder.slice/platform-recorder-{name}.slice"
    used = int(re.search(r"usage_usec (\\d+)", open(group + "/cpu.stat").read()).group(1)) / 1e6
    pids = [pid for file in glob.glob(group + "/**/cgroup.procs", recursive=True) for pid in open(file).read().split()]
    ffmpeg, memory = 0, 0
    for pid in pids:
        try:
            memory += int(re.search(r"Pss:\\s+(\\d+)", open(f"/proc/{pid}/smaps_rollup").read()).group(1))
            stat = open(f"/proc/{pid}/stat").read()
            if "(ffmpeg)" in stat:
                ffmpeg += sum(map(int, stat.rsplit(")", 1)[1].split()[11:13])) / hertz
        except (FileNotFoundError, ProcessLookupError):
            pass
    print(used, ffmpeg, memory / 1024)
`;

async function sample(recorder: LoneRecorder, instances: number[]): Promise<Sample> {
  const text = await recorder.given(`python3 - ${instances.join(' ')}`, SAMPLE);
  const [[at], ...each] = text
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number)) as [[number], ...[number, number, number][]];
  return { at, each: each.map(([cpu, ffmpeg, memory]) => ({ cpu, ffmpeg, memory })) };
}

interface Sample {
  at: number;
  each: Pick<Cost, 'cpu' | 'ffmpeg' | 'memory'>[];
}

/** Some instances record at the same time. */
async function record(recorder: LoneRecorder, instances: number[]): Promise<Cost[]> {
  const seconds = WINDOW + 10;
  const sessions = await Promise.all(
    instances.map((each) => Session.begin(recorder, each, `https://${domain}/nine.html`, seconds)),
  );
  await sleep(3000);
  const before = await sample(recorder, instances);
  await sleep(WINDOW * 1000);
  const after = await sample(recorder, instances);
  const minutes = (after.at - before.at) / 60;
  const costs: Cost[] = [];
  for (const [at, session] of sessions.entries()) {
    const { video, facts } = await session.finished<{ size: number[]; playing: number }>(seconds);
    if (facts.playing !== 9)
      throw new Error(`instance ${session.instance}: ${facts.playing} of 9 videos play`);
    // Black all over has perfect counts.
    const colors = [0, 1, 2].map((column) => colorOf(video, `40:40:${200 + column * 427}:100`, 5));
    if (new Set(colors.map(String)).size < 2 || Math.max(...colors.flat()) < 40)
      throw new Error(`instance ${session.instance}: no picture: ${colors.join('; ')}`);
    const { frames, distinct } = frameCounts(video);
    costs.push({
      cpu: (after.each[at]!.cpu - before.each[at]!.cpu) / minutes,
      ffmpeg: (after.each[at]!.ffmpeg - before.each[at]!.ffmpeg) / minutes,
      memory: after.each[at]!.memory,
      distinct: (distinct / frames) * 30,
      tone: toneOf(video, 440),
    });
  }
  for (const session of sessions) await session.end();
  return costs;
}

async function main(): Promise<void> {
  ensurePrograms({ ...machinePrograms, ffmpeg: 'ffmpeg', openssl: 'openssl' }, say);
  const folder = mkdtempSync(join(tmpdir(), 'lesson-platform-bench-'));
  const obstacle = whyNoMachines(tmpdir(), say);
  if (obstacle !== undefined) throw new Error(obstacle);
  const certificates = makeCertificates(folder);
  say('booting a recorder host');
  const recorder = await LoneRecorder.boot(join(folder, 'cloud'), MOST, certificates.authority);
  const rows: Row[] = [];
  const all: Cost[] = [];
  try {
    await servePages(recorder, certificates);
    await recorder.host.run(
      'ffmpeg -v error -nostdin -f lavfi -i testsrc2=size=640x360:rate=30 -t 12 -c:v libvpx -b:v 500k /srv/pages/people.webm',
    );
    for (let count = 1; count <= MOST; count += 1) {
      const instances = Array.from({ length: count }, (_, at) => at + 1);
      const costs: Cost[] = [];
      for (let run = 1; run <= runs; run += 1) {
        say(`${count} at a time, run ${run} of ${runs}`);
        costs.push(...(await record(recorder, instances)));
      }
      const middle = (of: keyof Cost) => median(costs.map((cost) => cost[of]));
      const what = `${count} at a time`;
      rows.push(
        { what: `CPU-seconds for each recorded minute, ${what}`, value: middle('cpu'), unit: 's' },
        { what: `… of that ffmpeg`, value: middle('ffmpeg'), unit: 's' },
        { what: `memory of an instance, ${what}`, value: middle('memory'), unit: 'MB' },
        { what: `distinct frames a second of 30, ${what}`, value: middle('distinct'), unit: 'frames' },
        { what: `the tone, ${what}`, value: middle('tone'), unit: 'dB', atLeast: -20 },
      );
      all.push(...costs);
    }
  } finally {
    const left = await recorder.down();
    rmSync(folder, { recursive: true, force: true });
    if (left.length > 0) say(`left behind: ${left.join(', ')}`);
  }
  const middle = (of: 'cpu' | 'memory') => median(all.map((cost) => cost[of]));
  printRows([...rows, ...prices({ cpu: middle('cpu'), memory: middle('memory') })]);
}

/** Of each line of server types: the smallest that holds one recorder by itself, and a large one. */
const lines: [alone: string, large: string][] = [
  ['cx33', 'cx53'],
  ['cpx32', 'cpx52'],
  ['ccx13', 'ccx53'],
];

/** Jibri's JVM and WebRTC, which this bench has not: half as much CPU again, and 0.5 GB. Estimated. */
const MORE_CPU = 1.5;
const MORE_MEMORY = 0.5;
/** Part of a host's cores that recordings may take, since a lost frame is lost for good; and GB of memory for the rest. */
const CPU_SHARE = 0.8;
const HOST_MEMORY = 1;

/** How many instances a server type holds; 32 is the most that the program makes. */
function instancesOn(type: string, { cpu, memory }: Pick<Cost, 'cpu' | 'memory'>): number {
  const { cores, memory: gigabytes } = serverTypeNamed(type);
  const byCpu = (cores * CPU_SHARE) / ((cpu / 60) * MORE_CPU);
  const byMemory = (0.9 * gigabytes - HOST_MEMORY) / (memory / 1024 + MORE_MEMORY);
  return Math.max(1, Math.min(Math.floor(byCpu), Math.floor(byMemory), cores, 32));
}

/** A recorded lesson-hour on larger hosts against one recorder on each host, by the local catalogue's prices. */
function prices(cost: Pick<Cost, 'cpu' | 'memory'>): Row[] {
  return lines.map(([alone, large]) => {
    const instances = instancesOn(large, cost);
    return {
      what: `price of a recorded hour, ${instances} instances on a ${large} against one on a ${alone}`,
      value: serverTypeNamed(large).monthly / instances / serverTypeNamed(alone).monthly,
      unit: 'ratio',
      atMost: 0.3,
    };
  });
}

main().catch((error: unknown) => {
  say(String(error));
  process.exitCode = 1;
});
