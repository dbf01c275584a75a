import { describe, expect, test } from 'vitest';
import { checkConfig, problemsText, type Surroundings } from '../../components/config/check';
import { isSecret, keys, type KeyName } from '../../components/config/keys';
import { example, schema, settings, storeKeys } from './example-config';

const around: Surroundings = {
  stack: 'prod',
  secretKeys: (Object.keys(keys) as KeyName[]).filter(isSecret),
};
const problemsOf = (changes: Record<string, unknown>, surroundings: Partial<Surroundings> = {}) => {
  const result = checkConfig({ ...example, ...changes }, { ...around, ...surroundings });
  return 'problems' in result ? result.problems : [];
};

test('Pulumi.yaml describes exactly the keys that are checked, each with type, default and a sentence', () => {
  expect(Object.keys(schema).sort()).toEqual(Object.keys(keys).sort());
  for (const [key, { type, description, default: value }] of Object.entries(schema)) {
    expect(type, key).toMatch(/^(string|integer|boolean|array)$/);
    expect(description?.length ?? 0, key).toBeGreaterThan(20);
    expect(value, key).toBeDefined();
  }
});

test('every default passes its own key', () => {
  for (const name of Object.keys(keys) as KeyName[]) {
    expect(keys[name].schema.safeParse(schema[name]!.default).success, name).toBe(true);
  }
});

test('the local example and the production example are sound', () => {
  expect(problemsOf({})).toEqual([]);
  const defaults = Object.fromEntries(
    Object.entries(schema).map(([key, { default: value }]) => [key, value]),
  );
  const prod = { ...defaults, ...settings('Pulumi.prod.yaml'), ...storeKeys };
  expect(checkConfig(prod, around)).toHaveProperty('values.recorderCount');
});

test('values arrive as the engine writes them: numbers, lists and booleans as JSON text', () => {
  const text = Object.fromEntries(
    Object.entries(example).map(([key, value]) => [
      key,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  );
  expect(checkConfig(text, around)).toEqual(checkConfig(example, around));
});

const armouredKey = '-----BEGIN PGP PUBLIC KEY BLOCK-----\nabc\n-----END PGP PUBLIC KEY BLOCK-----';

describe('a bad value is one problem of its key', () => {
  const bad: [key: string, changes: Record<string, unknown>, expected: RegExp][] = [
    ['domain', { domain: 'meet_school' }, /DNS name/],
    ['domain', { domain: 'school' }, /two labels/],
    ['domain', { domain: 'Meet.School.example' }, /lower case/],
    ['domain', { domain: `${'a'.repeat(64)}.example` }, /DNS name/],
    ['domain', { domain: '', dnsZone: '', dnsProvider: 'none' }, /missing/],
    ['location', { location: 'mars1' }, /fsn1, nbg1/],
    ['networkCidr', { networkCidr: '8.8.0.0/16' }, /private/],
    ['networkCidr', { networkCidr: '10.10.0.0/24' }, /\/16/],
    ['hostImage', { hostImage: 'debian-11' }, /debian-13/],
    ['adminCidrs', { adminCidrs: ['10.0.0.0'] }, /CIDR/],
    ['adminCidrs', { adminCidrs: ['10.0.0.0/33'] }, /CIDR/],
    ['adminCidrs', { adminCidrs: [] }, /missing/],
    ['adminCidrs', { adminCidrs: ['0.0.0.0/0'] }, /allowWorldSsh/],
    ['adminCidrs', { adminCidrs: ['::/0'] }, /allowWorldSsh/],
    ['adminSshKeys', { adminSshKeys: ['AAAA'] }, /OpenSSH/],
    [
      'bastionHostKey',
      {
        bastionHost: 'bastion.school.example',
        bastionPrivateKey: '-----BEGIN PRIVATE KEY-----\na\n-----END PRIVATE KEY-----',
      },
      /bastionHost is given/,
    ],
    [
      'bastionPrivateKey',
      { bastionHost: '192.0.2.1', bastionHostKey: 'ssh-ed25519 AAAA' },
      /bastionHost is given/,
    ],
    ['bastionPort', { bastionPort: 0 }, /1 to 65535/],
    ['deployKeyRotation', { deployKeyRotation: -1 }, /0 to/],
    ['letsEncryptEmail', { letsEncryptEmail: 'it at school' }, /e-mail/],
    ['letsEncryptEmail', { letsEncryptEmail: '' }, /missing/],
    ['acmeDirectory', { acmeDirectory: 'http://acme.school.example/directory' }, /https/],
    ['acmeDirectory', { acmeDirectory: 'https://acme.school.example/a"b' }, /https/],
    ['acmeCaCertificate', { acmeCaCertificate: 'MIIB' }, /PEM/],
    [
      'acmeCaCertificate',
      { acmeCaCertificate: '-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n' },
      /Let's Encrypt's acmeDirectory/,
    ],
    ['dnsProvider', { dnsProvider: 'route53' }, /cloudflare, hetzner or none/],
    ['dnsZoneId', { dnsProvider: 'cloudflare' }, /dnsProvider is cloudflare/],
    ['dnsZoneId', { dnsProvider: 'cloudflare', dnsZoneId: 'xyz' }, /32 hexadecimal/],
    ['dnsZone', { dnsZone: '' }, /dnsProvider is hetzner/],
    ['dnsZone', { dnsZone: 'other.example' }, /holds the domain/],
    ['appUrl', { appUrl: 'http://lessons.school.example' }, /https/],
    ['appUrl', { appUrl: '' }, /missing/],
    ['appOrigins', { appOrigins: ['https://a.example/path'] }, /without a path/],
    ['shardCount', { shardCount: 2 }, /1/],
    ['jitsiServerType', { jitsiServerType: 'cpx99' }, /exists/],
    ['jitsiServerType', { jitsiServerType: 'cx22' }, /still be ordered/],
    [
      'jitsiServerType',
      { jitsiServerType: 'cx23', location: 'ash', recorderServerType: 'ccx13' },
      /ordered in ash/,
    ],
    ['recorderServerType', { recorderServerType: 'cax31' }, /not tested on ARM|no role was tested on ARM/],
    ['bridgeServerType', { bridgeServerType: '', bridgeCount: 1 }, /exists/],
    ['jitsiBridge', { jitsiBridge: false }, /bridgeCount/],
    ['bridgeCount', { bridgeCount: 1.5 }, /whole number/],
    ['recorderCount', { recorderCount: -1 }, /0 to 97/],
    ['recorderCount', { recorderCount: 100_000 }, /0 to 97/],
    [
      'recorderCount',
      { recorderCount: 97, bridgeCount: 2 },
      /1 Jitsi \+ 2 bridges \+ 97 recorders \+ 1 app = 101/,
    ],
    ['recorderInstancesPerHost', { recorderInstancesPerHost: 5 }, /4 cores/],
    ['recorderInstancesPerHost', { recorderInstancesPerHost: 0 }, /1 to 32/],
    ['recorderDrainWait', { recorderDrainWait: 0 }, /minutes/],
    ['recorderMaxUnavailable', { recorderMaxUnavailable: 0 }, /1 to 20/],
    ['recordersLost', { recordersLost: ['jitsi-1'] }, /recorder names/],
    ['recordingStart', { recordingStart: 'first-teacher' }, /first-moderator, first-person/],
    ['recordingStopGrace', { recordingStopGrace: 0 }, /minutes/],
    ['moderatorsMayRecord', { recordingStart: 'command' }, /nobody could start/],
    ['moderatorsMayRecord', { moderatorsMayRecord: 'yes' }, /true or false/],
    ['moderatorsMayGrant', { moderatorsMayGrant: 1 }, /true or false/],
    ['jwtAppId', { jwtAppId: 'my app' }, /letters/],
    ['jwtSecretRotation', { jwtSecret: 'x'.repeat(32), jwtSecretRotation: 1 }, /jwtSecret is given/],
    ['jwtSecretPrevious', { jwtSecretPrevious: 'x'.repeat(32) }, /without jwtSecret/],
    ['jwtSecretPrevious', { jwtSecret: 'x'.repeat(32), jwtSecretPrevious: 'x'.repeat(32) }, /another secret/],
    ['jwtRotationWindow', { jwtRotationWindow: 1000 }, /hours/],
    ['storeProvider', { storeProvider: 'ftp' }, /s3 or r2/],
    ['storeEndpoint', { storeEndpoint: '' }, /recording store/],
    ['storeEndpoint', { storeEndpoint: 'https://a.example/bucket' }, /without a path/],
    ['storeAccessKeyId', { storeAccessKeyId: '' }, /recording store/],
    ['alertWebhook', { alertWebhook: 'http://chat.school.example/hook' }, /https/],
    ['alertEmail', { alertEmail: 'it at school', alertSmtp: 'smtps://a:b@mail.school.example' }, /e-mail/],
    ['alertSmtp', { alertEmail: 'it@school.example' }, /needs both/],
    ['alertEmail', { alertSmtp: 'smtps://a:b@mail.school.example' }, /needs both/],
    ['alertSmtp', { alertEmail: 'it@school.example', alertSmtp: 'mail.school.example' }, /smtps:/],
    [
      'alertSmtp',
      { alertEmail: 'it@school.example', alertSmtp: 'smtps://it@school.example:b@mail.school.example' },
      /percent-encoded/,
    ],
    ['storeBucket', { storeBucket: 'Recordings' }, /a-z/],
    ['storePrefix', { storePrefix: '/recordings' }, /slash/],
    [
      'storeEndpoint',
      { storeProvider: 'r2', storeRegion: '', cloudflareAccountId: 'a'.repeat(32) },
      /computes it/,
    ],
    ['cloudflareAccountId', { storeProvider: 'r2', storeRegion: '', storeEndpoint: '' }, /r2/],
    ['sipPassword', { sipAccount: '4930@sip.example' }, /both/],
    ['sipAccount', { sipPassword: 'secret' }, /both/],
    ['jitsiRepository', { jitsiRepository: 'https://mirror.example' }, /URI SUITE/],
    ['jitsiRepositoryKey', { jitsiRepositoryKey: armouredKey }, /without jitsiRepository/],
    ['recorderCuont', { recorderCuont: 3 }, /Pulumi.yaml/],
  ];
  test.each(bad)('%s %j', (key, changes, expected) => {
    const problems = problemsOf(changes);
    expect(problems.map((problem) => problem.key)).toEqual([key]);
    expect(problems[0]!.expected).toMatch(expected);
    expect(problems[0]!.example).not.toBe('');
  });
});

describe('secrets', () => {
  const refused = [
    'a'.repeat(31),
    `${'a'.repeat(32)}/`,
    `${'a'.repeat(32)}"`,
    `${'a'.repeat(32)}'`,
    `${'a'.repeat(32)}\``,
    `${'a'.repeat(32)}\\`,
  ];
  test.each(refused)('a JWT secret that Jitsi or safety refuses is never printed: %#', (secret) => {
    const problems = problemsOf({ jwtSecret: secret });
    expect(problems.map((problem) => problem.key)).toEqual(['jwtSecret']);
    expect(problemsText(problems, 'prod')).not.toContain(secret);
  });

  test('one that stands in plain text is refused, without its value', () => {
    const secret = 'k'.repeat(40);
    const problems = problemsOf({ jwtSecret: secret }, { secretKeys: Object.keys(storeKeys) });
    expect(problems.map((problem) => problem.key)).toEqual(['jwtSecret']);
    expect(problems[0]!.expected).toMatch(/plain text/);
    expect(problemsText(problems, 'prod')).not.toContain(secret);
  });

  test('a number-like secret stays text', () => {
    expect(problemsOf({ jwtSecret: '1'.repeat(40) })).toEqual([]);
  });
});

describe('where the stack goes', () => {
  test('a loopback endpoint is refused for any stack but a local one', () => {
    for (const cloudEndpoint of ['http://127.0.0.1:8080/v1', 'http://localhost/v1', 'http://[::1]:1/v1']) {
      expect(problemsOf({}, { cloudEndpoint }).map((problem) => problem.key)).toEqual(['HCLOUD_ENDPOINT']);
      expect(problemsOf({}, { cloudEndpoint, stack: 'local' })).toEqual([]);
    }
    expect(problemsOf({}, { cloudEndpoint: 'https://api.hetzner.cloud/v1' })).toEqual([]);
  });

  test('a local stack never reaches a real account', () => {
    expect(problemsOf({}, { stack: 'local-test' }).map((problem) => problem.key)).toEqual([
      'HCLOUD_ENDPOINT',
    ]);
  });
});

test('all problems come at once, each with key, value, expectation and example', () => {
  const problems = problemsOf({ domain: 'school', location: 'mars1', recorderCount: -3 });
  expect(problemsText(problems, 'prod'))
    .toBe(`The configuration of stack prod has 3 problems; nothing was changed.

  domain: "school": expected a DNS name in lower case with at least two labels.
    Example: meet.school.example
  location: "mars1": expected one of fsn1, nbg1, hel1, ash, hil, sin.
    Example: fsn1
  recorderCount: -3: expected a whole number, 0 to 97.
    Example: 3
`);
});
