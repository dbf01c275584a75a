import { bridgeHostPlan, jitsiHostPlan, recorderHostPlan } from '../../cloud-init/roles';
import type { HostPlan } from '../../cloud-init/host-plan';
import type { BridgeValues, CommonValues, JitsiValues, RecorderValues } from '../../cloud-init/values';

const common: CommonValues = {
  adminCidrs: ['192.0.2.0/24', '2001:db8:ad::/48'],
  adminSshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVudXNlZCBpbiB0ZXN0cywganVzdCBzaGFwZWQ= admin'],
  networkCidr: '10.10.0.0/16',
  packageSources: {
    prosody: { uri: 'https://prosody.example.org/debian', suite: 'bookworm', components: 'main', key: '' },
    jitsi: { uri: 'https://jitsi.example.org', suite: 'stable/', components: '', key: '' },
  },
};

export const jitsiValues: JitsiValues = {
  ...common,
  shard: 1,
  domain: 'meet.example.org',
  letsEncryptEmail: 'admin@example.org',
  acmeDirectory: 'https://acme.example.org/directory',
  appId: 'lessons',
  appOrigins: ['https://app.example.org', 'https://old-app.example.org'],
  appUrl: 'https://app.example.org',
  webhookUrl: 'https://app.example.org/webhooks/platform',
  jvbOnJitsiHost: true,
  turnOnPort443: false,
  moderatorsMayGrant: true,
  jwtRotationWindowHours: 24,
  recordingStart: 'first-moderator',
  recordingStopGraceMinutes: 5,
  moderatorsMayRecord: false,
  relays: false,
  bridgeCount: 2,
};

/** Every optional part the other way round. */
export const fullJitsiValues: JitsiValues = {
  ...jitsiValues,
  shard: 2,
  domain: 'meet-2.example.org',
  jvbOnJitsiHost: false,
  turnOnPort443: true,
  relays: true,
  jigasi: { sipAccount: 'school@sip.example.org' },
  acmeCaCertificate: '-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n',
  alertWebhook: true,
  alertEmail: 'it@example.org',
};

export const recorderValues: RecorderValues = {
  ...common,
  shards: [
    { domain: 'meet.example.org', jitsiAddress: '10.10.1.1' },
    { domain: 'meet-2.example.org', jitsiAddress: '10.10.1.2' },
  ],
  instances: 2,
  store: {
    endpoint: 'https://s3.example.org',
    region: 'eu-central',
    bucket: 'recordings',
    prefix: 'school',
  },
  webhookUrl: 'https://app.example.org/webhooks/platform',
  drainWaitMinutes: 120,
};

export const bridgeValues: BridgeValues = {
  ...common,
  shard: 1,
  domain: 'meet.example.org',
  jitsiAddress: '10.10.1.1',
  relays: false,
};

/** Plans of every role, with and without the optional parts. */
export const rolePlans = (): Record<string, HostPlan> => ({
  jitsi: jitsiHostPlan(jitsiValues),
  'jitsi, all options': jitsiHostPlan(fullJitsiValues),
  recorder: recorderHostPlan(recorderValues),
  'recorder, one instance': recorderHostPlan({ ...recorderValues, instances: 1 }),
  bridge: bridgeHostPlan(bridgeValues),
  'bridge, relays': bridgeHostPlan({ ...bridgeValues, relays: true }),
});
