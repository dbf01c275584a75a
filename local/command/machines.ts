import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { whyNoMachines, whyNeverMachines } from '../machines/requirements';
import { rootFileSystem } from '../machines/root-file-system';
import { standInRepository } from '../stand-ins/build';
import { s3Server } from '../store/s3-server';
import { packageSource } from './package-source';

/** How a local cloud treats its servers, for as long as it has any. */
export interface MachineMode {
  /** Whether servers boot. */
  boot: boolean;
  /** Folder of a signed apt repository, with its `key.asc`, that they reach at `packageRepositoryUri`. */
  packages?: string | undefined;
  /** S3 server that takes their recordings. */
  store?: string | undefined;
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
 * Decides whether servers boot: as they did before when there is a cloud already, else whenever this machine can boot
 * them. Says so when they do not. Makes what booting takes, with progress.
 *
 * @param folder the local cloud's
 * @param wanted false: no; true: booting or nothing; undefined: if it can be
 * @param repository of Jitsi's packages, when the settings name one
 * @throws when they are to boot and cannot; with REAL=1, before anything is made, when only stand-ins can be had
 */
export async function machineMode(
  folder: string,
  wanted: boolean | undefined,
  repository: string | undefined,
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
  const mode = await newMode(folder, wanted, repository, say);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'machines.json'), JSON.stringify(mode));
  return mode;
}

async function newMode(
  folder: string,
  wanted: boolean | undefined,
  repository: string | undefined,
  say: (line: string) => void,
): Promise<MachineMode> {
  let obstacle = wanted === false ? 'as asked for' : whyNeverMachines();
  const source = obstacle === undefined ? await packageSource(repository) : undefined;
  obstacle ??= whyNoMachines(join(folder, 'machines'), say);
  if (obstacle !== undefined || source === undefined) {
    if (wanted) throw new Error(`Hosts cannot boot here: ${obstacle}`);
    say(`Hosts are declared, not booted: ${obstacle}`);
    return { boot: false };
  }
  say(source.reason);
  await rootFileSystem(usualImage, say);
  return {
    boot: true,
    packages: source.standIns ? (await standInRepository(say)).folder : undefined,
    store: await s3Server(say),
  };
}
