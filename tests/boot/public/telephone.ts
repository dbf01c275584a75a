import { expect, test } from 'vitest';
import { scanFromOutside } from '../booted-host';
import { until } from '../booted-cloud';
import type { Booted } from './booted';

export const sip = { sipAccount: '4930123@sip.example', sipPassword: 'sip-password-0123456789' };
const properties = '/etc/jitsi/jigasi/sip-communicator.properties';

/** The SIP gateway has been switched on. */
export function telephoneSuite(booted: Booted): void {
  const health = () => booted.jitsi.attempt('curl -sf --max-time 5 http://127.0.0.1:8788/about/health');

  test('it runs with the platform’s account file, is in its brewery, and says that it is healthy', async () => {
    await until('the gateway is in its brewery', health, ({ code }) => code === 0, 60);
    const text = await booted.jitsi.run(`cat ${properties}`);
    expect(text).toContain('USER_ID=4930123@sip.example');
    expect(text).toContain(`PASSWORD=${Buffer.from(sip.sipPassword).toString('base64')}`);
    expect(await booted.jitsi.run(`stat -c '%a %U:%G' ${properties}`)).toBe('640 jigasi:jitsi');
    expect(
      await booted.jitsi.run('hocon -f /etc/jitsi/jicofo/jicofo.conf get jicofo.jigasi.brewery-jid'),
    ).toContain(`jigasibrewery@internal.auth.${booted.domain}`);
    const room = `jigasibrewery@internal.auth.${booted.domain}`;
    expect(await booted.jitsi.run(`prosodyctl shell "muc:occupants('${room}')" </dev/null`)).toMatch(
      /jigasi/,
    );
    expect((await booted.jitsi.run('/usr/local/lib/platform/checks/37-telephone')).trim()).toMatch(/healthy/);
  });

  test('nothing of it is open to the outside, and its password is in no log and no process list', async () => {
    expect(await scanFromOutside(booted.jitsi.place, booted.jitsi.address, '5060-5061,8788,10001')).toEqual(
      [],
    );
    const secrets = [sip.sipPassword, Buffer.from(sip.sipPassword).toString('base64')];
    for (const secret of secrets) {
      const found = await booted.jitsi.run(
        `grep -rlF -- '${secret}' /var/log /var/lib/platform || true; journalctl -o cat | grep -cF -- '${secret}' || true; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -cF -- '${secret}' || true`,
      );
      // The shell that looks has it in its own line.
      expect(found.split('\n').slice(0, -1)).toEqual(['0']);
    }
  });

  test('another account reaches it by an up', async () => {
    const since = () => booted.jitsi.run('systemctl show -p MainPID --value jigasi');
    const before = await since();
    booted.school.set({ sipAccount: '4930999@sip.example' });
    const { code, stdout, stderr } = await booted.school.up();
    expect(code, stdout + stderr).toBe(0);
    expect(await booted.jitsi.run(`cat ${properties}`)).toContain('USER_ID=4930999@sip.example');
    expect(await since()).not.toBe(before);
    await until('the gateway is in its brewery', health, ({ code: status }) => status === 0, 60);
  });
}
