import { expect, test } from 'vitest';
import { inMachine } from '../../../local/machines/inside';
import { standInRepository, versionOf } from '../../../local/stand-ins/build';
import { ran } from '../booted-cloud';
import { Lesson } from '../lesson';
import type { Booted } from './booted';

/** Mode, owner and digest of each file of the host plan. */
const ourFiles = `python3 - <<'PY'
import hashlib, json, os, pathlib
for path in sorted(json.load(open("/var/lib/platform/host-plan.json"))["files"]):
    file = pathlib.Path(path)
    info = file.stat()
    print(path, oct(info.st_mode), info.st_uid, info.st_gid, hashlib.sha256(file.read_bytes()).hexdigest())
PY`;
const planned = `$(python3 -c 'import json; print(" ".join(json.load(open("/var/lib/platform/host-plan.json"))["packages"]))')`;
/** As an administrator would who knows nothing of this project. */
const apt = 'DEBIAN_FRONTEND=noninteractive apt-get --yes -o Dpkg::Options::=--force-confold';
/** They carry the lesson; Java's process is the one that listens, not the unit's. */
const carriers =
  'systemctl show -p Id,MainPID,ActiveEnterTimestampMonotonic prosody jitsi-videobridge2 coturn jicofo; ss -Hltnp "sport = :8888"';

/** What packages do to a host while a lesson runs on it. */
export function packageSuite(booted: Booted): void {
  let lesson: Lesson;
  let files: string;
  let running: string;
  const unharmed = async (): Promise<void> => {
    expect(await booted.jitsi.run(ourFiles)).toBe(files);
    expect(await booted.jitsi.run(carriers)).toBe(running);
    expect(await lesson.isAlive()).toBe(true);
  };

  test('every package is installed anew: our files stay, and what carries the lesson goes on', async () => {
    const { school, jitsi } = booted;
    lesson = await Lesson.begin(school, jitsi, 'algebra', true);
    files = await jitsi.run(ourFiles);
    running = await jitsi.run(carriers);
    await jitsi.run(`${apt} install --reinstall ${planned} openjdk-21-jre-headless`);
    await unharmed();
  }, 240_000);

  test('every package of Jitsi’s is upgraded: the same', async () => {
    const { jitsi } = booted;
    const { folder } = await standInRepository(() => undefined, { raise: 1 });
    const unpack = inMachine(jitsi.place, jitsi.id, [
      'sh',
      '-c',
      'mkdir -p /srv/next && tar -x -C /srv/next',
    ]);
    expect((await ran(['sh', '-c', `tar -C '${folder}' -c . | "$@"`, 'sh', ...unpack])).code).toBe(0);
    await jitsi.run(`
      echo 'deb [signed-by=/srv/next/key.asc] file:/srv/next stable/' >/etc/apt/sources.list.d/next.list
      ${apt} update && ${apt} upgrade`);
    for (const name of ['jicofo', 'jitsi-meet-prosody', 'jitsi-videobridge2', 'jitsi-meet-web'])
      expect(await jitsi.run(`dpkg-query -W -f '\${Version}' ${name}`)).toBe(versionOf(name, 1));
    await unharmed();
  }, 240_000);

  test('converge finds the old programs still running, and waits for the last lesson', async () => {
    const { jitsi } = booted;
    await jitsi.run('systemctl start platform-converge-scheduled.service');
    const { state, changed, actions, pending } = await jitsi.status();
    expect({ state, changed, actions }).toEqual({ state: 'converged', changed: [], actions: [] });
    const waiting = ['prosody', 'coturn', 'jicofo', 'jitsi-videobridge2'].map((name) => `${name}.service`);
    expect(pending.map(({ unit }) => unit)).toEqual([...waiting].sort());
    await unharmed();
    await lesson.end();
    await jitsi.run('systemctl start platform-converge-nightly.service');
    const night = await jitsi.status();
    expect(night.actions.map(({ unit, action }) => `${action} ${unit}`)).toEqual(
      waiting.map((unit) => `restart ${unit}`),
    );
    expect(night).toMatchObject({ state: 'converged', pending: [], failures: [] });
    expect(await jitsi.run('platform-ready')).toMatch(/lessons can be joined$/);
  }, 120_000);

  test('a focus that has died while its unit counts as active is started again, lesson or not', async () => {
    const { school, jitsi } = booted;
    lesson = await Lesson.begin(school, jitsi, 'geometry', true);
    await jitsi.run('systemctl stop platform-focus-guard.timer');
    await jitsi.run(`kill -9 $(ss -Hltnp 'sport = :8888' | sed 's/.*pid=\\([0-9]*\\).*/\\1/')`);
    expect(await jitsi.run('systemctl is-active jicofo')).toBe('active');
    await jitsi.run('systemctl start platform-converge-scheduled.service');
    expect((await jitsi.status()).actions).toContainEqual({ unit: 'jicofo.service', action: 'restart' });
    expect(await jitsi.run('platform-ready')).toMatch(/lessons can be joined$/);
    expect(await lesson.isAlive()).toBe(true);
    await lesson.end();
  }, 120_000);
}
