import { describe, expect, test } from 'vitest';
import { findingsText, forEachOf, type Finding } from '../../operations/doctor/findings';
import { hostFindings, type HostAnswer } from '../../operations/doctor/hosts';
import { OperationError, sshTarget, type StackOutputs } from '../../operations/stack';

const ok = (check: string) => ({ check, state: 'ok' as const, says: 'well', do: '' });
const answer = (host: string, more: Partial<HostAnswer['report'] & object> = {}, skew = 0): HostAnswer => ({
  host,
  skew,
  report: { host, at: 0, versions: {}, findings: [ok('disk')], ...more },
});

describe('what the answers of hosts mean', () => {
  const told = (answers: HostAnswer[], pending: StackOutputs['pendingRebuilds'] = []) =>
    hostFindings(answers, pending).map(({ host, check, state }) => `${host}: ${check} ${state}`);

  test.each<[string, HostAnswer[], string[]]>([
    ['all well', [answer('jitsi-1')], ['jitsi-1: disk ok', 'platform: versions ok']],
    [
      'a host that cannot be reached is a failure, and nothing else of it is called well',
      [{ host: 'recorder-2', failure: { says: 'no answer', do: 'is it on?' } }],
      ['recorder-2: ssh failure', 'recorder-2: all else unchecked'],
    ],
    [
      'a clock that is apart',
      [answer('jitsi-1', {}, -31), answer('recorder-1', {}, 2)],
      ['jitsi-1: disk ok', 'jitsi-1: clock skew warning', 'recorder-1: disk ok', 'platform: versions ok'],
    ],
    [
      'versions apart: of bridges a failure, of others a warning',
      [
        answer('jitsi-1', { versions: { 'jitsi-videobridge2': '2.3', python3: '3.13', nginx: '1' } }),
        answer('bridge-1-1', { versions: { 'jitsi-videobridge2': '2.4', python3: '3.12' } }),
      ],
      [
        'jitsi-1: disk ok',
        'bridge-1-1: disk ok',
        'platform: versions of jitsi-videobridge2 failure',
        'platform: versions of python3 warning',
      ],
    ],
  ])('%s', (_what, answers, expected) => {
    expect(told(answers)).toEqual(expected);
  });

  test('a pending rebuild is told of its host', () => {
    const pending = [{ host: 'jitsi-1', bootedWith: 'aaa', current: 'bbb' }];
    expect(told([answer('jitsi-1')], pending)).toContain('jitsi-1: rebuild warning');
    expect(told([answer('recorder-1')], pending)).not.toContain('recorder-1: rebuild warning');
  });
});

test('the text names host, state, finding and remedy; recorders that are well share a line', () => {
  const findings: Finding[] = [
    { host: 'jitsi-1', check: 'ports', state: 'failure', says: 'nothing listens on 80', do: 'start nginx' },
    { host: 'jitsi-1', check: 'clock', state: 'unchecked', says: 'in a container', do: '' },
    ...[1, 2, 3].map((number) => ({ host: `recorder-${number}`, ...ok('disk') })),
    { host: 'recorder-4', check: 'disk', state: 'warning', says: '85 % used', do: 'free some' },
  ];
  expect(findingsText(findings)).toMatchInlineSnapshot(`
    "jitsi-1
      FAILURE    ports: nothing listens on 80
                 do: start nginx
      unchecked  clock: in a container
    recorder-4
      WARNING    disk: 85 % used
                 do: free some
    recorder-1 recorder-2 recorder-3
      ok         disk

    failures: 1, warnings: 1, ok: 3, unchecked: 1"
  `);
});

test('many are done in their order, never more than so many at once', async () => {
  let running = 0;
  let most = 0;
  const results = await forEachOf([...Array(90).keys()], 12, async (item) => {
    most = Math.max(most, (running += 1));
    await new Promise(setImmediate);
    running -= 1;
    return item * 2;
  });
  expect(most).toBe(12);
  expect(results).toEqual([...Array(90).keys()].map((item) => item * 2));
});

describe('the way to a host', () => {
  const host = (name: string) => ({
    name,
    role: 'recorder' as const,
    publicAddress: '198.18.0.7',
    publicAddress6: '2001:db8::7',
    privateAddress: '10.10.2.7',
  });
  const outputs = {
    hosts: [host('recorder-7'), host('jitsi-1')],
    ssh: { user: 'root', hostKeys: { recorder: 'ssh-ed25519 POOL', 'jitsi-1': 'ssh-ed25519 OWN' } },
    deployKey: 'KEY',
  } as unknown as StackOutputs;

  test('is the public address with the pinned key of its pool', () => {
    expect(sshTarget(outputs, 'recorder-7')).toEqual({
      host: '198.18.0.7',
      user: 'root',
      hostKey: 'ssh-ed25519 POOL',
      privateKey: 'KEY',
    });
    expect(sshTarget(outputs, 'jitsi-1')).toMatchObject({ hostKey: 'ssh-ed25519 OWN' });
  });

  test('goes over the bastion to the private address, each with its own key', () => {
    const bastion = { host: '192.0.2.1', port: 2222, user: 'jump', hostKey: 'ssh-ed25519 B' };
    const over = { ...outputs, ssh: { ...outputs.ssh, bastion }, bastionPrivateKey: 'OTHER' };
    expect(sshTarget(over, 'recorder-7')).toMatchObject({
      host: '10.10.2.7',
      privateKey: 'KEY',
      bastion: { ...bastion, privateKey: 'OTHER' },
    });
  });

  test('a name that is none is answered with those that are', () => {
    expect(() => sshTarget(outputs, 'recorder-9')).toThrow(OperationError);
    expect(() => sshTarget(outputs, 'recorder-9')).toThrow(/recorder-7, jitsi-1/);
  });
});
