import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { placeOf, type Place } from '../../local/machines/place';
import { copyOfCheckout } from '../engine/checkout-copy';
import { leftovers, until } from './booted-cloud';

// The whole command on hosts that boot, in a copy of the checkout. The tests go on from one another, as its user does.
let copy: string;
let place: Place;
beforeAll(() => {
  copy = copyOfCheckout();
  place = placeOf(join(copy, '.local', 'cloud'));
  const example = readFileSync(join(copy, 'local', 'example.yaml'), 'utf8');
  // A mirror that nobody serves: stand-ins are to be taken, whatever this machine reaches.
  const settings = example.replace(
    'lesson-platform:recorderCount: 3',
    'lesson-platform:recorderCount: 1\n  lesson-platform:jitsiRepository: http://127.0.0.1:1/jitsi stable/',
  );
  writeFileSync(join(copy, 'Pulumi.local.yaml'), settings);
});
afterAll(async () => {
  if (existsSync(join(copy, '.local'))) await local('down').ended;
  rmSync(copy, { recursive: true, force: true });
}, 300_000);

interface Ran {
  /** Exit status, or the signal that ended it. */
  code: number | string | null;
  stdout: string;
  stderr: string;
}

/** Runs the command in a process group of its own, as a terminal does. */
function start(args: string[], env: Record<string, string> = {}) {
  const child: ChildProcess = spawn('npm', ['run', '-s', 'local', '--', ...args], {
    cwd: copy,
    env: { ...process.env, REAL: '', PULUMI_HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ran: Ran = { code: null, stdout: '', stderr: '' };
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (ran.stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (ran.stderr += text));
  const ended = new Promise<Ran>((resolve) =>
    child.on('close', (code, signal) => resolve({ ...ran, code: code ?? signal })),
  );
  return { ended, ran, press: (signal: NodeJS.Signals) => process.kill(-child.pid!, signal) };
}
const local = (...args: string[]) => start(args);

const good = async (...args: string[]): Promise<Ran> => {
  const ran = await local(...args).ended;
  expect(ran.code, ran.stdout + ran.stderr).toBe(0);
  return ran;
};

test('with REAL=1 stand-ins are refused before anything is made', async () => {
  const { code, stderr } = await start([], { REAL: '1' }).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/REAL=1 refuses stand-ins.* http:\/\/127\.0\.0\.1:1\/jitsi stable\/ \(/);
  expect(existsSync(join(copy, '.local'))).toBe(false);
}, 60_000);

test('Ctrl-C in the middle of an installation leaves nothing running', async () => {
  const { ended, ran, press } = local();
  const dpkgLogs = () =>
    (existsSync(place.disks) ? readdirSync(place.disks) : [])
      .map((id) => join(place.disks, id, 'upper/var/log/dpkg.log'))
      .filter((file) => existsSync(file) && readFileSync(file, 'utf8').includes('status unpacked'));
  await until(
    'a host installs packages',
    () => Promise.resolve(dpkgLogs().length),
    (count) => count > 0,
    600,
  );
  expect(ran.stderr).toMatch(/Jitsi's packages: http:\/\/127\.0\.0\.1:1\/jitsi stable\/ cannot be reached/);
  press('SIGINT');
  const { code, stderr } = await ended;
  // npm ends as its child does, or by the signal that it was sent.
  expect([130, 'SIGINT']).toContain(code);
  expect(stderr).toMatch(/Interrupted\. Nothing runs any more; the same command goes on from here/);
  expect(leftovers(place)).toEqual([]);
}, 900_000);

test('two commands at once share one cloud, which boots what ran', async () => {
  const [one, two] = await Promise.all([good('status', '--json'), good('status', '--json')]);
  const names = (ran: Ran) =>
    (JSON.parse(ran.stdout) as { hosts: { name: string }[] }).hosts.map((host) => host.name);
  expect(names(one)).toEqual(['jitsi-1', 'recorder-1']);
  expect(names(two)).toEqual(names(one));
}, 300_000);

test('the same command goes on, to a lesson that is joined, and one that is recorded', async () => {
  const { stdout, stderr } = await good();
  expect(stdout).toMatch(
    /jitsi-1 +jitsi +198\.1[89]\.\d+\.\d+ +10\.10\.1\.1 +ready +lessons can be joined$/m,
  );
  expect(stdout).toMatch(/recorder-1 +recorder +198\.1[89]\.\d+\.\d+ +10\.10\.2\.1 +ready +1 idle$/m);
  expect(stdout).toMatch(
    /^Checked: joined a probe room of https:\/\/meet\.school\.example through nginx: moderator's token → moderator, participant's token → participant \(Prosody 13\.0/m,
  );
  expect(stdout).toMatch(
    /^Checked: recorded a probe lesson, [\d.]+ s after its first moderator: recordings\/probe-\w+\/[\w-]+\/recorder-1-1-\w+\/video\.mp4 \(\d+ s\) in the local store$/m,
  );
  expect(stdout).toMatch(/Jitsi's packages: stand-ins/);
  expect(stderr).toMatch(/Lessons can be joined: jitsi-1 is ready/);
  expect(stdout + stderr).not.toMatch(/eyJ[\w-]+\.eyJ/);
}, 900_000);

/** As ffmpeg writes for Jibri: a fragment every two seconds. */
const ffmpeg =
  'ffmpeg -v error -nostdin -re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine -c:v libx264 ' +
  '-preset ultrafast -g 60 -pix_fmt yuv420p -movflags +frag_keyframe+empty_moov+default_base_moof';

test('recordings reach the object store, one that a power cut ended as well', async () => {
  // What Prosody notes when it starts a recording.
  const note = '{"lesson":"L-cut","room":"physics","meeting":"m","shard":"meet.school.example"}';
  const notes = '/var/lib/prosody/lesson-recordings';
  await good(
    ...['shell', 'jitsi-1', 'sh', '-ec'],
    `install -d -o prosody -g prosody -m 0750 ${notes}
     echo '${note}' | install -o prosody -g prosody -m 0640 /dev/stdin ${notes}/session-cut.json`,
  );
  const recordings = '/var/lib/jibri/1/recordings';
  await good(
    ...['shell', 'recorder-1', 'bash', '-ec'],
    `as() { setpriv --reuid=jibri-1 --regid=jibri-1 --clear-groups env HOME=/var/lib/jibri/1 "$@"; }
     as mkdir ${recordings}/session-whole ${recordings}/session-cut
     cd ${recordings}/session-whole
     as ${ffmpeg} -t 3 algebra_2026-11-25-10-00-00.mp4
     echo '{"meeting_url":"https://meet.school.example/algebra","lesson":"L-whole","room":"algebra"}' >metadata.json
     as /usr/local/lib/platform/recording-finished "$PWD"
     systemd-run --uid=jibri-1 --working-directory=${recordings}/session-cut ${ffmpeg} physics_2026-11-25-10-00-00.mp4
     until [ "$(grep -c moof ${recordings}/session-cut/*.mp4)" -ge 2 ]; do sleep 0.5; done`,
  );
  const { url, token } = JSON.parse(readFileSync(join(copy, '.local/cloud/endpoint.json'), 'utf8')) as {
    url: string;
    token: string;
  };
  const call = async (path: string, method: string): Promise<unknown> => {
    const answer = await fetch(`${url}/v1${path}`, { method, headers: { authorization: `Bearer ${token}` } });
    expect(answer.ok).toBe(true);
    return answer.json();
  };
  const { servers } = (await call('/servers?name=recorder-1', 'GET')) as { servers: { id: number }[] };
  await call(`/servers/${servers[0]!.id}/actions/reset`, 'POST');
  // It has been quiet for long enough.
  await until(
    'the recorder is back',
    () =>
      local(
        'shell',
        'recorder-1',
        'bash',
        '-c',
        `sleep 1; touch -d '2 minutes ago' ${recordings}/session-cut/* ${recordings}/session-cut`,
      ).ended,
    ({ code }) => code === 0,
    120,
  );
  const folder = join(copy, '.local/cloud/store/buckets/school-recordings/recordings');
  // Beside that of the probe lesson.
  const metas = () =>
    (existsSync(folder) ? readdirSync(folder, { recursive: true }) : [])
      .filter((path) => /^L-.*meta\.json$/.test(String(path)))
      .map((path) => join(folder, String(path)))
      .filter((path) => readFileSync(path, 'utf8').endsWith('}\n'));
  await until(
    'both are stored',
    () => Promise.resolve(metas()),
    (found) => found.length === 2,
    300,
  );
  const stored = metas().map((path) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>);
  expect(stored.sort((a, b) => String(a['lesson']).localeCompare(String(b['lesson'])))).toMatchObject([
    { lesson: 'L-cut', room: 'physics', session: 'session-cut', complete: false },
    { lesson: 'L-whole', room: 'algebra', shard: 'meet.school.example', complete: true },
  ]);
  for (const { durationMs } of stored) expect(durationMs).toBeGreaterThan(1900);
  const uploads = await good('shell', 'recorder-1', '/usr/local/lib/platform/checks/41-uploads');
  expect(uploads.stdout).toBe('every finished recording is in the store\n');
  expect((await good('shell', 'recorder-1', '/usr/local/lib/platform/checks/42-store')).stdout).toBe(
    'recordings can be written and read\n',
  );
}, 600_000);

test('a second run changes nothing, and says whether lessons can be joined', async () => {
  expect((await good()).stdout).toMatch(/Nothing changed[^]*Checked: joined a probe room/);
  // Masked, or the next converge would start it.
  await good('shell', 'jitsi-1', 'systemctl', 'mask', '--runtime', '--now', 'nginx');
  const broken = await local().ended;
  expect(broken.code).toBe(1);
  expect(broken.stdout).toMatch(/^FAILED: could not join .*the participant logs in: .*ECONNREFUSED/m);
  await good('shell', 'jitsi-1', 'sh', '-c', 'systemctl unmask --runtime nginx && systemctl start nginx');
}, 300_000);

test('hosts are looked at and entered by name', async () => {
  const { hosts } = JSON.parse((await good('status', '--json')).stdout) as {
    hosts: { name: string; state: string; publicAddress: string }[];
  };
  expect(hosts.map(({ name, state }) => [name, state])).toEqual([
    ['jitsi-1', 'ready'],
    ['recorder-1', 'ready'],
  ]);
  expect((await good('shell', 'recorder-1', 'hostname')).stdout).toBe('recorder-1\n');
  expect((await local('shell', 'jitsi-1', 'sh', '-c', 'exit 7').ended).code).toBe(7);
  expect((await good('logs', 'jitsi-1')).stdout).toMatch(/prosody/);
  const reach = `</dev/tcp/${hosts[0]!.publicAddress}/443`;
  await good('outside', 'bash', '-c', reach);
  const unknown = await local('shell', 'jitsi-9', 'true').ended;
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringMatching(/there is no host jitsi-9/)]);
}, 300_000);

test('down leaves nothing, even of a cloud that was killed', async () => {
  const { pid } = JSON.parse(readFileSync(join(copy, '.local/cloud/endpoint.json'), 'utf8')) as {
    pid: number;
  };
  process.kill(pid, 'SIGKILL');
  expect(leftovers(place).length).toBeGreaterThan(5);
  await good('down');
  expect(leftovers(place)).toEqual([]);
  expect(existsSync(join(copy, '.local'))).toBe(false);
  expect(existsSync(join(copy, 'Pulumi.local.yaml'))).toBe(false);
}, 300_000);
