import { createHash } from 'node:crypto';
import { readFileSync, utimesSync } from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { planDigest, planText } from '../../cloud-init/host-plan';
import { plans } from '../unit/cloud-init-values';
import { demoPlan, file, ScratchHost } from './scratch-host';

const planStore = join(
  __dirname,
  '..',
  '..',
  'cloud-init',
  'plan-store',
  'usr',
  'local',
  'sbin',
  'platform-plans',
);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const turn = 'secret-of-turn-0123456789';
const hosts: ScratchHost[] = [];

function host(from?: ScratchHost): ScratchHost {
  const made = new ScratchHost(from);
  hosts.push(made);
  return made;
}

/** A host that has converged to the demo plan; what was called until then is forgotten. */
function converged(): ScratchHost {
  const made = host();
  made.secrets({ 'turn-secret': turn });
  made.plan(demoPlan());
  expect(made.converge()).toMatchObject({ code: 0 });
  made.calls();
  return made;
}

afterEach(() => hosts.splice(0).forEach((each) => each.remove()));

describe('the first run', () => {
  it('writes, installs, links, removes, enables and starts', () => {
    const made = host();
    made.secrets({ 'turn-secret': turn });
    made.plan(demoPlan());
    const { code, output } = made.converge();
    expect(code, output).toBe(0);
    expect(made.read('/etc/web/site.conf')).toBe('site jitsi-1 10.10.1.1\n');
    expect(made.read('/etc/rooms/main.conf')).toBe(`turn = ${turn}\n`);
    expect(made.mode('/etc/rooms/main.conf')).toBe('0640');
    expect(made.mode('/etc/web')).toBe('0750');
    expect(made.tree()['/etc/web/enabled.conf']).toBe('link /etc/web/site.conf');
    expect(made.has('/etc/web/default.conf')).toBe(false);
    expect(made.read('/etc/apt/keyrings/platform-jitsi.asc')).toBe('KEY\n');
    const source = made.read('/etc/apt/sources.list.d/platform-jitsi.sources');
    expect(source).toContain('Signed-By: /etc/apt/keyrings/platform-jitsi.asc');
    const calls = made.calls();
    const order = [
      'systemctl mask',
      'apt-get update',
      'debconf-set-selections',
      'apt-get install',
      'apt-mark hold rooms',
    ];
    const places = [...order, 'systemctl start rooms'].map((call) =>
      calls.findIndex((each) => each.startsWith(call)),
    );
    expect(places, calls.join('\n')).toEqual([...places].sort((a, b) => a - b));
    expect(places).not.toContain(-1);
    expect(made.status()).toMatchObject({ state: 'converged', plan: planDigest(demoPlan()), failures: [] });
    expect(made.status().installed).toEqual(['web', 'rooms=2.1']);
  });

  it('answers debconf with a value made on the host, which is printed nowhere', () => {
    const made = host();
    made.secrets({ 'turn-secret': turn });
    made.plan(demoPlan());
    const { output } = made.converge();
    const answer = /^rooms rooms\/secret password ([0-9a-f]{32})$/m.exec(made.noted('debconf'));
    expect(answer, made.noted('debconf')).not.toBeNull();
    expect(output).not.toContain(answer![1]);
  });

  it('makes Debian’s mirror the only source when the plan names one', () => {
    const made = host();
    const debian = {
      name: 'debian',
      uri: 'http://mirror.example.org',
      suite: 'bookworm',
      components: 'main',
      keyring: '',
    };
    made.secrets({ 'turn-secret': turn });
    made.plan(demoPlan({}, { aptSources: [debian] }));
    expect(made.converge().code).toBe(0);
    expect(made.read('/etc/apt/apt.conf.d/90platform-sources')).toContain('SourceList "/dev/null"');
    expect(made.read('/etc/platform/apt-sources.d/platform-debian.sources')).toContain(
      'debian-archive-keyring.gpg',
    );
    made.plan(demoPlan());
    expect(made.converge().code).toBe(0);
    expect(made.has('/etc/apt/apt.conf.d/90platform-sources')).toBe(false);
    expect(made.has('/etc/platform/apt-sources.d/platform-debian.sources')).toBe(false);
  });
});

describe('later runs', () => {
  it('changes, calls and restarts nothing when nothing differs', () => {
    const made = converged();
    const before = made.tree();
    expect(made.converge().code).toBe(0);
    expect(made.tree()).toEqual(before);
    expect(made.calls()).toEqual([]);
    expect(made.status()).toMatchObject({ state: 'converged', changed: [], actions: [] });
  });

  it('reloads only what reads a changed file, after its check', () => {
    const made = converged();
    made.plan(demoPlan({ '/etc/web/extra.conf': file('more\n') }));
    expect(made.converge().code).toBe(0);
    expect(made.calls()).toEqual(['demo-check ', 'systemctl reload web.service']);
    expect(made.status()).toMatchObject({ changed: ['/etc/web/extra.conf'] });
  });

  it('mends what was changed by hand: content, mode, a lost link, a stopped unit', () => {
    const made = converged();
    const before = made.tree();
    made.write('/etc/web/site.conf', 'by hand\n', 0o666);
    made.write('/etc/web/default.conf', 'back again\n');
    expect(made.converge('--scheduled').code).toBe(0);
    expect(made.tree()).toEqual(before);
    expect(made.calls()).toContain('systemctl reload web.service');
  });

  it('removes a file that the plan no longer has, and carries that to its service', () => {
    const made = converged();
    const plan = demoPlan();
    delete plan.files['/etc/web/extra.conf'];
    made.plan(plan);
    expect(made.converge().code).toBe(0);
    expect(made.has('/etc/web/extra.conf')).toBe(false);
    expect(made.calls()).toContain('systemctl reload web.service');
  });

  it('stops and disables a unit that the plan no longer enables, before its file goes', () => {
    const made = converged();
    const gateway = demoPlan({ '/etc/systemd/system/sip.service': file('[Service]\n') });
    gateway.units.enabled.push('sip.service');
    made.plan(gateway);
    made.converge();
    expect(made.calls()).toContain('systemctl start sip.service');
    made.plan(demoPlan());
    expect(made.converge().code).toBe(0);
    const calls = made.calls();
    expect(calls).toEqual(['systemctl disable --now sip.service', 'systemctl daemon-reload']);
    expect(made.has('/etc/systemd/system/sip.service')).toBe(false);
  });

  it('restarts a unit whose unit file changed, after telling systemd', () => {
    const made = converged();
    made.plan(demoPlan({ '/etc/systemd/system/web.service.d/limits.conf': file('[Service]\n') }));
    expect(made.converge().code).toBe(0);
    const calls = made.calls();
    expect(calls.indexOf('systemctl daemon-reload')).toBeGreaterThanOrEqual(0);
    expect(calls.indexOf('systemctl restart web.service')).toBeGreaterThan(
      calls.indexOf('systemctl daemon-reload'),
    );
  });

  it('restarts a unit that runs but does not do its work', () => {
    const made = converged();
    made.note('broken-rooms', '');
    const { code, output } = made.converge('--scheduled');
    expect(code, output).toBe(1);
    expect(made.calls()).toContain('systemctl restart rooms.service');
    expect(made.status().failures).toMatchObject([{ unit: 'rooms.service', step: 'verify' }]);
  });
});

describe('a unit that does not do its work while lessons run', () => {
  function broken(more: object): ScratchHost {
    const made = host();
    made.secrets({ 'turn-secret': turn });
    const plan = demoPlan();
    Object.assign(plan.services[1]!, more);
    made.plan(plan);
    made.converge();
    made.lessons(1);
    made.note('broken-rooms', '');
    made.calls();
    return made;
  }

  it('is reported, and left alone', () => {
    const made = broken({});
    expect(made.converge('--scheduled').code).toBe(1);
    expect(made.calls()).toEqual([]);
    expect(made.status().failures[0]!.reason).toContain('not restarted, as lessons run');
  });

  it('is restarted when its failing means that it is gone', () => {
    const made = broken({ mendDuringLessons: true });
    made.converge('--scheduled');
    expect(made.calls()).toContain('systemctl restart rooms.service');
  });
});

describe('a unit whose packages are newer than its start', () => {
  it('is restarted once, or when no lesson runs any more', () => {
    const made = host();
    made.secrets({ 'turn-secret': turn });
    const plan = demoPlan();
    Object.assign(plan.services[1]!, { packages: ['rooms', 'openjdk-*-jre'] });
    made.plan(plan);
    made.converge();
    made.lessons(1);
    made.calls();
    const list = '/var/lib/dpkg/info/openjdk-21-jre:amd64.list';
    made.write(list, '');
    const later = Date.now() / 1000 + 5;
    utimesSync(made.path(list), later, later);
    expect(made.converge('--scheduled').code).toBe(0);
    expect(made.status().pending).toMatchObject([{ unit: 'rooms.service' }]);
    expect(made.calls()).toEqual([]);
    made.lessons(0);
    // Of its own time a converge does not interrupt the day.
    made.converge('--scheduled');
    expect(made.calls()).toEqual([]);
    made.converge('--nightly');
    expect(made.calls()).toEqual(['systemctl restart rooms.service']);
    utimesSync(made.path(list), 1, 1);
    made.converge();
    expect(made.calls()).toEqual([]);
  });
});

describe('failures', () => {
  it('puts the old files back when a check fails, reloads nothing, and says why', () => {
    const made = converged();
    const before = made.read('/etc/web/site.conf');
    made.refuse(['check', 'demo-check', '/etc/web/site.conf', 'wrong']);
    made.plan(demoPlan({ '/etc/web/site.conf': file('wrong\n'), '/etc/web/new.conf': file('new\n') }));
    expect(made.converge().code).toBe(1);
    expect(made.read('/etc/web/site.conf')).toBe(before);
    expect(made.has('/etc/web/new.conf')).toBe(false);
    expect(made.calls().filter((call) => /reload|restart/.test(call))).toEqual([]);
    const { failures, state } = made.status();
    expect(state).toBe('failed');
    expect(failures[0]!.reason).toContain('/etc/web/site.conf holds wrong');
  });

  it('lets a failing check of one service not keep back the files of another', () => {
    const made = converged();
    made.refuse(['check', 'demo-check', '/etc/web/site.conf', 'wrong']);
    const rooms = file('turn = {{secret.turn-secret}} better\n', { mode: '0640' });
    made.plan(demoPlan({ '/etc/web/site.conf': file('wrong\n'), '/etc/rooms/main.conf': rooms }));
    expect(made.converge().code).toBe(1);
    expect(made.running('rooms.service')['etc/rooms/main.conf']).toContain('better');
  });

  it('puts the old files back when a restart fails, and starts the unit with them', () => {
    const made = converged();
    made.refuse(['service', 'rooms.service', '/etc/rooms/extra.conf', 'explode']);
    made.plan(demoPlan({ '/etc/rooms/extra.conf': file('explode\n') }));
    expect(made.converge().code).toBe(1);
    expect(made.has('/etc/rooms/extra.conf')).toBe(false);
    expect(made.running('rooms.service')).toEqual({ 'etc/rooms/main.conf': `turn = ${turn}\n` });
    expect(made.status().failures).toHaveLength(1);
    expect(made.status().failures[0]!.reason).toContain('explode');
  });

  it('repeats a failed try only when asked or when plan or secrets change, not by the timer', () => {
    const made = converged();
    made.refuse(['service', 'rooms.service', '/etc/rooms/extra.conf', 'explode']);
    made.plan(demoPlan({ '/etc/rooms/extra.conf': file('explode\n') }));
    expect(made.converge().code).toBe(1);
    made.calls();
    expect(made.converge('--scheduled').code).toBe(1);
    expect(made.calls()).toEqual([]);
    expect(made.status().failures[0]!.reason).toContain('explode');
    expect(made.converge().code).toBe(1);
    expect(made.calls()).toContain('systemctl restart rooms.service');
    made.plan(demoPlan({ '/etc/rooms/extra.conf': file('calm\n') }));
    expect(made.converge('--scheduled').code).toBe(0);
    expect(made.running('rooms.service')['etc/rooms/extra.conf']).toBe('calm\n');
  });

  it('says that apt cannot reach its sources, and goes on the next time', () => {
    const made = host();
    made.secrets({ 'turn-secret': turn });
    made.plan(demoPlan());
    made.note('no-network', '');
    const { code, output } = made.converge();
    expect(code).toBe(1);
    expect(output).toContain('Temporary failure resolving');
    expect(made.status()).toMatchObject({ state: 'failed', phase: 'packages' });
    made.forget('no-network');
    expect(made.converge().code).toBe(0);
  });

  it('waits for another dpkg before it finishes what an earlier one left half installed', () => {
    const made = host();
    made.secrets({ 'turn-secret': turn });
    made.plan(demoPlan());
    made.note('packages', 'rooms iF 1.0\n');
    made.note('dpkg-busy', '');
    const { code, output } = made.converge();
    expect(code, output).toBe(0);
    expect(output).toContain('another apt is at work');
    expect(made.calls().filter((call) => call.startsWith('dpkg --configure'))).toHaveLength(2);
  });

  it('refuses a plan that it does not know', () => {
    const made = host();
    made.write('/var/lib/platform/host-plan.json', '{"format": 2}');
    const { code, output } = made.converge();
    expect(code).toBe(1);
    expect(output).toContain('format 2 is not known');
  });

  it('names a user that no package has made', () => {
    const made = host();
    made.secrets({ 'turn-secret': turn });
    made.plan(demoPlan({ '/etc/web/owned.conf': file('x\n', { owner: 'nobody-like-this' }) }));
    const { code, output } = made.converge();
    expect(code).toBe(process.getuid?.() === 0 ? 1 : 0);
    if (process.getuid?.() === 0) expect(output).toContain('no user or group nobody-like-this');
  });

  it('does not run twice at the same time', () => {
    const made = converged();
    made.plan(demoPlan({ '/etc/web/extra.conf': file('more\n') }));
    const converge = [
      made.path('/usr/local/sbin/platform-converge'),
      '--root',
      made.path('/'),
      '--scheduled',
    ];
    const during = spawnSync('flock', [made.path('/run/platform/converge.lock'), ...converge], {
      env: made.environment(),
      encoding: 'utf8',
    });
    expect(during.status, during.stdout + during.stderr).toBe(4);
    expect(made.read('/etc/web/extra.conf')).toBe('extra\n');
  });
});

describe('a restart that would end lessons', () => {
  const better = () => demoPlan({ '/etc/rooms/extra.conf': file('better\n') });

  it('is staged while one runs, and carried out at night when none does', () => {
    const made = converged();
    made.lessons(2);
    made.plan(better());
    expect(made.converge().code).toBe(0);
    expect(made.status().pending).toMatchObject([{ unit: 'rooms.service' }]);
    expect(made.calls()).not.toContain('systemctl restart rooms.service');
    expect(made.read('/etc/rooms/extra.conf')).toBe('better\n');
    expect(made.converge('--nightly').code).toBe(0);
    expect(made.calls()).toEqual([]);
    made.lessons(0);
    expect(made.converge('--scheduled').code).toBe(0);
    expect(made.calls()).toEqual([]);
    expect(made.converge('--nightly').code).toBe(0);
    expect(made.calls()).toEqual(['systemctl restart rooms.service']);
    expect(made.status().pending).toEqual([]);
    expect(made.running('rooms.service')['etc/rooms/extra.conf']).toBe('better\n');
  });

  it('is carried out at once when forced by name', () => {
    const made = converged();
    made.lessons(2);
    made.plan(better());
    made.converge();
    expect(made.converge('--force', 'web.service')).toMatchObject({ code: 1 });
    expect(made.converge('--force', 'rooms.service')).toMatchObject({ code: 0 });
    expect(made.status().pending).toEqual([]);
    expect(made.running('rooms.service')['etc/rooms/extra.conf']).toBe('better\n');
  });

  it('goes back to what the unit ran with when it fails later, over several plans', () => {
    const made = converged();
    made.lessons(1);
    made.plan(better());
    made.converge();
    made.plan(demoPlan({ '/etc/rooms/extra.conf': file('explode\n') }));
    made.converge();
    made.refuse(['service', 'rooms.service', '/etc/rooms/extra.conf', 'explode']);
    made.lessons(0);
    expect(made.converge('--nightly').code).toBe(1);
    expect(made.has('/etc/rooms/extra.conf')).toBe(false);
    expect(made.running('rooms.service')).toEqual({ 'etc/rooms/main.conf': `turn = ${turn}\n` });
    made.calls();
    expect(made.converge('--nightly').code).toBe(1);
    expect(made.calls()).toEqual([]);
  });

  it('counts as running lessons when the role cannot tell', () => {
    const made = converged();
    made.write('/usr/local/sbin/platform-lessons', '#!/bin/sh\nexit 1\n', 0o755);
    made.plan(better());
    made.converge();
    expect(made.status().pending).toHaveLength(1);
  });
});

describe('secrets', () => {
  it('are awaited: packages come, files and services that need them do not', () => {
    const made = host();
    made.plan(demoPlan());
    expect(made.converge().code).toBe(3);
    expect(made.status()).toMatchObject({ state: 'waiting', waitingForSecrets: ['turn-secret'] });
    expect(made.status().installed).toHaveLength(2);
    expect(made.has('/etc/rooms/main.conf')).toBe(false);
    expect(made.calls()).not.toContain('systemctl start rooms.service');
    made.run('platform-secrets', [], JSON.stringify({ 'turn-secret': turn }));
    expect(made.status().state).toBe('converged');
    expect(made.running('rooms.service')).toEqual({ 'etc/rooms/main.conf': `turn = ${turn}\n` });
  });

  it('lie in root-only files, are replaced, and go when they are no longer listed', () => {
    const made = host();
    const first = made.secrets({ 'turn-secret': turn, 'jwt-secret': 'a-secret-of-tokens-9876' });
    expect(first).toMatchObject({ code: 0 });
    expect(made.mode('/etc/platform/secrets')).toBe('0700');
    expect(made.mode('/etc/platform/secrets/turn-secret')).toBe('0600');
    const second = made.secrets({ 'turn-secret': 'another-secret-of-turn-1' });
    expect(second.output).toContain('changed: turn-secret; removed: jwt-secret');
    expect(made.has('/etc/platform/secrets/jwt-secret')).toBe(false);
    expect(first.output + second.output).not.toMatch(/secret-of/);
  });

  it('may be empty only where that means something', () => {
    const made = host();
    expect(made.secrets({ 'turn-secret': turn, 'jwt-secret-previous': '' })).toMatchObject({ code: 0 });
    expect(made.secrets({ 'turn-secret': '' }).output).toContain('the value of turn-secret is empty');
    expect(made.read('/etc/platform/secrets/turn-secret')).toBe(turn);
  });

  it('are refused without being printed when they are not as described', () => {
    const made = host();
    for (const input of [
      'not json secret-of-x',
      '[]',
      '{}',
      '{"A b": "secret-of-x"}',
      '{"a": " "}',
      '{"a": 1}',
    ]) {
      const { code, output } = made.run('platform-secrets', [], input);
      expect(code, input).toBe(2);
      expect(output).not.toContain('secret-of-x');
      expect(output.split('\n').length).toBeLessThan(4);
    }
  });

  it('restart what reads them when they change', () => {
    const made = converged();
    made.secrets({ 'turn-secret': 'another-secret-of-turn-1' });
    expect(made.running('rooms.service')).toEqual({
      'etc/rooms/main.conf': 'turn = another-secret-of-turn-1\n',
    });
  });

  it('never appear in what is printed, logged or reported, nor in a file that all can read', () => {
    const made = converged();
    made.refuse(['service', 'rooms.service', '/etc/rooms/main.conf', 'explode']);
    made.plan(
      demoPlan({ '/etc/rooms/main.conf': file(`{{secret.turn-secret}} explode\n`, { mode: '0640' }) }),
    );
    const { output } = made.converge();
    expect(output).toContain('last lines of its log');
    expect(output).toContain('[secret]');
    const readable = Object.entries(made.tree()).filter(([, text]) => /^100..[4-7]/.test(text));
    const all = [
      output,
      made.read('/var/log/platform/converge.log'),
      made.read('/var/lib/platform/status.json'),
    ];
    for (const text of [...all, ...readable.map(([path, content]) => `${path} ${content}`)]) {
      expect(text).not.toContain(turn);
    }
  });
});

describe('a run that is killed', () => {
  it('is finished by the next one, wherever it was killed', { timeout: 300_000 }, () => {
    const next = () => {
      const plan = demoPlan({
        '/etc/web/site.conf': file('site two {{host.name}}\n', { phase: 'before-packages' }),
        '/etc/web/third.conf': file('third\n'),
        '/etc/rooms/main.conf': file('two {{secret.turn-secret}}\n', { mode: '0640' }),
      });
      delete plan.files['/etc/web/extra.conf'];
      plan.packages.push('third');
      return plan;
    };
    const start = converged();
    start.plan(next());
    const whole = host(start);
    const touches = whole.killed(0);
    const wanted = whole.tree();
    expect(touches).toBeGreaterThan(40);
    const points = 24;
    for (let point = 0; point < points; point += 1) {
      const at = 1 + Math.floor((point * (touches - 1)) / points);
      const made = host(start);
      expect(made.killed(at), `touch ${at}`).toBe(137);
      const { code, output } = made.converge();
      expect(code, `killed at touch ${at}:\n${output}`).toBe(0);
      expect(made.tree(), `killed at touch ${at}`).toEqual(wanted);
      expect(made.running('rooms.service'), `killed at touch ${at}`).toEqual(whole.running('rooms.service'));
      expect(made.running('web.service'), `killed at touch ${at}`).toEqual(whole.running('web.service'));
      hosts.pop()!.remove();
    }
  });
});

describe('platform-apply', () => {
  it('takes a plan on standard input, unpacks converge from it and waits until the host is ready', () => {
    const made = host();
    const own = Object.entries(plans.jitsi!().files).filter(([path]) =>
      /^\/usr\/local\/(lib\/platform\/(converge\/|plan_store\.py)|sbin\/platform-(converge|apply|secrets)$)/.test(
        path,
      ),
    );
    // The host as it boots: with nothing but the programs of the user data.
    made.discard('/usr/local/lib/platform');
    made.discard('/usr/local/sbin');
    for (const name of ['platform-apply', 'platform-secrets']) {
      const path = `/usr/local/sbin/${name}`;
      made.write(path, readFileSync(join(__dirname, '../../cloud-init/boot', path), 'utf8'), 0o755);
    }
    made.secrets({ 'turn-secret': turn });
    expect(made.mode('/etc/platform/secrets.json')).toBe('0600');
    const plan = demoPlan(Object.fromEntries(own), { ready: 'test -e $FAKE_ROOT/etc/web/site.conf' });
    const { code, output } = made.run('platform-apply', [], planText(plan));
    expect(code, output).toBe(0);
    expect(output).toMatch(/wrote \/etc\/web\/site\.conf[^]*ready/);
    expect(output).not.toContain(turn);
    expect(made.has('/etc/platform/secrets.json')).toBe(false);
    expect(made.read('/usr/local/sbin/platform-apply')).toBe(
      plan.files['/usr/local/sbin/platform-apply']!.content,
    );
    const newer = demoPlan({
      ...Object.fromEntries(own),
      '/usr/local/lib/platform/converge/__init__.py': file('# newer\n'),
    });
    expect(made.run('platform-apply', [], planText(newer)).code).toBe(0);
    expect(made.read('/usr/local/lib/platform/converge/__init__.py')).toBe('# newer\n');
  });

  it('says what a host that does not become ready lacks', () => {
    const made = host();
    made.secrets({ 'turn-secret': turn });
    const plan = demoPlan({}, { ready: 'echo no recorder in the brewery; exit 1' });
    const { code, output } = made.run('platform-apply', ['--ready-within', '0.2'], planText(plan));
    expect(code).toBe(1);
    expect(output).toContain('not ready: no recorder in the brewery');
  });

  it('tells missing secrets and failures by its exit status', () => {
    const made = host();
    expect(made.run('platform-apply', [], planText(demoPlan()))).toMatchObject({ code: 3 });
    made.secrets({ 'turn-secret': turn });
    made.refuse(['check', 'demo-check', '/etc/web/site.conf', 'wrong']);
    const failed = made.run(
      'platform-apply',
      [],
      planText(demoPlan({ '/etc/web/site.conf': file('wrong\n') })),
    );
    expect(failed.code).toBe(1);
    expect(failed.output).toContain('failed: web.service');
    expect(made.run('platform-apply', [], 'not a plan')).toMatchObject({ code: 2 });
  });

  it('the plan store fills in what this host has as well, to the very text that the digest is of', () => {
    const keeper = plans.jitsi!();
    const recorder = plans.recorder!();
    const made = host();
    made.plan(keeper);
    const put = (...args: string[]) =>
      spawnSync(planStore, ['put', ...args], {
        env: made.environment(),
        input: planText(recorder, keeper),
        encoding: 'utf8',
      });
    expect(planText(recorder, keeper).length).toBeLessThan(planText(recorder).length * 0.7);
    const digest = planDigest(recorder);
    expect(put(digest).stdout.trim()).toBe(digest);
    expect(made.read(`/var/lib/platform/plans/${digest}.json`)).toBe(planText(recorder));
    const wrong = put('0'.repeat(64));
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('expected the digest 000000000000');
    made.plan({ ...keeper, files: {} });
    expect(put(digest)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('as on this host') as string,
    });
  });

  it('fetches a plan by its digest from the plan store, and nothing else', async () => {
    const store = host();
    const put = (text: string) =>
      spawnSync(planStore, ['put'], {
        env: store.environment(),
        input: text,
        encoding: 'utf8',
      }).stdout.trim();
    const digest = put(planText(demoPlan()));
    expect(digest).toBe(planDigest(demoPlan()));
    const other = put(planText(demoPlan({}, { ready: 'false' })));
    store.write(`/var/lib/platform/plans/${other}.json`, planText(demoPlan()));
    const server = spawn(planStore, ['serve', '127.0.0.1', String(await freePort())], {
      env: store.environment(),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    try {
      const from = `127.0.0.1:${server.spawnargs.at(-1)}`;
      const made = host();
      made.secrets({ 'turn-secret': turn });
      const fetched = made.run('platform-apply', ['--fetch', digest, '--from', '127.0.0.1:1', from]);
      expect(fetched.code, fetched.output).toBe(0);
      expect(made.read('/var/lib/platform/host-plan.json')).toBe(planText(demoPlan()));
      const forged = made.run('platform-apply', ['--fetch', other, '--from', from, '--fetch-within', '0']);
      expect(forged.code).toBe(1);
      expect(forged.output).toContain('another digest');
      const trust = JSON.stringify({ 'ca-certificate': 'CA', 'deploy-keys': 'ssh-ed25519 AAAA' });
      const trustDigest = createHash('sha256').update(trust).digest('hex');
      const kept = spawnSync(planStore, ['put-trust', trustDigest], {
        env: store.environment(),
        input: trust,
      });
      expect(kept.status).toBe(0);
      const given = made.secrets({ 'turn-secret': turn, trust: `${trustDigest} ${from}` });
      expect(given.output).toContain('3 secrets; changed: ca-certificate, deploy-keys;');
      expect(made.read('/etc/platform/secrets/ca-certificate')).toBe('CA');
      expect(made.secrets({ trust: 'somewhere' })).toMatchObject({
        code: 2,
        output: expect.stringContaining('trust is not SHA256 ADDRESS') as string,
      });
      const answers = await Promise.all(
        ['/plans/../status.json', `/plans/${'0'.repeat(64)}`, '/'].map((path) =>
          fetch(`http://${from}${path}`),
        ),
      );
      expect(answers.map((answer) => answer.status)).toEqual([404, 404, 404]);
    } finally {
      server.kill();
      await once(server, 'exit');
    }
  });
});
