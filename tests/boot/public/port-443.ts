import { afterAll, beforeAll, expect, test } from 'vitest';
import { inNamespace } from '../../../local/machines/place';
import { startService } from '../../../local/machines/services';
import { outside, until } from '../booted-cloud';
import { Lesson } from '../lesson';
import { curl, shownOutside, turnName, type Booted } from './booted';
import { credentials, peerAddress, relay } from './relays';

/** Port, outside, whose connections go on to the host's 443 in TLS that asks for TURN's name. */
const throughTls = 8443;

/** TURN on 443 has been switched on, on a host that has been at work without it. */
export function port443Suite(booted: Booted): void {
  let lesson: Lesson;
  beforeAll(async () => {
    // The timer would do this within two minutes.
    await booted.jitsi.attempt('systemctl start platform-certificate-request.service');
    lesson = await Lesson.begin(booted.school, booted.jitsi, 'physics', true, await booted.pebble.root());
  });
  afterAll(() => lesson?.end());

  test('the certificate has the new name as well, and both names show it', async () => {
    const names = [booted.domain, turnName(booted.domain)].sort();
    for (const name of names) {
      expect(await shownOutside(booted, 443, name, booted.rootFile)).toMatchObject({ names });
    }
    expect(await shownOutside(booted, 5349, turnName(booted.domain), booted.rootFile)).toMatchObject({
      names,
    });
  });

  test('by its own name port 443 relays', async () => {
    expect((await lesson.services()).map(({ type, host, port }) => `${type} ${host}:${port}`)).toContain(
      `turns ${turnName(booted.domain)}:443`,
    );
    const { place, address } = booted.jitsi;
    // TURN's own test client sends no name.
    const tunnel = [
      'socat',
      `TCP-LISTEN:${throughTls},bind=127.0.0.1,fork,reuseaddr`,
      `OPENSSL:${address}:443,snihost=${turnName(booted.domain)},commonname=${turnName(booted.domain)},cafile=${booted.rootFile}`,
    ];
    startService(place, 'tunnel', inNamespace(place.gateway, tunnel));
    await until(
      'the tunnel listens',
      () => outside(place, ['sh', '-c', `ss -Hltn sport = :${throughTls} | grep -q .`]),
      ({ code }) => code === 0,
    );
    const given = await credentials(booted, lesson);
    const over = { plainTcpTo: '127.0.0.1', port: throughTls };
    expect(await relay(booted, { ...given, peer: peerAddress, over }).outcome).toMatch(
      /Total lost packets 0 /,
    );
    expect(await relay(booted, { ...given, peer: '10.10.1.1', over }).outcome).toMatch(
      /403 \(Forbidden IP\)/,
    );
  });

  test('by any other it serves the web, and Prosody knows whom', async () => {
    const page = await curl(
      booted,
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      `https://${booted.domain}/algebra`,
    );
    expect(page).toMatchObject({ code: 0, stdout: '200' });
    const other = await outside(booted.jitsi.place, [
      ...['curl', '-sS', '--max-time', '10', '--resolve', `scanner.example:443:${booted.jitsi.address}`],
      'https://scanner.example/',
    ]);
    expect(other.code).toBe(35);
    const sessions = await booted.jitsi.run(
      `prosodyctl shell "c2s:show('${booted.domain}', 'jid ip')" </dev/null`,
    );
    expect(sessions).toMatch(new RegExp(`@${booted.domain}[^\\n]*198\\.51\\.100\\.1\\b`));
  });
}
