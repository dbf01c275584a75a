import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Lab, type Circumstances } from './lab';
import { prosodies, type Prosody } from './prosodies';
import { FOCUS_PASSWORD, PREVIOUS_SECRET, RECORDER_PASSWORD, SECRET, WEBHOOK_SECRET } from './school';

export interface Place {
  lab: Lab;
  readonly release: Prosody['release'];
}

const all = prosodies();
const TOKEN = /eyJ[\w-]+\.eyJ[\w-]+/;

/**
 * The same tests on both Prosodys, each with a shard of its own. After them no line of any log holds a token or a
 * secret, whatever they did.
 */
export function onBoth(title: string, circumstances: Circumstances, tests: (place: Place) => void): void {
  describe.each(all)(`${title}, Prosody $release`, (prosody) => {
    if (prosody.missing) {
      it.skip(prosody.missing, () => undefined);
      return;
    }
    const place = { release: prosody.release } as Place;
    beforeAll(async () => {
      place.lab = await Lab.start(prosody, circumstances);
    }, 120_000);
    afterEach(() => place.lab.leaveAll());
    afterAll(async () => {
      if (!place.lab) return;
      const lines = place.lab.allLogs().split('\n');
      await place.lab.stop();
      expect(lines.length).toBeGreaterThan(50);
      const secrets = [SECRET, PREVIOUS_SECRET, FOCUS_PASSWORD, RECORDER_PASSWORD, WEBHOOK_SECRET];
      const telling = (line: string) => TOKEN.test(line) || secrets.some((secret) => line.includes(secret));
      expect(lines.filter(telling)).toEqual([]);
      // Jitsi's modules fail on some tokens; the project's never do.
      expect(lines.filter((line) => /\/platform\/mod_\w+\.lua:\d+/.test(line))).toEqual([]);
    });
    tests(place);
  });
}
