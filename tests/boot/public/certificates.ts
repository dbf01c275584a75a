import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { ended, until, type Action } from '../booted-cloud';
import { Lesson } from '../lesson';
import { running, shownByProsody, shownOutside, stackAuthorityFile, type Booted, type Shown } from './booted';
import { relay, peerAddress, credentials } from './relays';

const pebbles = /Pebble Intermediate/;

/** How the host gets its certificate, keeps it, and does without. Pebble does not run yet. */
export function certificateSuite(booted: Booted): void {
  const api = <T>(method: string, path: string, body?: object): Promise<T> =>
    booted.school.api(method, path, body) as Promise<T>;
  const act = async (path: string, body: object): Promise<void> => {
    const answer = await api<{ action?: Action; actions?: Action[] }>('POST', path, body);
    for (const { id } of answer.actions ?? [answer.action!])
      await ended((method, at) => api(method, at.replace(/^\/v1/, '')), id);
  };
  const request = (...args: string[]) =>
    booted.jitsi.attempt(`platform-certificate request ${args.join(' ')}`);
  const status = async (): Promise<string> =>
    (await booted.jitsi.attempt('platform-certificate status')).stdout;
  /** As its timer does. */
  const byTimer = () => booted.jitsi.attempt('systemctl start platform-certificate-request.service');
  /** What everybody is shown, in the order nginx, coturn, Prosody. */
  const everywhere = async (authority: string, onHost: string): Promise<Shown[]> => [
    await shownOutside(booted, 443, booted.domain, authority),
    await shownOutside(booted, 5349, booted.domain, authority),
    await shownByProsody(booted, booted.domain, onHost),
  ];
  /** The same, when each has taken what the host got last: their reloads are not waited for. */
  const everywhereAnew = (previous?: string): Promise<Shown[]> =>
    until(
      'all show the new certificate',
      () => everywhere(booted.rootFile, rootOnHost),
      (all) => all.every(({ serial }) => serial !== undefined && serial !== previous),
    );
  const stackOnHost = '/etc/platform/secrets/ca-certificate';
  const rootOnHost = '/run/acme-root.pem';
  let lesson: Lesson;
  let since: string;
  afterAll(() => lesson?.end());

  test('without the authority’s certificate the host is up on the stack’s own, and says why', async () => {
    writeFileSync(stackAuthorityFile(booted), await booted.jitsi.run(`cat ${stackOnHost}`));
    for (const each of await everywhere(stackAuthorityFile(booted), stackOnHost)) {
      expect(each).toMatchObject({ issuer: `CN=CA of ${booted.domain}`, names: [booted.domain] });
    }
    await byTimer();
    expect(await status()).toMatch(
      /^stack until .*\nhttps:\/\/.* gave no certificate for meet.*refused\nasked again at/,
    );
    expect(await booted.jitsi.run('journalctl -u platform-certificate-request -o cat')).toMatch(
      /gave no certificate for meet\.school\.example:.*Connection refused/,
    );
    lesson = await Lesson.begin(booted.school, booted.jitsi, 'algebra', true);
    since = await running(booted, 'nginx', 'prosody', 'coturn', 'jicofo');
  });

  test('a name that leads elsewhere is not asked for, and costs no try', async () => {
    await booted.pebble.start();
    const path = '/zones/school.example/rrsets/meet/A/actions/set_records';
    const lead = (value: string) => act(path, { records: [{ value }] });
    await lead('198.18.0.200');
    try {
      const { code, stdout } = await request('--now');
      expect({ code, stdout }).toEqual({
        code: 75,
        stdout: `${booted.domain} points at 198.18.0.200, not at ${booted.jitsi.address}; the certificate is asked for when it does\n`,
      });
    } finally {
      await lead(booted.jitsi.address);
    }
    expect(booted.pebble.orders()).toBe(0);
  });

  test('a refused challenge leaves everything as it was, and is tried again only when that is due', async () => {
    const { firewalls } = await api<{ firewalls: { id: number; name: string; rules: { port: string }[] }[] }>(
      'GET',
      '/firewalls',
    );
    const { id, rules } = firewalls.find(({ name }) => name.endsWith('-jitsi'))!;
    const open = (list: object[]) => act(`/firewalls/${id}/actions/set_rules`, { rules: list });
    await open(rules.filter(({ port }) => port !== '80'));
    try {
      const { code, stdout } = await request('--now');
      expect(code, stdout).toBe(3);
      expect(stdout).toMatch(/gave no certificate for meet\.school\.example: .*198\.18\.0\.|[Tt]imeout/);
      expect(await status()).toMatch(/^stack until [^]*asked again at/);
      expect(booted.pebble.orders()).toBe(1);
    } finally {
      await open(rules);
    }
    // The cause is gone, but the authority's limits are not.
    expect((await byTimer()).code).toBe(0);
    expect(booted.pebble.orders()).toBe(1);
    expect((await everywhere(stackAuthorityFile(booted), stackOnHost)).map(({ refused }) => refused)).toEqual(
      [undefined, undefined, undefined],
    );
  });

  test('when it is due it gets its certificate: nginx, coturn and Prosody take it, and no lesson notices', async () => {
    await booted.jitsi.run('sed -i s/^next=.*/next=1/ /var/lib/platform/certificate-request');
    const { code, stderr } = await byTimer();
    expect(code, stderr).toBe(0);
    expect(await status()).toMatch(/^authority until .* GMT\n$/);
    const root = await booted.pebble.root();
    writeFileSync(booted.rootFile, root);
    await booted.jitsi.run(`cat >${rootOnHost} <<'PEM'\n${root}\nPEM`);
    const shown = await everywhereAnew();
    for (const each of shown)
      expect(each).toMatchObject({
        issuer: expect.stringMatching(pebbles) as string,
        names: [booted.domain],
      });
    expect(new Set(shown.map(({ serial }) => serial)).size).toBe(1);
    // Browsers would refuse what only the stack vouches for, and now the other way round.
    expect(
      (await shownOutside(booted, 443, booted.domain, stackAuthorityFile(booted))).refused,
    ).toBeDefined();
    expect(await running(booted, 'nginx', 'prosody', 'coturn', 'jicofo')).toBe(since);
    expect(await lesson.isAlive()).toBe(true);
  });

  test('the platform’s own logins stay with the stack’s authority', async () => {
    expect(await shownByProsody(booted, `auth.${booted.domain}`, stackOnHost)).toMatchObject({
      issuer: `CN=CA of ${booted.domain}`,
    });
    expect(await booted.jitsi.run('platform-ready')).toMatch(
      /^certificate: authority .*\nlessons can be joined$/m,
    );
  });

  test('its renewal reaches all three while a lesson and a relay run on', async () => {
    const before = await everywhere(booted.rootFile, rootOnHost);
    const relayed = relay(booted, {
      ...(await credentials(booted, lesson)),
      peer: peerAddress,
      messages: 1250,
    });
    await sleep(2000);
    // As its timer would, near the end of the certificate's life.
    const settings = `/etc/letsencrypt/renewal/${booted.domain}.conf`;
    await booted.jitsi.run(
      `sed -i '1i renew_before_expiry = 300 days' ${settings}; systemctl start certbot.service; sed -i 1d ${settings}`,
    );
    const after = await everywhereAnew(before[0]!.serial);
    expect(new Set(after.map(({ serial }) => serial)).size).toBe(1);
    expect(after[0]!.issuer).toMatch(pebbles);
    expect(after[0]!.serial).not.toBe(before[0]!.serial);
    expect(relayed.running()).toBe(true);
    expect(await relayed.outcome).toMatch(/tot_recv_msgs=1250\b[^]*Total lost packets 0 /);
    expect(await running(booted, 'nginx', 'prosody', 'coturn', 'jicofo')).toBe(since);
    expect(await lesson.isAlive()).toBe(true);
  });

  test('no key is readable by who does not serve it', async () => {
    const keys = '/etc/ssl/platform/public.key /etc/turnserver/public.key /etc/prosody/certs/*.key';
    expect(await booted.jitsi.run(`stat -c '%a %U:%G %n' ${keys}`)).toBe(
      [
        '600 root:root /etc/ssl/platform/public.key',
        '640 root:turnserver /etc/turnserver/public.key',
        `640 root:prosody /etc/prosody/certs/auth.${booted.domain}.key`,
        `640 root:prosody /etc/prosody/certs/${booted.domain}.key`,
      ].join('\n'),
    );
  });
}
