import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRepositoryUri } from '../../local/machines/network';
import { placeOf } from '../../local/machines/place';
import { startBootedSchool } from '../engine/school';
import { leftovers } from './booted-cloud';
import { hostsOf } from './booted-host';
import type { Booted } from './jitsi-host/booted';
import { addressSuite } from './jitsi-host/addresses';
import { convergeSuite } from './jitsi-host/converge';
import { packageSuite } from './jitsi-host/packages';
import { portSuite } from './jitsi-host/ports';
import { rebuildSuite } from './jitsi-host/rebuild';

/** The real program carried onto booted hosts by the real engine: a Jitsi host, and a bridge beside it. */
const booted = {} as Booted;

beforeAll(async () => {
  booted.school = await startBootedSchool({ recorderCount: 0, hostProtection: true });
}, 600_000);

afterAll(async () => {
  const { school } = booted;
  const place = placeOf(school.paths.cloud);
  await school.close();
  rmSync(school.settings, { force: true });
  expect(leftovers(place)).toEqual([]);
}, 60_000);

describe('the first boot', () => {
  test('goes from nothing to a lesson that can be joined, and the stack waits for that', async () => {
    const { school } = booted;
    const { code, stdout, stderr } = await school.up();
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/converged: \d+ changed, \d+ actions, 0 pending\n.* ready\n/);
    booted.jitsi = (await hostsOf(school))['jitsi-1']!;
    booted.domain = ((await school.outputs())['shards'] as { domain: string }[])[0]!.domain;
    const { jitsi } = booted;
    expect(await jitsi.status()).toMatchObject({ state: 'converged', failures: [], pending: [] });
    expect(await jitsi.run('cloud-init status; systemctl is-system-running')).toBe('status: done\nrunning');
    expect(await jitsi.run('platform-ready')).toMatch(
      /^tokens of a participant and a moderator joined a room, .*; focus answers\ncertificate: [^]*\nlessons can be joined$/,
    );
  }, 600_000);

  test('starts each service once, with our files and behind the firewall', async () => {
    const { jitsi } = booted;
    for (const unit of ['prosody', 'coturn', 'jitsi-videobridge2', 'jicofo']) {
      const started = await jitsi.run(`journalctl -u ${unit} -o cat | grep -c '^Started ${unit}.service'`);
      expect({ unit, started }).toEqual({ unit, started: '1' });
    }
    const since = (unit: string): Promise<string> =>
      jitsi.run(`systemctl show -P ActiveEnterTimestampMonotonic ${unit}`);
    expect(Number(await since('nftables'))).toBeLessThan(Number(await since('nginx')));
    const journal = await jitsi.run('journalctl -u prosody -o cat; cat /var/log/prosody/prosody.err');
    expect(journal).not.toMatch(/Unable to load|Failed to load|not found/);
  });
});

describe('a host that does not get ready', () => {
  test('fails the up within its time, with the reason and what was said last', async () => {
    const { school } = booted;
    school.set({ bridgeCount: 1, jitsiRepository: `${packageRepositoryUri} nothing/` });
    const { code, stdout } = await school.up();
    expect(code).not.toBe(0);
    expect(stdout).toMatch(
      /failed: packages: apt-get update failed:[^]*nothing\/ Release' does not have a Release/,
    );
    const bridge = (await hostsOf(school))['bridge-1-1']!;
    expect(await bridge.status()).toMatchObject({ state: 'failed', failures: [{ step: 'packages' }] });
    // The Jitsi host has all that it needs.
    expect(await booted.jitsi.run('platform-ready')).toMatch(/lessons can be joined$/);
  }, 300_000);

  test('is finished by the next up, when the reason is gone', async () => {
    const { school, jitsi } = booted;
    school.set({ jitsiRepository: `${packageRepositoryUri} stable/` });
    const { code, stdout } = await school.up();
    expect(code, stdout).toBe(0);
    booted.bridge = (await hostsOf(school))['bridge-1-1']!;
    expect(await booted.bridge.status()).toMatchObject({ state: 'converged' });
    expect(await jitsi.run('prosodyctl shell muc list internal.auth.' + booted.domain)).toMatch(/jvbbrewery/);
  }, 300_000);
});

describe('ports', () => portSuite(booted));
describe('converge', () => convergeSuite(booted));
describe('packages', () => packageSuite(booted));
describe('addresses', () => addressSuite(booted));
describe('a rebuild', () => rebuildSuite(booted));
