import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { releasePassphrase, releaseStack, releases } from './release';
import { startSchool } from './school';

/**
 * Keeps what a release made of the example school, for the upgrade test of all that come after it.
 *
 * usage: npx tsx tests/engine/keep-release.ts 0.1.0
 */
async function main(version: string | undefined): Promise<void> {
  if (version === undefined || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error('usage: npx tsx tests/engine/keep-release.ts 0.1.0');
  }
  const folder = join(releases, version);
  const school = await startSchool({}, { stack: releaseStack, passphrase: releasePassphrase });
  try {
    const { code, stdout, stderr } = await school.up();
    if (code !== 0) throw new Error(stdout + stderr);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'stack.json.gz'), gzipSync(await school.state(), { level: 9 }));
    const cloud = readFileSync(join(school.paths.cloud, 'state.json'));
    writeFileSync(join(folder, 'cloud.json.gz'), gzipSync(cloud, { level: 9 }));
    copyFileSync(school.settings, join(folder, 'settings.yaml'));
  } finally {
    await school.close();
  }
}

main(process.argv[2]).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
