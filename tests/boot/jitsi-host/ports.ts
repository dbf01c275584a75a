import { join } from 'node:path';
import { expect, test } from 'vitest';
import { outside, until } from '../booted-cloud';
import { scanFromOutside } from '../booted-host';
import type { Booted } from './booted';

/** What is public of a Jitsi host, SSH aside. */
const publicTcp = [80, 443, 5349];
const publicUdp = [3478, 10000];
/** Some of all that are not. */
const closedUdp = [123, 5000, 9999, 10001, 49152];
/** Not an administrator's address. */
const stranger = '172.31.1.1';
const all = '1-10100';

/** Programs that whoever gets past the firewalls would hear of. */
const listeners = `
for port in 8088 9999; do
  systemd-run --quiet --unit=listen-$port python3 -m http.server --bind :: $port
done
cat >/run/echo.py <<'PY'
import select, socket
sockets = []
for port in [${closedUdp.join(', ')}]:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("0.0.0.0", port))
    sockets.append(one)
while True:
    for one in select.select(sockets, [], [])[0]:
        data, source = one.recvfrom(2048)
        one.sendto(data, source)
PY
systemd-run --quiet --unit=listen-udp python3 /run/echo.py
timeout 30 sh -c "until ss -Hlun | grep -q ':49152 ' && ss -Hltn | grep -q ':9999 ' && ss -Hltn | grep -q ':8088 '; do sleep 0.1; done"`;

/** Who reaches what, with both firewalls and with each of them alone. */
export function portSuite(booted: Booted): void {
  /** Ports that something on the Jitsi host listens on: no other can be open. */
  let listening: string;

  const tcp = (ports: string, source?: string): Promise<number[]> =>
    scanFromOutside(booted.jitsi.place, booted.jitsi.address, ports, source);
  const udp = async (): Promise<number[]> => {
    const ports = [...publicUdp, ...closedUdp].map(String);
    const probe = ['python3', join(__dirname, '..', 'udp-probe.py'), booted.jitsi.address, ...ports];
    return JSON.parse((await outside(booted.jitsi.place, probe)).stdout) as number[];
  };
  const seen = async (): Promise<object> => ({
    administrator: await tcp(listening),
    stranger: await tcp(listening, stranger),
    udp: await udp(),
  });
  const asMeant = { administrator: [22, ...publicTcp], stranger: publicTcp, udp: publicUdp };

  const firewall = async (what: 'apply_to' | 'remove_from'): Promise<void> => {
    const { school, jitsi } = booted;
    const { firewalls } = (await school.api('GET', '/firewalls')) as {
      firewalls: { id: number; name: string }[];
    };
    const { id } = firewalls.find(({ name }) => name.endsWith('-jitsi'))!;
    const { actions } = (await school.api('POST', `/firewalls/${id}/actions/${what}_resources`, {
      [what]: [{ type: 'server', server: { id: jitsi.id } }],
    })) as { actions: { id: number }[] };
    for (const begun of actions) {
      await until(
        `${what} ends`,
        () => school.api('GET', `/actions/${begun.id}`) as Promise<{ action: { status: string } }>,
        ({ action }) => action.status === 'success',
      );
    }
  };

  test('from outside what is meant to be public is open, and nothing else', async () => {
    await booted.jitsi.run(listeners);
    const ports = await booted.jitsi.run("ss -Hltn | sed -E 's/.*:([0-9]+) .*:.*/\\1/' | sort -un");
    listening = ports.split('\n').join(',');
    expect(listening.split(',')).toEqual(
      expect.arrayContaining(['22', '443', '5222', '8088', '8460', '9999']),
    );
    expect(await tcp(all)).toEqual([22, ...publicTcp]);
    expect(await seen()).toEqual(asMeant);
  });

  test('the cloud firewall alone opens the same', async () => {
    await booted.jitsi.run('nft flush ruleset');
    try {
      expect(await seen()).toEqual(asMeant);
    } finally {
      await booted.jitsi.run('systemctl reload nftables.service');
    }
  });

  test('so does the host alone, with the cloud firewall detached', async () => {
    await firewall('remove_from');
    try {
      expect(await seen()).toEqual(asMeant);
    } finally {
      await firewall('apply_to');
    }
  });

  test('its private network reaches Prosody and the host plans besides; on the public side it is a stranger', async () => {
    const { jitsi, bridge } = booted;
    const ports = [22, 80, 443, 5222, 8460];
    expect(await bridge.reaches(jitsi.privateAddress, listening)).toEqual(ports);
    expect(await bridge.reaches(jitsi.address, listening)).toEqual(publicTcp);
  });

  test('a bridge shows its colibri port to the Jitsi host, and nothing to the public but media', async () => {
    const { jitsi, bridge } = booted;
    expect(await scanFromOutside(bridge.place, bridge.address, all)).toEqual([22]);
    const ports = await jitsi.reaches(bridge.privateAddress, '22,8080,9090');
    expect(ports).toEqual([22, 9090]);
  });

  test('only root may ask the metadata service', async () => {
    const service = 'http://169.254.169.254/hetzner/v1/userdata';
    expect(await booted.jitsi.run(`curl -sf ${service} | grep -c 'OPENSSH PRIVATE KEY'`)).not.toBe('0');
    for (const user of ['prosody', 'www-data', 'jvb', 'turnserver', 'nobody']) {
      const asked = await booted.jitsi.attempt(`runuser -u ${user} -- curl -sS -m 5 ${service}`);
      expect({ user, code: asked.code, said: asked.stdout }).toEqual({ user, code: 7, said: '' });
    }
  });
}
