import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSchool, type School } from './school';

let school: School;
beforeAll(async () => {
  school = await startSchool({ hostProtection: true, recorderCount: 0 });
  const { code, stdout, stderr } = await school.up();
  expect(code, stdout + stderr).toBe(0);
}, 900_000);
afterAll(() => school?.close());

const jitsi = async () =>
  (await school.servers()).find(({ name }) => name === 'jitsi-1') as unknown as {
    id: number;
    protection: { delete: boolean; rebuild: boolean };
  };

test('a protected host refuses to go already in the preview, by name, and nothing is touched', async () => {
  expect((await jitsi()).protection).toEqual({ delete: true, rebuild: true });
  const before = (await school.requests()).length;
  const { code, stdout, stderr } = await school.run('destroy', '--preview-only', '--stack', school.stack);
  expect(code).not.toBe(0);
  expect(stdout + stderr).toMatch(/jitsi-1/);
  expect(stdout + stderr).toMatch(/protect/);
  expect((await school.requests()).slice(before).filter(({ method }) => method !== 'GET')).toEqual([]);
}, 120_000);

test('the API refuses as well', async () => {
  await expect(school.api('DELETE', `/servers/${(await jitsi()).id}`)).rejects.toThrow(/protected/);
}, 30_000);

test('two steps remove it: the protection first, then the host', async () => {
  school.set({ hostProtection: false });
  const lifted = await school.up();
  expect(lifted.code, lifted.stdout + lifted.stderr).toBe(0);
  expect((await jitsi()).protection).toEqual({ delete: false, rebuild: false });
  const gone = await school.run('destroy', '--yes', '--stack', school.stack);
  expect(gone.code, gone.stdout + gone.stderr).toBe(0);
  expect(await school.servers()).toEqual([]);
}, 180_000);
