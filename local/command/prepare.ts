import { placeOf } from '../machines/place';
import { ensureCloud, type CloudEndpoint } from './cloud';
import { prepareEngine, releaseStaleLock, type Engine } from './engine';
import { bootsMachines } from './hosts';
import { machineMode } from './machines';
import type { LocalPaths } from './paths';
import { namedRepository, prepareSchool, stack } from './school';

/**
 * Sees to it that there are a local cloud, an engine that is pointed at it, and a school's settings.
 *
 * @param machines see `machineMode`
 */
export async function prepare(
  paths: LocalPaths,
  say: (line: string) => void,
  machines?: boolean,
): Promise<{ engine: Engine; cloud: CloudEndpoint }> {
  const mode = await machineMode(paths.cloud, machines, namedRepository(), say);
  const cloud = await ensureCloud(paths.cloud, mode);
  const namespace = (await bootsMachines(cloud)) ? placeOf(paths.cloud).gateway : undefined;
  const engine = await prepareEngine(paths, cloud, say, namespace);
  await releaseStaleLock(engine, paths, stack);
  await prepareSchool(engine, cloud, placeOf(paths.cloud).store, mode.packages);
  return { engine, cloud };
}
