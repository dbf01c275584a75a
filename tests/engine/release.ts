import { join } from 'node:path';

/** Where releases are kept: a folder for each version. */
export const releases = join(__dirname, 'fixtures', 'releases');

/** The stack of a kept release, whose name is part of every URN. */
export const releaseStack = 'local-release';

/** Opens the secrets of a kept release: keys of servers that never existed. */
export const releasePassphrase = 'kept-release';
