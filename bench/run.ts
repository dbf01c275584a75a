import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startSchool, type School } from '../tests/engine/school';
import { median, printRows, runsWanted, say, type Row } from './rows';

/**
 * Ratios of this program against a bare one, side by side in one run: the machine's speed cancels out.
 *
 * usage: npm run bench [-- --runs N]   (default 3; the median of N pairs is quoted)
 */
const runs = runsWanted(3);
const bare = join(__dirname, 'bare');

/** Recorders that one network holds beside a Jitsi host and the app, rounded down to what the documents name. */
const full = { recorderCount: 90 };
const small = { recorderCount: 10 };

/** Seconds of one preview, and the resources that it declares. */
async function preview(
  school: School,
): Promise<{ seconds: number; resources: number; kinds: Record<string, number> }> {
  const started = process.hrtime.bigint();
  const ran = await school.run('preview', '--json', '--show-sames', '--stack', school.stack);
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (ran.code !== 0) throw new Error(ran.stdout + ran.stderr);
  const { steps } = JSON.parse(ran.stdout) as { steps: { urn: string }[] };
  const kinds: Record<string, number> = {};
  for (const { urn } of steps) {
    const kind = urn.split('::')[2]!.split('$').pop()!;
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return { seconds, resources: steps.length, kinds };
}

async function main(): Promise<void> {
  const rows: Row[] = [];
  const platform = await startSchool(full);
  const bareSchool = await startSchool({}, { program: bare });
  try {
    const { resources, kinds } = await preview(platform);
    const servers = kinds['hcloud:index/server:Server'] ?? 0;
    const commands = kinds['command:remote:Command'] ?? 0;
    // The stack itself is a resource of both programs.
    const same = JSON.stringify({ servers, commands, passwords: resources - servers - commands - 1 });
    const onlyServers = JSON.stringify({ servers: 90, commands: 0, passwords: 0 });
    const perResource: number[] = [];
    const againstServers: number[] = [];
    const manyAgainstFew: number[] = [];
    for (let run = 1; run <= runs; run++) {
      say(`previews, run ${run} of ${runs}`);
      platform.set(full);
      const ours = await preview(platform);
      process.env['BARE_RESOURCES'] = same;
      const theirs = await preview(bareSchool);
      process.env['BARE_RESOURCES'] = onlyServers;
      const serversOnly = await preview(bareSchool);
      platform.set(small);
      const few = await preview(platform);
      perResource.push(ours.seconds / ours.resources / (theirs.seconds / theirs.resources));
      againstServers.push(ours.seconds / serversOnly.seconds);
      manyAgainstFew.push(ours.seconds / ours.resources / (few.seconds / few.resources));
    }
    rows.push(
      {
        what: `preview of ${resources} resources, per resource, against a bare program of as many`,
        value: median(perResource),
        atMost: 1.3,
        unit: 'ratio',
      },
      {
        what: 'the whole preview against a bare program of 90 servers',
        value: median(againstServers),
        atMost: 3,
        unit: 'ratio',
      },
      {
        what: 'preview per resource, 90 recorders against 10',
        value: median(manyAgainstFew),
        atMost: 1.3,
        unit: 'ratio',
      },
    );

    platform.set(full);
    say('up with 90 recorders');
    const made = await platform.up();
    if (made.code !== 0) throw new Error(made.stdout + made.stderr);
    const state = join(
      platform.paths.backend,
      '.pulumi',
      'stacks',
      'lesson-platform',
      `${platform.stack}.json`,
    );
    rows.push({
      what: 'state with 90 recorders',
      value: readFileSync(state).length / 1e6,
      atMost: 3,
      unit: 'MB',
    });
    const before = (await platform.requests()).at(-1)!.n;
    const again = await platform.up('--expect-no-changes');
    if (again.code !== 0) throw new Error(again.stdout + again.stderr);
    const calls = (await platform.requests()).filter(({ n }) => n > before).length;
    rows.push({ what: 'API calls of an up with nothing to change', value: calls, unit: 'calls' });
  } finally {
    await platform.close();
    await bareSchool.close();
  }
  printRows(rows);
}

main().catch((error: unknown) => {
  say(String(error));
  process.exitCode = 1;
});
