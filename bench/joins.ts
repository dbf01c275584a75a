import type { Client } from '../local/join/client';
import { Lab } from '../tests/prosody/lab';
import { prosodies } from '../tests/prosody/prosodies';
import { CONFERENCE } from '../tests/prosody/school';
import { median, printRows, runsWanted, say, type Row } from './rows';

/**
 * Joins that one Prosody takes with the project's moderation by token, against the same Prosody a moment before and
 * after without it. Prosody has one core: joins are counted for each second of that core's time, so that neither the
 * clients nor whatever else the machine does counts.
 *
 * usage: npm run bench:joins [-- --runs N]   (default 5; the median of N pairs is quoted)
 */
const runs = runsWanted(5);
const PEOPLE = 30;
const ROOMS = 8;
/** The teacher comes when half of the class is there. */
const TEACHER = PEOPLE / 2;

/** Everybody joins each of some rooms and leaves; joins for a second of Prosody's time. */
async function joins(lab: Lab, people: Client[]): Promise<number> {
  let used = 0;
  for (let each = 0; each < ROOMS; each += 1) {
    const room = lab.room();
    await people[0]!.conference(room);
    const before = lab.processorTime();
    for (const [at, client] of people.entries()) await client.join(room, `person-${at}`);
    await Promise.all(people.map((client) => client.settled()));
    used += lab.processorTime() - before;
    for (const [at, client] of people.entries()) await client.leave(room, `person-${at}`);
    for (const client of people) client.stanzas.length = 0;
  }
  return (PEOPLE * ROOMS) / used;
}

async function main(): Promise<void> {
  const rows: Row[] = [];
  for (const prosody of prosodies()) {
    if (prosody.missing) {
      say(`skipped: ${prosody.missing}`);
      continue;
    }
    const lab = await Lab.start(prosody, { logLevel: 'info', hostModule: 'switch_modules' });
    try {
      const people: Client[] = [];
      for (let at = 0; at < PEOPLE; at += 1) {
        people.push(
          await lab.person(`any@${CONFERENCE}`, { moderator: at === TEACHER, claims: { room: '*' } }),
        );
      }
      await joins(lab, people);
      const [ratios, rates]: [number[], number[]] = [[], []];
      for (let run = 1; run <= runs; run += 1) {
        say(`joins, Prosody ${prosody.release}, run ${run} of ${runs}`);
        // Without, with, with, without: what drifts in one direction cancels out.
        const [before, one, other, after] = [
          await without(lab, () => joins(lab, people)),
          await joins(lab, people),
          await joins(lab, people),
          await without(lab, () => joins(lab, people)),
        ];
        ratios.push((one + other) / (before + after));
        rates.push((one + other) / 2);
      }
      const what = `Prosody ${prosody.release}, a class of ${PEOPLE} with one teacher`;
      rows.push(
        {
          what: `joins with moderation by token against without, ${what}`,
          value: median(ratios),
          unit: 'ratio',
          atLeast: 0.97,
        },
        {
          what: `joins for each second of Prosody's core, ${what}`,
          value: Math.round(median(rates)),
          unit: 'joins',
        },
      );
    } finally {
      await lab.stop();
    }
  }
  printRows(rows);
}

async function without(lab: Lab, measure: () => Promise<number>): Promise<number> {
  await lab.module('unload', CONFERENCE, 'token_moderation');
  try {
    return await measure();
  } finally {
    await lab.module('load', CONFERENCE, 'token_moderation');
  }
}

main().catch((error: unknown) => {
  say(String(error));
  process.exitCode = 1;
});
