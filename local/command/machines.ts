import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { whyNoMachines } from '../machines/requirements';
import { rootFileSystem } from '../machines/root-file-system';

/** How a local cloud treats its servers, for as long as it has any. */
export interface MachineMode {
  /** Whether servers boot. */
  boot: boolean;
  /** Folder of a signed apt repository, with its `key.asc`, that they reach at `packageRepositoryUri`. */
  packages?: string | undefined;
}

/** Image of the hosts in `local/example.yaml`, the one to prepare. */
const usualImage = 'debian-13';

function modeOf(folder: string): MachineMode | undefined {
  const file = join(folder, 'machines.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as MachineMode) : undefined;
}

/** Whether hosts of a local cloud get stand-ins for packages that cannot be had elsewhere. */
export const bringsPackages = (folder: string): boolean => modeOf(folder)?.packages !== undefined;

/**
 * Decides whether servers boot: as they did before when there is a cloud already, else as asked for, if this machine
 * can. Says so when they do not. Makes what booting takes, with progress.
 *
 * @param folder the local cloud's
 * @param wanted undefined: no
 * @param packages makes the repository of what hosts cannot get elsewhere, when they are to boot: its folder
 */
export async function machineMode(
  folder: string,
  wanted: boolean | undefined,
  packages: () => Promise<string | undefined>,
  say: (line: string) => void,
): Promise<MachineMode> {
  const known = modeOf(folder);
  if (known && existsSync(join(folder, 'state.json'))) {
    if (wanted !== undefined && wanted !== known.boot) {
      say(
        `Hosts ${known.boot ? 'boot' : 'do not boot'} here since the first up; npm run local -- down first`,
      );
    }
    return known;
  }
  const obstacle = whyNot(folder, wanted, say);
  if (obstacle !== undefined) say(`Hosts are declared, not booted: ${obstacle}`);
  const mode: MachineMode = { boot: obstacle === undefined };
  if (mode.boot) {
    await rootFileSystem(usualImage, say);
    mode.packages = await packages();
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'machines.json'), JSON.stringify(mode));
  return mode;
}

function whyNot(
  folder: string,
  wanted: boolean | undefined,
  say: (line: string) => void,
): string | undefined {
  if (wanted === undefined) return '--machines boots them, on Linux and as root';
  if (!wanted) return 'as asked for';
  return whyNoMachines(join(folder, 'machines'), say);
}
