import { existsSync, rmSync } from 'node:fs';
import { takeAway } from '../machines/driver';
import { placeOf } from '../machines/place';
import { whyNeverMachines } from '../machines/requirements';
import { stopCloud } from './cloud';
import { engineAtWork } from './engine';
import type { LocalPaths } from './paths';
import { settingsFile } from './school';

/**
 * Takes the local school away, whatever state it is in: hosts lose their power and are not asked, as nothing on them
 * is to be kept. How the platform itself goes, with its drains, `pulumi destroy` shows.
 *
 * @throws while an engine works on it
 */
export async function down(paths: LocalPaths, say: (line: string) => void): Promise<number> {
  if (!existsSync(paths.root)) {
    say('There is no local school.');
    return 0;
  }
  const engine = engineAtWork(paths);
  if (engine !== undefined) {
    throw new Error(
      `Pulumi is at work here, process ${engine}: wait for it, or end it with Ctrl-C, then try again`,
    );
  }
  await stopCloud(paths.cloud);
  // A cloud that was killed has left its machines.
  if (whyNeverMachines() === undefined) await takeAway(placeOf(paths.cloud));
  rmSync(paths.root, { recursive: true, force: true });
  rmSync(settingsFile, { force: true });
  say('The local school is gone, and its files with it.');
  return 0;
}
