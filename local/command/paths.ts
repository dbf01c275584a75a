import { writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Root of the checkout: the folder of the Pulumi project. */
export const projectRoot = resolve(__dirname, '..', '..');

/** Where builds are kept between checkouts; never needed, only quicker. */
export const cacheFolder = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'lesson-platform',
);

/** Files of one local platform: its cloud, its engine's home and its state. All git-ignored. */
export interface LocalPaths {
  /** Everything below goes with `down`. */
  root: string;
  cloud: string;
  pulumiHome: string;
  backend: string;
  bin: string;
  passphraseFile: string;
}

/** @param root default: `.local` of the checkout; tests give folders of their own */
export function localPaths(root = join(projectRoot, '.local')): LocalPaths {
  return {
    root,
    cloud: join(root, 'cloud'),
    pulumiHome: join(root, 'pulumi'),
    backend: join(root, 'state'),
    bin: join(root, 'bin'),
    passphraseFile: join(root, 'passphrase'),
  };
}

/** Writes a file for its owner only, unless it is there; of two commands at a time one makes it. */
export function makeOnce(file: string, content: string): void {
  try {
    writeFileSync(file, content, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
