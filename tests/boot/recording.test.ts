import { afterAll, beforeAll, describe, expect, vi } from 'vitest';
import { placeOf } from '../../local/machines/place';
import { startBootedSchool, type School } from '../engine/school';
import { leftovers } from './booted-cloud';
import { hostsOf } from './booted-host';
import { entranceOf } from './lesson';
import { automaticSuite } from './recording/automatic';
import { failureSuite } from './recording/failures';
import { startLessonApp } from './recording/lesson-app';
import { parallelSuite } from './recording/parallel';
import { Recorded } from './recording/recorded';
import { scalingSuite } from './recording/scaling';

/** Recorders of two instances each. */
const recorderCount = process.env['TIER'] === 'rehearsal' ? 3 : 2;
vi.setConfig({ testTimeout: 900_000 });

let school: School | undefined;
let recorded: Recorded | undefined;

beforeAll(async () => {
  school = await startBootedSchool({
    ...{ recorderCount, recorderInstancesPerHost: 2 },
    // Minutes.
    ...{ recordingStopGrace: 1, recorderDrainWait: 1 },
  });
  const { code, stdout, stderr } = await school.up();
  if (code !== 0) throw new Error(stdout + stderr);
  const { 'jitsi-1': jitsi, ...recorders } = await hostsOf(school);
  const entrance = await entranceOf(school, jitsi!);
  recorded = new Recorded(school, entrance, jitsi!, recorders, await startLessonApp(school));
}, 1_200_000);

afterAll(async () => {
  try {
    await recorded?.endAll();
    await recorded?.lessonApp.stop();
  } finally {
    if (school !== undefined) {
      const place = placeOf(school.paths.cloud);
      await school.close();
      expect(leftovers(place)).toEqual([]);
    }
  }
}, 120_000);

describe('a recorded lesson', () => automaticSuite(() => recorded!));
describe('lessons at once', () => parallelSuite(() => recorded!, recorderCount * 2));
describe('failures', () => failureSuite(() => recorded!));
describe('scaling', () => scalingSuite(() => recorded!));
