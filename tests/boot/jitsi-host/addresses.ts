import { expect, test } from 'vitest';
import { until } from '../booted-cloud';
import type { BootedHost } from '../booted-host';
import type { Booted } from './booted';

/** Which of its addresses a host tells whom. */
export function addressSuite(booted: Booted): void {
  /** What the bridge on a host says of itself, as Jicofo's own library reads it. */
  const mapping = async (host: BootedHost): Promise<unknown> =>
    JSON.parse(
      await host.run(
        'hocon -f /etc/jitsi/videobridge/jvb.conf get --json ice4j.harvest.mapping.static-mappings',
      ),
    );
  const mapped = (host: BootedHost, address = host.address): object[] => [
    { name: 'public', 'local-address': host.privateAddress, 'public-address': address },
  ];

  test('a bridge with a private address advertises the public one', async () => {
    for (const host of [booted.jitsi, booted.bridge]) expect(await mapping(host)).toEqual(mapped(host));
  });

  test('a changed public address is carried to all that tell it, and so is the old one after a reboot', async () => {
    const { jitsi } = booted;
    const other = '198.18.77.7';
    await jitsi.run(`
      ip address add ${other}/32 dev eth0
      ip route change $(ip route show default | sed 's/ src [0-9.]*//') src ${other}
      platform-converge`);
    expect(await jitsi.status()).toMatchObject({ state: 'converged', failures: [] });
    expect(await mapping(jitsi)).toEqual(mapped(jitsi, other));
    expect(await jitsi.run("ss -Hlun 'sport = :3478'")).toContain(other);

    await jitsi.run('touch /run/before-reboot; systemctl reboot');
    await until(
      'another boot',
      () => jitsi.attempt('test ! -e /run/before-reboot && systemctl is-system-running'),
      ({ stdout }) => stdout.trim() === 'running',
      120,
    );
    await jitsi.run('systemctl start platform-converge-scheduled.service');
    expect(await jitsi.status()).toMatchObject({ state: 'converged', failures: [] });
    expect(await mapping(jitsi)).toEqual(mapped(jitsi));
    expect(await jitsi.run('platform-ready')).toMatch(/lessons can be joined$/);
    const asked = await jitsi.attempt(
      'runuser -u nobody -- curl -sS -m 5 http://169.254.169.254/hetzner/v1/userdata',
    );
    expect(asked.code).toBe(7);
  }, 240_000);
}
