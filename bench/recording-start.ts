import { recordProbeLesson, type Outputs } from '../local/command/probe';
import { startBootedSchool } from '../tests/engine/school';
import { median, printRows, runsWanted, say } from './rows';

/**
 * Time from the first moderator of a lesson until its room says that it is recorded, by the stand-ins for Jicofo and
 * Jibri: what the server adds to the start of Jibri's browser, which is not in it. Needs hosts that boot.
 *
 * usage: npm run bench:recording-start [-- --runs N]   (default 5; the median is quoted)
 */
const runs = runsWanted(5);

async function main(): Promise<void> {
  const school = await startBootedSchool({ recorderCount: 1 });
  try {
    const { code, stdout, stderr } = await school.up();
    if (code !== 0) throw new Error(stdout + stderr);
    const outputs = (await school.outputs(true)) as unknown as Outputs;
    const waits: number[] = [];
    for (let run = 1; run <= runs; run++) {
      say(`lesson ${run} of ${runs}`);
      const { waitedMs } = await recordProbeLesson(school.paths.cloud, outputs);
      waits.push(waitedMs / 1000);
    }
    printRows([{ what: 'from the first moderator to recording on', value: median(waits), unit: 's' }]);
  } finally {
    await school.close();
  }
}

main().catch((error: unknown) => {
  say(String(error));
  process.exitCode = 1;
});
