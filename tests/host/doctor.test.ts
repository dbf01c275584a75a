import { mkdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jitsiHostPlan, recorderHostPlan } from '../../cloud-init/roles';
import { planText } from '../../cloud-init/host-plan';
import { has, RenderedRole, run, type Ended } from './rendered-role';
import { jitsiValues, recorderValues } from './role-values';

const checks = '/usr/local/lib/platform/checks';

/** A host's checks against programs and files that say what a test wants. */
class FakeHost {
  readonly role: RenderedRole;

  constructor(plan = jitsiHostPlan(jitsiValues)) {
    this.role = new RenderedRole(plan);
    for (const [path, file] of Object.entries(plan.files)) {
      if (!path.startsWith('/usr/local/') || !file.content.includes('/usr/local/lib/platform')) continue;
      // These ask for the root themselves.
      if (file.content.includes('ROOT + "/usr/local/lib')) continue;
      this.role.adapt(path, [['/usr/local/lib/platform', this.role.path('/usr/local/lib/platform')]]);
    }
    this.role.write('/var/lib/platform/host-plan.json', planText(plan));
  }

  /** A program on the path of the checks. */
  program(name: string, script: string): void {
    this.role.write(`/bin/${name}`, `#!/bin/sh\n${script}\n`, 0o755);
  }

  env(): Record<string, string> {
    return { PATH: `${this.role.path('/bin')}:${process.env['PATH']}`, PLATFORM_ROOT: this.role.root };
  }

  check(name: string): Ended {
    return run(this.role.path(`${checks}/${name}`), [], { env: this.env() });
  }

  command(name: string, ...args: string[]): Ended {
    return run(this.role.path(`/usr/local/sbin/${name}`), args, { env: this.env() });
  }
}

let host: FakeHost;
beforeEach(() => {
  host = new FakeHost();
});
afterEach(() => host.role.remove());

describe('platform-doctor', () => {
  const only = (table: Record<string, string>): void => {
    rmSync(host.role.path(checks), { recursive: true });
    mkdirSync(host.role.path(checks));
    for (const [name, script] of Object.entries(table)) {
      host.role.write(`${checks}/${name}`, `#!/bin/sh\n${script}\n`, 0o755);
    }
  };

  it('tells ok, warning, failure and what cannot be checked, in order, with what to do', () => {
    only({
      '10-a': 'echo fine',
      '11-b': 'echo worn; echo mend it; exit 2',
      '12-c': 'echo broken; echo replace it; exit 1',
      '13-d': 'echo dark; exit 3',
      '14-e': 'echo oops >&2; exit 7',
    });
    const { code, output } = host.command('platform-doctor', '--json', '--keep');
    expect(code).toBe(1);
    const report = JSON.parse(output) as { at: number; findings: unknown[] };
    expect(report.findings).toEqual([
      { check: 'a', state: 'ok', says: 'fine', do: '' },
      { check: 'b', state: 'warning', says: 'worn', do: 'mend it' },
      { check: 'c', state: 'failure', says: 'broken', do: 'replace it' },
      { check: 'd', state: 'unchecked', says: 'dark', do: '' },
      { check: 'e', state: 'failure', says: 'the check itself ended with 7', do: 'oops' },
    ]);
    expect(Math.abs(report.at - Date.now() / 1000)).toBeLessThan(600);
    expect(JSON.parse(host.role.read('/var/lib/platform/doctor.json'))).toEqual(report);
    expect(host.command('platform-doctor').output).toMatch(/^failure {4}c: broken\n {11}do: replace it$/m);
  });

  it('ends with 0 when nothing has failed, and knows no other words', () => {
    only({ '10-a': 'echo fine', '11-b': 'echo worn; exit 2', '12-c': 'echo dark; exit 3' });
    expect(host.command('platform-doctor').code).toBe(0);
    expect(host.command('platform-doctor', '--alert').code).toBe(2);
  });

  it('says the versions of the plan’s packages', () => {
    only({ '10-a': 'echo fine' });
    host.program('dpkg-query', 'echo "prosody 13.0.1-1"; echo "gone "; echo "$@" >"$PLATFORM_ROOT/asked"');
    const { output } = host.command('platform-doctor', '--json');
    expect((JSON.parse(output) as { versions: unknown }).versions).toEqual({ prosody: '13.0.1-1' });
    expect(host.role.read('/asked')).toMatch(/ jitsi-videobridge2\b/);
  });
});

describe('the checks of every host', () => {
  it('clock: set, not set, and not seen from a container', () => {
    host.program('timedatectl', 'echo yes');
    host.program('systemd-detect-virt', 'exit 1');
    expect(host.check('10-clock')).toMatchObject({ code: 0 });
    host.program('timedatectl', 'echo no');
    expect(host.check('10-clock')).toMatchObject({
      code: 1,
      output: expect.stringMatching(/UDP 123/) as string,
    });
    host.program('systemd-detect-virt', 'exit 0');
    expect(host.check('10-clock')).toMatchObject({ code: 3 });
  });

  it('units: what has failed, and what should run and does not', () => {
    host.program(
      'systemctl',
      `case $1 in
         list-units) cat "$PLATFORM_ROOT/failed" ;;
         show)
           shift
           while [ "\${1#-}" != "$1" ]; do shift; done
           for unit; do
             state=active
             grep -qxF "$unit" "$PLATFORM_ROOT/down" && state=inactive
             printf 'ActiveState=%s\\nSubState=x\\nType=simple\\nConditionResult=yes\\n\\n' $state
           done ;;
       esac`,
    );
    host.role.write('/failed', '');
    host.role.write('/down', '');
    expect(host.check('12-units')).toEqual({ code: 0, output: 'every unit of the host plan runs\n' });
    host.role.write('/failed', 'platform-upload.service loaded failed failed Uploads\n');
    host.role.write('/down', 'coturn.service\n');
    const { code, output } = host.check('12-units');
    expect(code).toBe(1);
    expect(output).toMatch(
      /^down: coturn\.service, platform-upload\.service\nsee journalctl -u coturn\.service/,
    );
  });

  const status = (more: object): void =>
    host.role.write(
      '/var/lib/platform/status.json',
      JSON.stringify({
        state: 'converged',
        phase: 'done',
        startedAt: new Date().toISOString(),
        waitingForSecrets: [],
        pending: [],
        failures: [],
        ...more,
      }),
    );

  it.each([
    [{}, 0, /what its plan says/],
    [{ pending: [{ unit: 'prosody.service', since: 'x' }] }, 2, /prosody\.service\n.*--force UNIT/],
    [
      { state: 'failed', phase: 'services', failures: [{ reason: 'nginx -t failed\nmore' }] },
      1,
      /nginx -t failed\n/,
    ],
    [{ waitingForSecrets: ['turn-secret'] }, 1, /turn-secret\nrun pulumi up/],
    [{ startedAt: new Date(Date.now() - 5 * 3600_000).toISOString() }, 1, /not run for 5 h/],
  ])('converge: %j', (more, code, says) => {
    status(more);
    const checked = host.check('13-converge');
    expect(checked.output).toMatch(says);
    expect(checked.code).toBe(code);
  });

  it('converge: has never run', () => {
    expect(host.check('13-converge')).toMatchObject({
      code: 1,
      output: expect.stringMatching(/not run once/) as string,
    });
  });
});

describe.skipIf(!has('openssl'))('the certificate (needs openssl)', () => {
  const certificate = '/etc/ssl/platform/public.crt';
  const make = (days: number): void => {
    mkdirSync(host.role.path('/etc/ssl/platform'), { recursive: true });
    const made = run('openssl', [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-subj',
        '/CN=x',
      ],
      ...['-days', String(days), '-keyout', host.role.path('/key'), '-out', host.role.path(certificate)],
    ]);
    expect(made.code, made.output).toBe(0);
  };
  beforeEach(() => {
    host.role.adapt(`${checks}/30-certificate`, [
      [`file=${certificate}`, `file=${host.role.path(certificate)}`],
    ]);
    // What is served; nothing.
    host.program('timeout', 'cat "$PLATFORM_ROOT/served" 2>/dev/null');
  });

  it.each([
    ['authority until x', 60, 0, /^authority until x\n$/],
    ['authority until x', 15, 2, /should have been renewed/],
    ['authority until x', 3, 1, /should have been renewed/],
    ['stack until x', 700, 2, /browsers get a warning[^]*does not point here yet; see/],
    ['throwaway until x', 30, 1, /browsers get a warning/],
  ])('%s, %i days', (chosen, days, code, says) => {
    make(days);
    host.program('platform-certificate', `echo '${chosen}'; echo 'the domain does not point here yet'`);
    const checked = host.check('30-certificate');
    expect(checked.output).toMatch(says);
    expect(checked.code).toBe(code);
  });

  it('of the stack: for more than a day it is a failure', () => {
    make(700);
    run('touch', ['-d', '2 days ago', host.role.path(certificate)]);
    host.program('platform-certificate', "echo 'stack until x'");
    expect(host.check('30-certificate').code).toBe(1);
  });

  it('a service that has not taken it up is told', () => {
    make(60);
    run('cp', [host.role.path(certificate), host.role.path('/served')]);
    host.program('platform-certificate', "echo 'authority until x'");
    expect(host.check('30-certificate').code).toBe(0);
    make(60);
    const { code, output } = host.check('30-certificate');
    expect(code).toBe(1);
    expect(output).toMatch(/^port 443 shows another certificate/);
  });
});

describe('bridges and recorders', () => {
  const present = (...names: string[]): void =>
    host.program('prosodyctl', `echo "Result: ${names.map((name) => `nick=${name}`).join(' ')}"`);

  it('bridges: all, one missing, none at all', () => {
    present('focus', 'jitsi-1', 'bridge-1-1', 'bridge-1-2');
    expect(host.check('36-bridges')).toEqual({
      code: 0,
      output: 'in the brewery: bridge-1-1, bridge-1-2, jitsi-1\n',
    });
    present('focus', 'jitsi-1', 'bridge-1-2');
    expect(host.check('36-bridges')).toMatchObject({
      code: 1,
      output: expect.stringMatching(/^not in the brewery: bridge-1-1\n/) as string,
    });
    present('focus');
    expect(host.check('36-bridges').output).toMatch(/no picture and no sound/);
  });

  it('recorders: dead ones are named, without a pool nothing is missed', () => {
    present('focus');
    expect(host.check('35-recorders')).toMatchObject({ code: 2 });
    host.role.write('/var/lib/platform/roster.json', JSON.stringify({ stay: [], lost: [], waitMinutes: 1 }));
    expect(host.check('35-recorders')).toMatchObject({ code: 0 });
  });
});

describe('the store of a recorder', () => {
  let recorder: FakeHost;
  beforeEach(() => {
    recorder = new FakeHost(recorderHostPlan(recorderValues));
  });
  afterEach(() => recorder.role.remove());

  it('is written, read and cleared', () => {
    recorder.program(
      'rclone',
      `while [ "\${1#-}" != "$1" ]; do shift 2; done
       file="$PLATFORM_ROOT/object"
       case $1 in
         rcat) echo "$2" >"$PLATFORM_ROOT/key"; cat >"$file" ;;
         cat) cat "$file" ;;
         deletefile) rm "$file" ;;
       esac`,
    );
    expect(recorder.check('42-store')).toEqual({ code: 0, output: 'recordings can be written and read\n' });
    expect(recorder.role.read('/key')).toMatch(/^store:recordings\/school\/\.platform-check-/);
    expect(recorder.role.exists('/object')).toBe(false);
  });

  it.each([
    ['rcat', /^the store takes no recordings: .*AccessDenied/],
    ['cat', /^what was written cannot be read again/],
  ])('%s fails', (step, says) => {
    recorder.program(
      'rclone',
      `case "$*" in *" ${step} "*) echo "403 AccessDenied" >&2; exit 1 ;; esac; cat >/dev/null`,
    );
    const { code, output } = recorder.check('42-store');
    expect(code).toBe(1);
    expect(output).toMatch(says);
  });
});

describe('platform-logs', () => {
  const log = '/var/log/nginx/error.log';
  beforeEach(() => {
    host.program('journalctl', 'echo "journal $*"');
    host.role.adapt('/usr/local/lib/platform/logs.json', [['/var/log', host.role.path('/var/log')]]);
    const line = (minutes: number, text: string) => {
      const time = new Date(Date.now() - minutes * 60_000).toISOString().slice(0, 19);
      return `${time.replaceAll('-', '/').replace('T', ' ')} [error] ${text}\n  of a second line\n`;
    };
    host.role.write(log, `${line(300, 'old')}${line(20, 'newer')}${line(1, 'newest')}`);
  });

  it('shows the last lines of a file, of a unit its journal', () => {
    expect(host.command('platform-logs', 'nginx', '-n', '1').output).toBe('  of a second line\n');
    expect(host.command('platform-logs', 'coturn').output).toBe(
      'journal --no-pager --lines=50 --unit=coturn\n',
    );
  });

  it('since a time: files by their own stamps, further lines of an entry too', () => {
    const { output } = host.command('platform-logs', 'nginx', '--since', '1h');
    expect(output).not.toContain('old');
    expect(output.match(/newer|newest|second line/g)).toEqual([
      'newer',
      'second line',
      'newest',
      'second line',
    ]);
    expect(host.command('platform-logs', 'coturn', '--since', '2026-01-31 08:00').output).toMatch(
      /--since=2026-01-31 08:00:00 --unit=coturn/,
    );
  });

  it('understands Prosody’s stamps', () => {
    const stamp = new Date().toUTCString().replace(/^\w+, (\d+) (\w+) \d+ ([\d:]+) GMT$/, '$2 $1 $3');
    host.role.write('/var/log/prosody/prosody.log', `Jan  1 00:00:00 old\tinfo\tx\n${stamp} new\tinfo\ty\n`);
    const { output } = host.command('platform-logs', 'prosody', '--since', '30min');
    expect(output).toMatch(/ new\t/);
  });

  it('names what there is when it is asked for what there is not', () => {
    const { code, output } = host.command('platform-logs', 'jibri');
    expect(code).toBe(2);
    expect(output).toMatch(/no log "jibri"; there are certificate, converge, coturn/);
    expect(host.command('platform-logs', 'nginx', '--since', 'monday').output).toMatch(
      /e\.g\. 30min, 2h, 1d/,
    );
  });
});
