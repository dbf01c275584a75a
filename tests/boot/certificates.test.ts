import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, vi } from 'vitest';
import { pulumi } from '../../local/command/engine';
import { placeOf } from '../../local/machines/place';
import { startBootedSchool } from '../engine/school';
import { leftovers } from './booted-cloud';
import { hostsOf } from './booted-host';
import { Pebble } from './pebble/pebble';
import type { Booted } from './public/booted';
import { certificateSuite } from './public/certificates';
import { port443Suite } from './public/port-443';
import { startPeer } from './public/relays';
import { sip, telephoneSuite } from './public/telephone';
import { turnSuite } from './public/turn';
import { webSuite } from './public/web';

/** One Jitsi host, booted by the program, and all that it shows to the world: first as most have it, then with TURN on 443 and a telephone. */
const booted = {} as Booted;
vi.setConfig({ testTimeout: 180_000 });

async function up(): Promise<void> {
  const { code, stdout, stderr } = await booted.school.up();
  if (code !== 0) throw new Error(stdout + stderr);
}

beforeAll(async () => {
  const school = await startBootedSchool({ recorderCount: 0 });
  const place = placeOf(school.paths.cloud);
  const pebble = new Pebble(place, school.paths.root);
  const rootFile = join(school.paths.root, 'acme-root.pem');
  Object.assign(booted, { school, domain: 'meet.school.example', pebble, rootFile });
  school.set({ acmeDirectory: Pebble.directory, acmeCaCertificate: pebble.caCertificate });
  await up();
  booted.jitsi = (await hostsOf(school))['jitsi-1']!;
  await startPeer(booted);
}, 900_000);

afterAll(async () => {
  if (booted.school === undefined) return;
  const place = placeOf(booted.school.paths.cloud);
  await booted.school.close();
  expect(leftovers(place)).toEqual([]);
}, 120_000);

describe('certificates', () => certificateSuite(booted));
describe('web', () => webSuite(booted));
describe('TURN', () => turnSuite(booted));

describe('with TURN on 443 and a telephone number', () => {
  beforeAll(async () => {
    const { school } = booted;
    school.set({ turnOnPort443: true, sipAccount: sip.sipAccount });
    await pulumi(school.engine, ['config', 'set', '--secret', 'sipPassword', '--stack', school.stack], {
      input: sip.sipPassword,
    });
    await up();
  }, 600_000);

  describe('port 443', () => port443Suite(booted));
  describe('telephone', () => telephoneSuite(booted));
});
