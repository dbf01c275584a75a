import { generateKeyPairSync } from 'node:crypto';
import type { HostPlan, Role } from '../../cloud-init/host-plan';
import { bridgeHostPlan, jitsiHostPlan, recorderHostPlan } from '../../cloud-init/roles';
import type { BridgeValues, CommonValues, JitsiValues, RecorderValues } from '../../cloud-init/roles';
import type { HostAccess, HostValues } from '../../cloud-init/user-data';

export const commonValues: CommonValues = {
  adminCidrs: ['203.0.113.7/32', '2001:db8:7::/48'],
  adminSshKeys: [
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEexampleexampleexampleexampleexampleexample admin@example.org',
  ],
  networkCidr: '10.10.0.0/16',
  packageSources: {
    prosody: { uri: 'https://prosody.example.org/debian', suite: 'bookworm', components: 'main', key: '' },
    jitsi: { uri: 'https://jitsi.example.org', suite: 'stable/', components: '', key: '' },
  },
};

export const jitsiValues: JitsiValues = {
  ...commonValues,
  shard: 1,
  domain: 'meet.example.org',
  letsEncryptEmail: 'admin@example.org',
  acmeDirectory: 'https://acme.example.org/directory',
  appId: 'school',
  appOrigins: ['https://school.example.org'],
  appUrl: 'https://school.example.org',
  webhookUrl: 'https://school.example.org/webhooks/platform',
  jvbOnJitsiHost: true,
  turnOnPort443: false,
  moderatorsMayGrant: false,
  jwtRotationWindowHours: 24,
  recordingStart: 'first-moderator',
  recordingStopGraceMinutes: 5,
  moderatorsMayRecord: false,
  relays: false,
  bridgeCount: 0,
};

export const recorderValues: RecorderValues = {
  ...commonValues,
  shards: [{ domain: 'meet.example.org', jitsiAddress: '10.10.1.1' }],
  instances: 2,
  store: {
    endpoint: 'https://s3.example.org',
    region: 'eu-central',
    bucket: 'lessons',
    prefix: 'recordings/',
  },
  webhookUrl: 'https://school.example.org/webhooks/platform',
  drainWaitMinutes: 120,
};

export const bridgeValues: BridgeValues = {
  ...commonValues,
  shard: 1,
  domain: 'meet.example.org',
  jitsiAddress: '10.10.1.1',
  relays: false,
};

const longDomain = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.example.org`;
// RSA keys are the longest that people still use; what they hold does not compress.
const manyKeys = Array.from({ length: 20 }, (_, index) => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const body = publicKey.export({ type: 'pkcs1', format: 'der' }).toString('base64');
  return `ssh-rsa ${body}${body.slice(0, 360)} Учитель-${index}@школа.example.org`;
});

/** Large, but allowed: a long domain, 100 admin CIDRs, 20 RSA keys, names in Cyrillic. */
export const extremeCommon: CommonValues = {
  ...commonValues,
  adminCidrs: Array.from({ length: 100 }, (_, index) =>
    index % 2 ? `198.51.${index}.0/24` : `2001:db8:${index.toString(16)}:ffff::/64`,
  ),
  adminSshKeys: manyKeys,
};

const extremeOrigins = Array.from({ length: 20 }, (_, index) => `https://school-${index}.${longDomain}`);

export const plans: Record<string, () => HostPlan> = {
  jitsi: () => jitsiHostPlan(jitsiValues),
  recorder: () => recorderHostPlan(recorderValues),
  bridge: () => bridgeHostPlan(bridgeValues),
  'jitsi, extreme': () =>
    jitsiHostPlan({
      ...jitsiValues,
      ...extremeCommon,
      domain: longDomain,
      appOrigins: extremeOrigins,
      relays: true,
    }),
  'recorder, extreme': () =>
    recorderHostPlan({
      ...recorderValues,
      ...extremeCommon,
      instances: 8,
      shards: Array.from({ length: 8 }, (_, index) => ({
        domain: `s${index}.${longDomain}`,
        jitsiAddress: `10.10.1.${index + 1}`,
      })),
    }),
  'bridge, extreme': () =>
    bridgeHostPlan({ ...bridgeValues, ...extremeCommon, domain: longDomain, relays: true }),
};

export function hostValues(role: Role, more: Partial<HostValues> = {}): HostValues {
  const name = { jitsi: 'jitsi-1', recorder: 'recorder-7', bridge: 'bridge-1-2', app: 'app-1' }[role];
  return { name, role, privateAddress: '10.10.2.7', domain: 'meet.example.org', image: 'debian-12', ...more };
}

/** Made for this run; no key of a real host. */
export const access: HostAccess = {
  hostKeyPrivate: [
    '-----BEGIN OPENSSH PRIVATE KEY-----',
    ...Array.from({ length: 6 }, (_, index) => String(index).repeat(70)),
    '-----END OPENSSH PRIVATE KEY-----',
    '',
  ].join('\n'),
  hostKeyPublic: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhosthosthosthosthosthosthosthosthosthosthost\n',
  authorizedKeys: commonValues.adminSshKeys,
};

export const extremeAccess: HostAccess = {
  ...access,
  authorizedKeys: [...commonValues.adminSshKeys, ...manyKeys],
};
