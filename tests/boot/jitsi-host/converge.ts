import { expect, test } from 'vitest';
import { Lesson } from '../lesson';
import type { Booted } from './booted';

const PLAN = '/var/lib/platform/host-plan.json';

/** A script that applies the host plan with one text replaced in one of its files, as an `up` would. */
const applyWith = (path: string, text: string, other: string): string => `
  python3 - <<'PY' >/root/changed-plan.json
import json
plan = json.load(open("${PLAN}"))
file = plan["files"]["${path}"]
assert ${JSON.stringify(text)} in file["content"]
file["content"] = file["content"].replace(${JSON.stringify(text)}, ${JSON.stringify(other)}, 1)
print(json.dumps(plan, indent=2, ensure_ascii=False))
PY
  platform-apply </root/changed-plan.json`;

/** Converge with the real systemd. */
export function convergeSuite(booted: Booted): void {
  const domainFile = (): string => `/etc/prosody/conf.avail/${booted.domain}.cfg.lua`;
  const site = (): string => `/etc/nginx/sites-available/${booted.domain}.conf`;
  const prosodySince = (): Promise<string> =>
    booted.jitsi.run('systemctl show -P MainPID,ActiveEnterTimestamp prosody');

  test('a second run changes and restarts nothing', async () => {
    await booted.jitsi.run('platform-converge');
    expect(await booted.jitsi.status()).toMatchObject({
      state: 'converged',
      changed: [],
      actions: [],
      pending: [],
    });
  });

  test('killed at any point, it is finished by the next run', async () => {
    const { jitsi } = booted;
    const before = await jitsi.run(
      `cat ${site()} /etc/nftables.conf /etc/ssh/sshd_config.d/10-platform.conf`,
    );
    for (let round = 0; round < 5; round += 1) {
      const milliseconds = Math.floor(Math.random() * 2500);
      await jitsi.run(`
        echo '# by hand' | tee -a ${site()} >>/etc/nftables.conf
        rm /etc/ssh/sshd_config.d/10-platform.conf
        systemctl start --no-block platform-converge
        sleep ${milliseconds / 1000}
        systemctl kill --signal=KILL platform-converge || true
        timeout 60 sh -c 'while systemctl is-active --quiet platform-converge; do sleep 0.1; done'
        systemctl reset-failed platform-converge || true
        platform-converge`);
      const after = await jitsi.run(
        `cat ${site()} /etc/nftables.conf /etc/ssh/sshd_config.d/10-platform.conf`,
      );
      expect({ milliseconds, after }).toEqual({ milliseconds, after: before });
      expect(await jitsi.status()).toMatchObject({ state: 'converged', failures: [] });
      expect(
        await jitsi.run('ls /var/lib/platform/backup; ls /var/lib/platform/journal.json 2>&1 || true'),
      ).toMatch(/^ls: cannot access/);
      // What ran with the change by hand runs without it.
      expect(await jitsi.run('nginx -T 2>/dev/null | grep -c "by hand" || true')).toBe('0');
    }
  }, 180_000);

  test('a file that a check refuses goes back, and says why', async () => {
    const { jitsi } = booted;
    const good = await jitsi.run(
      `cp ${PLAN} /root/plan.json; sha256sum ${site()}; systemctl show -P MainPID nginx`,
    );
    const { code, stdout, stderr } = await jitsi.attempt(applyWith(site(), 'server_name ', 'sever_name '));
    expect(code).toBe(1);
    expect(stdout).toMatch(/put back [^\n]*sites-available/);
    expect(stderr).toMatch(/failed: nginx.service: .*nginx -t[^]*unknown directive "sever_name"/);
    expect((await jitsi.status()).failures).toMatchObject([{ unit: 'nginx.service', step: 'check' }]);
    expect(await jitsi.run(`sha256sum ${site()}; systemctl show -P MainPID nginx`)).toBe(good);
    expect(await jitsi.run('platform-ready')).toMatch(/lessons can be joined$/);
    expect((await jitsi.attempt('platform-apply </root/plan.json')).code).toBe(0);
  }, 60_000);

  test('a restart that would end a lesson waits for the night after it; the newest wins', async () => {
    const { school, jitsi } = booted;
    const lesson = await Lesson.begin(school, jitsi, 'algebra', true);
    const since = await prosodySince();
    for (const change of ['-- first', '-- second']) {
      const applied = await jitsi.run(applyWith(domainFile(), 'VirtualHost', `${change}\nVirtualHost`));
      expect(applied).toMatch(/pending: restart of prosody.service, waits for the last lesson since/);
    }
    await jitsi.run('systemctl start platform-converge-nightly.service');
    expect(await jitsi.status()).toMatchObject({
      state: 'converged',
      pending: [{ unit: 'prosody.service' }],
    });
    expect(await prosodySince()).toBe(since);
    expect(await lesson.isAlive()).toBe(true);
    await lesson.end();
    await jitsi.run('systemctl start platform-converge-nightly.service');
    expect(await jitsi.status()).toMatchObject({
      state: 'converged',
      pending: [],
      actions: [{ unit: 'prosody.service', action: 'restart' }],
    });
    expect(await prosodySince()).not.toBe(since);
    expect(await jitsi.run(`grep -c -e '-- second' ${domainFile()}`)).toBe('1');
  }, 120_000);

  test('by name it is forced, and ends the lesson', async () => {
    const { school, jitsi } = booted;
    const lesson = await Lesson.begin(school, jitsi, 'algebra', true);
    expect(await jitsi.run('platform-apply </root/plan.json')).toMatch(/pending: restart of prosody.service/);
    const wrong = await jitsi.attempt('platform-converge --force nginx.service');
    expect(wrong).toMatchObject({ code: 1 });
    expect(wrong.stdout).toMatch(/no restart of nginx.service is pending; pending: prosody.service/);
    await jitsi.run('platform-converge --force prosody.service');
    expect(await jitsi.status()).toMatchObject({ state: 'converged', pending: [] });
    expect(await lesson.isAlive()).toBe(false);
    expect(await jitsi.run('platform-ready')).toMatch(/lessons can be joined$/);
  }, 120_000);
}
