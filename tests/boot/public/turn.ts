import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lesson } from '../lesson';
import type { Booted } from './booted';
import {
  credentials,
  madeCredentials,
  peerAddress,
  relay,
  type Credentials,
  type RelayOptions,
} from './relays';

const day = 24 * 3600;
/** Networks into which nobody may be relayed, an address of each. */
const denied = [
  ...['127.0.0.1', '169.254.169.254', '10.10.1.1', '10.10.2.1', '10.0.0.1', '172.16.0.1', '172.31.1.1'],
  ...['192.168.1.1', '100.64.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255', '192.0.2.1', '203.0.113.7'],
];
const denied6 = ['::1', '::ffff:127.0.0.1', '::ffff:10.10.1.1', 'fc00::1', 'fe80::1', '2001:db8:1::1'];

/** Relays for those whose network lets no media through. */
export function turnSuite(booted: Booted): void {
  let lesson: Lesson;
  let given: Credentials;
  const outcome = (options: Partial<RelayOptions> & { peer: string }): Promise<string> =>
    relay(booted, { ...given, ...options }).outcome;

  beforeAll(async () => {
    const root = await booted.pebble.root();
    lesson = await Lesson.begin(booted.school, booted.jitsi, 'geometry', true, root);
    given = await credentials(booted, lesson);
  });
  afterAll(() => lesson?.end());

  test('a participant is told of STUN and TURN, with credentials for a day', async () => {
    const { domain } = booted;
    const services = await lesson.services();
    const told = services.map(({ type, host, port, transport }) => ({ type, host, port, transport }));
    expect(told).toEqual([
      { type: 'stun', host: domain, port: '3478', transport: undefined },
      { type: 'turn', host: domain, port: '3478', transport: 'udp' },
      { type: 'turns', host: domain, port: '5349', transport: 'tcp' },
    ]);
    for (const { username } of services.slice(1)) {
      const left = Number(username) - Date.now() / 1000;
      expect(left).toBeGreaterThan(day - 600);
      expect(left).toBeLessThanOrEqual(day);
    }
  });

  test('they relay over UDP, and over TLS', async () => {
    expect(await outcome({ peer: peerAddress })).toMatch(/tot_recv_msgs=3\b[^]*Total lost packets 0 /);
    expect(await outcome({ peer: peerAddress, over: 'tls' })).toMatch(/cipher[^]*Total lost packets 0 /);
  });

  test('those of a class that came in the same second all get relays', async () => {
    const said = await outcome({ peer: peerAddress, clients: 90, messages: 1 });
    expect(said).not.toMatch(/Quota/);
    expect(said).toMatch(/tot_recv_msgs=90\b/);
  });

  test('private networks, the host itself and the metadata service are out of reach', async () => {
    const said = await Promise.all(denied.map(async (peer) => [peer, await outcome({ peer })] as const));
    for (const [peer, text] of said) {
      expect(text, peer).toMatch(/create permission error 403 \(Forbidden IP\)/);
      expect(text, peer).not.toMatch(/tot_recv_msgs=[1-9]/);
    }
    // There is no relay with an IPv6 address at all.
    for (const peer of denied6)
      expect(await outcome({ peer }), peer).toMatch(/error 440|error 443|error 403/);
  });

  test('of the host’s own address only what is public can be reached', async () => {
    const { address } = booted.jitsi;
    const port = 7777;
    await booted.jitsi.run(`
cat >/run/listen.py <<'PY'
import socket
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.bind(("0.0.0.0", ${port}))
while True:
    data, (source, _) = listening.recvfrom(2048)
    with open("/run/heard", "a") as heard:
        heard.write(f"{source} {len(data)}\\n")
PY
systemd-run --quiet --unit=listen-private python3 /run/listen.py
timeout 30 sh -c "until ss -Hlun | grep -q ':${port} '; do sleep 0.1; done"`);
    await outcome({ peer: address, peerPort: port });
    // What comes another way is heard.
    await booted.jitsi.run(
      `python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"own", ("127.0.0.1", ${port}))'; timeout 10 sh -c 'until [ -s /run/heard ]; do sleep 0.1; done'`,
    );
    expect(await booted.jitsi.run('cat /run/heard')).toBe('127.0.0.1 3');
    await booted.jitsi.run('systemctl stop listen-private');
  });

  test('credentials that have ended, or of another secret, open nothing', async () => {
    const good = await madeCredentials(booted, 'anna', 60);
    expect(await outcome({ ...good, peer: peerAddress })).toMatch(/Total lost packets 0 /);
    const old = await madeCredentials(booted, 'anna', -1);
    const wrong = { ...good, password: Buffer.from('another secret').toString('base64') };
    for (const each of [old, wrong]) {
      const said = await outcome({ ...each, peer: peerAddress });
      expect(said).toMatch(/Cannot complete Allocation/);
      expect(said).not.toMatch(/tot_recv_msgs=[1-9]/);
    }
  });
}
