import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../../../local/command/paths';
import { routerAddress } from '../../../local/machines/network';
import { inNamespace } from '../../../local/machines/place';
import type { Finding, Report } from '../../../operations/doctor/findings';
import { ran, until, type Ran } from '../booted-cloud';
import type { BootedHost } from '../booted-host';
import type { School } from '../../engine/school';
import type { Chat } from './chat';

/** One Jitsi host that has booted, and the school that it belongs to. */
export interface Examined {
  school: School;
  domain: string;
  jitsi: BootedHost;
  /** Where the school's alerts go. */
  chat: Chat;
}

/** A program of `operations/`, run among the operator's. */
function operation({ school, jitsi }: Examined, program: string, args: string[]): Promise<Ran> {
  const command = [process.execPath, '--import', 'tsx', join(projectRoot, 'operations', program)];
  const environment = Object.entries(school.engine.environment).map(([name, value]) => `${name}=${value}`);
  return ran(
    inNamespace(jitsi.place.gateway, ['env', ...environment, ...command, '--stack', school.stack, ...args]),
  );
}

/** A way to break something: what the doctor must then say, and how it is put right. */
interface Fault {
  what: string;
  /** Run on the host, by bash. */
  breaks: string;
  heals: string;
  /** `host check`, then a pattern for what it says and what to do. */
  finds: [place: string, says: RegExp, remedy: RegExp][];
  /** Further checks that may fail with it. */
  also?: RegExp;
}

const certificate = '/etc/ssl/platform/public';
const ownCertificate = (validity: string) =>
  `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=meet.school.example ` +
  `-addext subjectAltName=DNS:meet.school.example ${validity} -keyout ${certificate}.key -out ${certificate}.crt 2>/dev/null`;
const drop = (rule: string) =>
  `nft add table inet broken && nft add chain inet broken input '{ type filter hook input priority -50; }' && nft add rule inet broken input ${rule} drop`;
const dropNoMore = 'nft delete table inet broken';

const faults: Fault[] = [
  {
    what: 'Jicofo is stopped',
    breaks: 'systemctl stop jicofo',
    heals:
      'systemctl start jicofo; for i in $(seq 60); do platform-token-check >/dev/null && break; sleep 1; done',
    finds: [
      ['jitsi-1 units', /^down: jicofo\.service/, /systemctl restart jicofo/],
      ['jitsi-1 token-login', /focus does not answer/, /platform-logs prosody jicofo/],
      ['meet.school.example lesson', /./, /npm run logs -- jitsi-1 prosody jicofo/],
    ],
  },
  {
    what: 'coturn is killed',
    breaks: 'systemctl stop coturn',
    heals:
      'systemctl start coturn; for i in $(seq 60); do ss -Hltn "sport = :5349" | grep -q . && break; sleep 1; done',
    finds: [
      ['jitsi-1 units', /^down: coturn\.service/, /restart coturn/],
      ['jitsi-1 ports', /5349\/tcp.*3478\/udp/, /coturn/],
      ['meet.school.example port 5349/tcp', /refused/, /restart coturn on jitsi-1/],
      ['meet.school.example port 3478/udp', /refused|does not answer/, /coturn/],
    ],
  },
  {
    what: 'a certificate that nobody vouches for',
    breaks: `${ownCertificate('-days 90')} && systemctl reload nginx && sleep 1`,
    heals: 'platform-certificate install; systemctl reload nginx; sleep 1',
    finds: [
      [
        'meet.school.example certificate 443',
        /nobody trusts it .*89 days left/,
        /platform-certificate install/,
      ],
    ],
    // Nothing is sent over a connection that nobody vouches for.
    also: /^(meet\.school\.example (web client|lesson)|jitsi-1 certificate)$/,
  },
  {
    what: 'a certificate that has run out',
    breaks: `${ownCertificate('-not_before 20250101000000Z -not_after 20250201000000Z')} && systemctl reload nginx && sleep 1`,
    heals: 'platform-certificate install; systemctl reload nginx; sleep 1',
    finds: [['meet.school.example certificate 443', /run out \d+ days ago/, /platform-certificate request/]],
    also: /^(meet\.school\.example (web client|lesson)|jitsi-1 certificate)$/,
  },
  {
    what: 'a certificate that nginx has not taken up',
    breaks: ownCertificate('-days 90'),
    heals: 'platform-certificate install; systemctl reload nginx; sleep 1',
    finds: [['jitsi-1 certificate', /^port 443 shows another certificate/, /reload nginx coturn/]],
  },
  {
    what: 'a disk that is full',
    breaks:
      'mount -t tmpfs -o size=1M tmpfs /tmp && dd if=/dev/zero of=/tmp/full bs=1k count=1000 2>/dev/null',
    heals: 'umount /tmp',
    finds: [['jitsi-1 disk', /^9\d % of \/tmp used/, /free some/]],
  },
  {
    what: 'a port that is closed',
    breaks: drop('tcp dport 443 iif != lo'),
    heals: dropNoMore,
    finds: [['meet.school.example port 443/tcp', /cannot be reached/, /cloud firewall and nftables/]],
  },
  {
    what: 'SSH that is closed',
    breaks: drop('tcp dport 22'),
    heals: dropNoMore,
    finds: [['jitsi-1 ssh', /198\.18\..*:22 cannot be reached/, /adminCidrs/]],
  },
  {
    what: 'a unit that has failed, and a converge that does not run',
    breaks:
      'systemd-run --quiet --unit=broken false; sleep 1; cp /var/lib/platform/status.json /root/; ' +
      `sed -i 's/"startedAt": "20../"startedAt": "2001/' /var/lib/platform/status.json`,
    heals: 'systemctl reset-failed broken; mv /root/status.json /var/lib/platform/status.json',
    finds: [
      ['jitsi-1 units', /^down: broken\.service/, /journalctl -u broken/],
      ['jitsi-1 converge', /has not run for \d+ h/, /platform-converge/],
    ],
  },
  {
    what: 'an account whose password is another',
    breaks: `printf 'other-1234\\nother-1234\\n' | prosodyctl passwd jibri@auth.meet.school.example >/dev/null`,
    heals: 'systemctl restart platform-accounts',
    finds: [['jitsi-1 accounts', /jibri@auth.*another password/, /restart platform-accounts/]],
  },
];

/** The doctor from outside and over SSH, on a host that is well and then is not. */
export function doctorSuite(examined: Examined): void {
  const examine = async (): Promise<{ code: number; findings: Finding[]; text: string }> => {
    const { code, stdout, stderr } = await operation(examined, 'doctor/doctor.ts', [
      '--json',
      '--name-server',
      routerAddress,
    ]);
    expect(stderr).toBe('');
    return { code, findings: (JSON.parse(stdout) as Report).findings, text: stdout };
  };
  const of = (state: Finding['state'], findings: Finding[]): string[] =>
    findings.filter((each) => each.state === state).map(({ host, check }) => `${host} ${check}`);

  test('a host that is well: everything is looked at, and what could not be is said', async () => {
    // Nothing that this suite breaks is to be mended behind its back.
    await examined.jitsi.run(
      'systemd-run --quiet --unit=hold-converge flock /run/platform/converge.lock sleep infinity',
    );
    const { code, findings, text } = await examine();
    expect(of('failure', findings)).toEqual([]);
    expect(code).toBe(0);
    expect(of('warning', findings)).toEqual([
      'meet.school.example certificate 443',
      'meet.school.example certificate 5349',
      'jitsi-1 certificate',
    ]);
    expect(of('unchecked', findings)).toEqual(['jitsi-1 clock']);
    const outside = [
      ...['dns A', 'dns AAAA', 'port 80/tcp', 'port 443/tcp', 'port 5349/tcp', 'port 3478/udp'],
      ...['port 10000/udp', 'web client', 'wrong token', "moderator's token", "participant's token"],
    ];
    const onHost = [
      'disk',
      'units',
      'converge',
      'dns',
      'ports',
      'token-login',
      'accounts',
      'recorders',
      'bridges',
    ];
    expect(of('ok', findings).sort()).toEqual(
      [
        ...outside.map((check) => `meet.school.example ${check}`),
        ...onHost.map((check) => `jitsi-1 ${check}`),
        'platform versions',
      ].sort(),
    );
    const outputs = await examined.school.outputs(true);
    for (const name of ['jwtSecret', 'deployKey', 'webhookSecret']) {
      expect(text).not.toContain(String(outputs[name]).trim().split('\n').at(1) ?? outputs[name]);
    }
  });

  test.each(faults)('$what', async ({ breaks, heals, finds, also }) => {
    const { jitsi } = examined;
    await jitsi.run(`bash -c ${quoted(breaks)}`);
    try {
      const { code, findings } = await examine();
      expect(code).toBe(1);
      for (const [place, says, remedy] of finds) {
        const found = findings.find(({ host, check }) => `${host} ${check}` === place);
        expect(found, place).toMatchObject({ state: 'failure' });
        expect(found!.says).toMatch(says);
        expect(found!.do).toMatch(remedy);
      }
      const others = of('failure', findings).filter(
        (place) => !finds.some(([each]) => each === place) && !also?.test(place),
      );
      expect(others.filter((place) => !/lesson|token|certificate/.test(place))).toEqual([]);
    } finally {
      await jitsi.run(`bash -c ${quoted(heals)}`);
    }
  });

  test('an address record that is gone', async () => {
    const { school, jitsi, domain } = examined;
    const zone = '/zones/school.example/rrsets';
    await school.api('DELETE', `${zone}/meet/A`);
    try {
      const resolves = () => jitsi.attempt(`getent ahostsv4 ${domain}`);
      await until('the name is gone', resolves, ({ code }) => code !== 0);
      const { findings } = await examine();
      expect(findings).toContainEqual({
        host: domain,
        check: 'dns A',
        state: 'failure',
        says: 'there is no record',
        do: expect.stringContaining(`A record ${domain} ${jitsi.address}`) as string,
      });
      expect(findings).toContainEqual(
        expect.objectContaining({ host: 'jitsi-1', check: 'dns', state: 'failure' }),
      );
    } finally {
      await school.api('POST', zone, {
        name: 'meet',
        type: 'A',
        ttl: 300,
        records: [{ value: jitsi.address }],
      });
      await until(
        'the name is back',
        () => jitsi.attempt(`getent ahostsv4 ${domain}`),
        ({ code }) => code === 0,
      );
    }
  });

  test('healed, it is well again', async () => {
    const { code, findings } = await examine();
    expect(of('failure', findings)).toEqual([]);
    expect(code).toBe(0);
    await examined.jitsi.run('systemctl stop hold-converge');
  });

  test('the same checks run on the host by its timer, which keeps the report', async () => {
    const { jitsi } = examined;
    expect(await jitsi.run('systemctl is-active platform-doctor.timer')).toBe('active');
    await jitsi.run('systemctl start platform-doctor.service');
    const report = JSON.parse(await jitsi.run('cat /var/lib/platform/doctor.json')) as Report;
    expect(of('failure', report.findings)).toEqual([]);
    expect(report.findings.map(({ check }) => check)).toContain('token-login');
  });

  test('somebody is told by the webhook, once, and when it is well again', async () => {
    const { jitsi, chat } = examined;
    const check = () => jitsi.run('systemctl start platform-doctor.service');
    const states = () =>
      chat.told.flatMap(({ body }) => body.alerts.map((each) => `${each.check} ${each.state}`));
    await jitsi.run('mount -t tmpfs -o size=1M tmpfs /tmp && dd if=/dev/zero of=/tmp/full bs=1k count=1000');
    await check();
    // The host does not trust the chat yet: the alert waits.
    expect(chat.told).toEqual([]);
    expect(await jitsi.run('journalctl -u platform-doctor -o cat')).toMatch(
      /webhook: 1 alerts wait.*certificate/i,
    );
    await jitsi.run(
      `printf %s '${chat.certificate}' >/usr/local/share/ca-certificates/chat.crt && update-ca-certificates`,
    );
    await check();
    await check();
    await until(
      'the alert arrives',
      () => Promise.resolve(states()),
      (all) => all.length > 0,
    );
    expect(states()).toEqual(['disk failure']);
    expect(chat.told[0]).toMatchObject({
      path: new URL(chat.url).pathname,
      body: {
        text: expect.stringMatching(
          /^meet\.school\.example: failures: 1\nFAILURE jitsi-1 disk: 9\d % of \/tmp used/,
        ) as string,
      },
    });
    await jitsi.run('umount /tmp');
    await check();
    await check();
    await until(
      'the recovery arrives',
      () => Promise.resolve(states()),
      (all) => all.length > 1,
    );
    expect(states()).toEqual(['disk failure', 'disk ok']);
    // Such an address is a secret.
    const places = '/var/log /var/lib/platform/host-plan.json /run/log /etc/systemd';
    expect((await jitsi.attempt(`grep -rls T0KEN- ${places}; journalctl | grep T0KEN-`)).stdout).toBe('');
    expect(await jitsi.run('stat -c %a /etc/platform/secrets/alert-webhook')).toBe('600');
  });

  test('the logs are one command away', async () => {
    const logs = (...args: string[]) => operation(examined, 'logs.ts', ['jitsi-1', ...args]);
    const prosody = await logs('prosody', '--since', '1h');
    expect(prosody).toMatchObject({ code: 0, stderr: '' });
    expect(prosody.stdout).toMatch(/prosody\.log <==\n.*\tinfo\t/);
    expect((await logs('converge', '-n', '3')).stdout).toMatch(/Z ready\n/);
    const others = await logs('jicofo', 'jvb', 'nginx', 'coturn', 'certificate', 'doctor');
    expect(others).toMatchObject({ code: 0, stderr: '' });
    expect(others.stdout).toMatch(/==> \/var\/log\/jitsi\/jicofo\.log <==/);
    expect(await logs('jibri')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/there are certificate, converge, coturn/) as string,
    });
    expect(await operation(examined, 'logs.ts', ['recorder-9'])).toMatchObject({
      code: 1,
      stderr: 'the stack has no host recorder-9; there are jitsi-1\n',
    });
  });
}

const quoted = (script: string): string => `'${script.replaceAll("'", `'\\''`)}'`;
