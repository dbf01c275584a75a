import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probe } from '../store/media';
import { scratchFolder, until } from './booted-cloud';
import type { BootedHost } from './booted-host';
import { makeCertificates, otherSite, servePages } from './recorder/lesson-page';
import { domain, LoneRecorder } from './recorder/lone-recorder';
import { colorOf, frameCounts, toneOf } from './recorder/recorded';
import { Session } from './recorder/session';

/** A recorder host that really records, two lessons at once: browser, display, sound, ffmpeg; Jibri is a stand-in. */
const folder = scratchFolder();
let recorder: LoneRecorder;
let host: BootedHost;

const page = (color: string, tone: number): string =>
  `https://${domain}/lesson.html?color=${color}&tone=${tone}` +
  `&frame=https://${domain}/inner.html&frame=https://${otherSite}/inner.html`;
const red = { page: page('c02040', 440), color: [0xc0, 0x20, 0x40], tone: 440 };
const blue = { page: page('1040c0', 990), color: [0x10, 0x40, 0xc0], tone: 990 };

interface Facts {
  size: number[];
  sound: string;
  version: string;
  withoutGlyph: string[];
  alike: number;
  receives: string[];
  frames: Record<string, boolean>;
}

beforeAll(async () => {
  const certificates = makeCertificates(folder);
  recorder = await LoneRecorder.boot(join(folder, 'cloud'), 2, certificates.authority);
  host = recorder.host;
  // What this machine's disk holds is not to decide, nor is what is changed here to be mended.
  await host.run(
    'systemd-run --quiet --unit=hold-converge flock /run/platform/converge.lock sleep infinity; ' +
      'systemctl stop platform-disk-guard.timer',
  );
  await servePages(recorder, certificates);
}, 900_000);

afterAll(async () => {
  const left = await recorder?.down();
  rmSync(folder, { recursive: true, force: true });
  expect(left).toEqual([]);
}, 180_000);

/** A recording has the lesson's picture, up to all edges and moving, and its tone, and not the other's. */
function mustHave(video: string, lesson: typeof red, other: typeof red): void {
  expect(probe(video)).toMatchObject({ kinds: ['audio', 'video'], width: 1280, height: 720 });
  for (const part of ['200:200:40:480', '8:8:0:0', '8:8:1272:0', '8:8:0:712', '8:8:1272:712']) {
    const color = colorOf(video, part, 3);
    for (const [at, value] of lesson.color.entries()) {
      expect(Math.abs(color[at]! - value), `${part}: ${color.join(' ')}`).toBeLessThan(12);
    }
  }
  expect(frameCounts(video).distinct).toBeGreaterThan(20);
  expect(toneOf(video, lesson.tone)).toBeGreaterThan(-20);
  expect(toneOf(video, other.tone)).toBeLessThan(-50);
}

const mainPid = (unit: string): Promise<string> => host.run(`systemctl show -P MainPID ${unit}`);
const parts = ['display', 'sound', 'windows', 'jibri'];
const as = (user: string, script: string) => host.attempt(`runuser -u ${user} -- sh -c '${script}'`);
const isIdle = (instance: number) =>
  until(
    `instance ${instance} is idle`,
    () => host.attempt(`curl -sf http://127.0.0.1:${2221 + instance}/jibri/api/v1.0/health`),
    ({ stdout }) => stdout.includes('"IDLE"') && stdout.includes('"HEALTHY"'),
    180,
  );

describe('instances', () => {
  test('are each in a slice of their own, with limits that follow from the host', async () => {
    const total = Number(await host.run(`awk '/MemTotal/ { print $2 * 1024 }' /proc/meminfo`));
    for (const instance of [1, 2]) {
      const slice = `platform-recorder-${instance}.slice`;
      const limit = async (name: string) => Number(await host.run(`systemctl show -P ${name} ${slice}`));
      expect((await limit('MemoryMax')) / total).toBeCloseTo(0.45, 2);
      expect((await limit('MemoryHigh')) / total).toBeCloseTo(0.4, 2);
      expect(await limit('CPUWeight')).toBe(100);
      for (const part of parts) {
        const unit = `platform-${part}@${instance}.service`;
        const shown = await host.run(`systemctl show -P ActiveState -P User -P Slice ${unit}`);
        expect(shown.split('\n').sort()).toEqual([slice, 'active', `jibri-${instance}`].sort());
      }
    }
    // Uploads yield to all recordings together: among their siblings.
    const upload = await host.run('systemctl show -P Slice -P CPUWeight platform-upload.service');
    expect(upload.split('\n').sort()).toEqual(['10', 'platform.slice']);
  });

  test('neither see, hear nor read each other', async () => {
    const look = (user: string, display: number, cookie: number) =>
      as(
        user,
        `DISPLAY=:${display} XAUTHORITY=/run/platform-recorder/${cookie}/Xauthority ` +
          `ffmpeg -v error -nostdin -f x11grab -i :${display} -frames:v 1 -f null -`,
      );
    expect(await look('jibri-1', 1, 1)).toMatchObject({ code: 0 });
    expect((await look('jibri-2', 1, 2)).code).not.toBe(0);
    const listen = (user: string) =>
      as(user, 'pactl -s unix:/run/platform-recorder/1/pulse list short sinks');
    expect((await listen('jibri-1')).stdout).toContain('recording');
    expect((await listen('jibri-2')).code).not.toBe(0);
    for (const place of ['/var/lib/jibri/1', '/etc/jitsi/jibri/instance-1', '/var/log/jitsi/jibri/1']) {
      expect((await as('jibri-1', `ls ${place}`)).code).toBe(0);
      expect((await as('jibri-2', `ls ${place}`)).code).not.toBe(0);
    }
  });
});

describe('two recordings at once', () => {
  let first: { video: string; facts: Facts };
  let second: { video: string; facts: Facts };

  beforeAll(async () => {
    const sessions = await Promise.all([
      Session.begin(recorder, 1, red.page, 10),
      Session.begin(recorder, 2, blue.page, 10),
    ]);
    [first, second] = (await Promise.all(sessions.map((session) => session.finished<Facts>(10)))) as [
      typeof first,
      typeof second,
    ];
  }, 400_000);

  test("each has its own lesson's picture and tone, and nothing of the other's", () => {
    mustHave(first.video, red, blue);
    mustHave(second.video, blue, red);
  });

  test('the page has the whole display, and every script that it is written in', () => {
    expect(second.facts).toMatchObject({ size: [1280, 720], sound: 'running', withoutGlyph: [], alike: 0 });
  });

  test('the browser takes whatever a lesson may send', () => {
    expect(first.facts.receives).toEqual(
      expect.arrayContaining(['audio/opus', 'video/VP8', 'video/VP9', 'video/AV1', 'video/H264']),
    );
  });

  test('the browser trusts the stack, and goes nowhere but to its lessons', () => {
    expect(first.facts.frames).toEqual({
      [`https://${domain}/inner.html`]: true,
      [`https://${otherSite}/inner.html`]: false,
    });
  });
});

describe('a fault in one instance', () => {
  test('of the browser leaves the others untouched', async () => {
    const sessions = await Promise.all([
      Session.begin(recorder, 1, red.page, 600),
      Session.begin(recorder, 2, blue.page, 10),
    ]);
    const units = [
      ...parts.map((part) => `platform-${part}@2.service`),
      ...['display', 'sound', 'windows'].map((part) => `platform-${part}@1.service`),
    ];
    const before = await Promise.all(units.map(mainPid));
    await host.run('pkill -KILL -u jibri-1 -x chromium');
    const { video } = await sessions[1].finished(10);
    mustHave(video, blue, red);
    expect(await Promise.all(units.map(mainPid))).toEqual(before);
    for (const session of sessions) await session.end();
    await isIdle(1);
    await isIdle(2);
  }, 400_000);

  test('of the display starts what needs it anew, and the next lesson is recorded', async () => {
    const other = await mainPid('platform-jibri@2.service');
    const own = await mainPid('platform-jibri@1.service');
    await host.run('pkill -KILL -u jibri-1 -x Xvfb');
    await until(
      'Jibri is another one',
      () => mainPid('platform-jibri@1.service'),
      (pid) => pid !== own && pid !== '0',
      90,
    );
    const session = await Session.begin(recorder, 1, blue.page, 6);
    const { video } = await session.finished(6);
    mustHave(video, blue, red);
    await session.end();
    await isIdle(1);
    expect(await mainPid('platform-jibri@2.service')).toBe(other);
  }, 400_000);
});

describe('the host', () => {
  test('has a browser and a driver of one version, fonts, and one sound server', async () => {
    const version = async (program: string) => /[\d.]{6,}/.exec(await host.run(`${program} --version`))![0];
    expect(await version('chromedriver')).toBe(await version('runuser -u jibri-1 -- chromium'));
    expect(await host.run('/usr/local/lib/platform/checks/43-browser')).toMatch(
      /chromium and its driver are/,
    );
    for (const language of ['ru', 'uk', 'zh-cn', 'ja', 'ko']) {
      expect(await host.run(`fc-match -f '%{family}' sans:lang=${language}`)).toMatch(/Noto Sans/);
    }
    expect((await host.attempt('dpkg -l pipewire wireplumber 2>/dev/null | grep ^ii')).stdout).toBe('');
  });

  test("bounds what ffmpeg and the browser log, in files that are Jibri's own", async () => {
    const logs = '/var/log/jitsi/jibri/1';
    for (const [folder, name] of [
      ['org.jitsi.jibri.capture.ffmpeg.util', 'Ffmpeg'],
      ['org.jitsi.jibri.selenium.util', 'Browser'],
    ]) {
      await recorder.write(
        `/srv/${name}FileHandler.java`,
        `package ${folder};
        import java.util.logging.*;
        class ${name}FileHandler extends FileHandler {
          ${name}FileHandler() throws java.io.IOException {}
          public static void main(String[] none) throws Exception {
            Logger logger = Logger.getLogger("said");
            logger.setUseParentHandlers(false);
            logger.addHandler(new ${name}FileHandler());
            String line = "said ".repeat(2000);
            for (int each = 0; each < 3000; each++) logger.info(line);
          }
        }`,
      );
      const java = `java -Djava.util.logging.config.file=/etc/jitsi/jibri/instance-1/logging.properties`;
      const { code, stderr } = await as('jibri-1', `cd /tmp && ${java} /srv/${name}FileHandler.java`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const kept = (await host.run(`stat -c '%n %s' ${logs}/${name!.toLowerCase()}.*.txt`)).split('\n');
      expect(kept.map((line) => line.split(' ')[0])).toEqual(
        [0, 1, 2, 3].map((number) => `${logs}/${name!.toLowerCase()}.${number}.txt`),
      );
      for (const line of kept) expect(Number(line.split(' ')[1])).toBeLessThan(5_100_000);
    }
    expect(await host.run('find /var/lib/jibri/1 -maxdepth 1 -name "java*.log*"')).toBe('');
  }, 120_000);

  test('leaves the pool while its disk has too little room, and comes back', async () => {
    // Instances go on in a copy of their folders, whose size can be changed.
    await host.run(
      'mount -t tmpfs -o size=300M tmpfs /mnt && rm -rf /var/lib/jibri/*/session && ' +
        'cp -a /var/lib/jibri/. /mnt && mount --bind /mnt /var/lib/jibri && systemctl start platform-disk-guard',
    );
    const units = 'platform-jibri@1 platform-jibri@2';
    const active = () => host.attempt(`systemctl is-active ${units}`);
    await until('no instance runs', active, ({ stdout }) => stdout === 'inactive\ninactive\n', 90);
    expect((await host.attempt('platform-ready')).stdout).toMatch(/disk has too little room/);
    await host.run(`systemctl start ${units}`);
    expect((await active()).stdout).toBe('inactive\ninactive\n');
    await host.run('mount -o remount,size=100G /mnt && systemctl start platform-disk-guard');
    await isIdle(1);
    await isIdle(2);
    expect(await host.run('journalctl -u platform-disk-guard -o cat')).toMatch(
      /no more lessons here[^]*taken again/,
    );
  }, 300_000);
});
