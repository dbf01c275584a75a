import { afterAll, beforeAll, expect, vi } from 'vitest';
import { pulumi } from '../../local/command/engine';
import { placeOf } from '../../local/machines/place';
import { startBootedSchool } from '../engine/school';
import { leftovers } from './booted-cloud';
import { hostsOf } from './booted-host';
import { Chat } from './doctor/chat';
import { doctorSuite, type Examined } from './doctor/suite';

const examined = {} as Examined;
vi.setConfig({ testTimeout: 180_000 });

beforeAll(async () => {
  const school = await startBootedSchool({ recorderCount: 0 });
  const chat = await Chat.start(placeOf(school.paths.cloud), school.paths.root);
  Object.assign(examined, { school, domain: 'meet.school.example', chat });
  await pulumi(school.engine, ['config', 'set', '--secret', 'alertWebhook', '--stack', school.stack], {
    input: chat.url,
  });
  const { code, stdout, stderr } = await school.up();
  if (code !== 0) throw new Error(stdout + stderr);
  examined.jitsi = (await hostsOf(school))['jitsi-1']!;
}, 900_000);

afterAll(async () => {
  if (examined.school === undefined) return;
  examined.chat.stop();
  const place = placeOf(examined.school.paths.cloud);
  await examined.school.close();
  expect(leftovers(place)).toEqual([]);
}, 120_000);

doctorSuite(examined);
