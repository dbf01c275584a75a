import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { releasePassphrase, releases, releaseStack } from './release';
import { openSchool, stepList, type School } from './school';

const newest = readdirSync(releases)
  .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  .at(-1)!;
const kept = (file: string): string => join(releases, newest, file);

let school: School;
beforeAll(async () => {
  school = await openSchool({
    stack: releaseStack,
    passphrase: releasePassphrase,
    cloudState: gunzipSync(readFileSync(kept('cloud.json.gz'))).toString(),
  });
  copyFileSync(kept('settings.yaml'), school.settings);
  const created = await school.run('stack', 'init', school.stack);
  expect(created.code, created.stderr).toBe(0);
  const exported = join(school.paths.root, 'stack.json');
  writeFileSync(exported, gunzipSync(readFileSync(kept('stack.json.gz'))));
  const imported = await school.run('stack', 'import', '--file', exported, '--stack', school.stack);
  expect(imported.code, imported.stderr).toBe(0);
}, 600_000);
afterAll(() => school?.close());

test(`the platform of release ${newest} is upgraded without a replacement, a deletion or a touched server`, async () => {
  const steps = stepList(await school.plan('--show-replacement-steps'));
  expect(steps.filter((step) => /replace|delete/.test(step))).toEqual([]);
  const before = (await school.servers()).map(({ id }) => id);
  expect(before).toHaveLength(4);
  const { code, stdout, stderr } = await school.up();
  expect(code, stdout + stderr).toBe(0);
  expect((await school.servers()).map(({ id }) => id)).toEqual(before);
  expect(await school.plan()).toEqual([]);
}, 300_000);
