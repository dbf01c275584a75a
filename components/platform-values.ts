import type { BridgeValues, CommonValues, JitsiValues, RecorderValues, Source } from '../cloud-init/values';
import type { ConfigValues, SecretName } from './config/keys';
import { jitsiName, privateAddress, shardDomain } from './names';

type Plain = Omit<ConfigValues, SecretName>;
/** Of a secret it only matters whether it is given. */
type WithAlerts = Plain & { alertWebhook?: unknown };

const releases: Record<string, string> = { 'debian-12': 'bookworm', 'debian-13': 'trixie' };

/** `URI SUITE COMPONENT…` of the config as a source; the project's own key where the config names none. */
function source(line: string, key: string): Source {
  const [uri, suite, ...components] = line.split(' ');
  return { uri: uri!, suite: suite!, components: components.join(' '), key };
}

function commonValues(config: Plain): CommonValues {
  const release = releases[config.hostImage]!;
  return {
    adminCidrs: config.adminCidrs,
    adminSshKeys: config.adminSshKeys,
    networkCidr: config.networkCidr,
    packageSources: {
      ...(config.debianRepository !== '' && {
        debian: source(config.debianRepository, config.debianRepositoryKey),
      }),
      prosody: source(
        config.prosodyRepository || `https://packages.prosody.im/debian ${release} main`,
        config.prosodyRepositoryKey,
      ),
      jitsi: source(
        config.jitsiRepository || 'https://download.jitsi.org stable/',
        config.jitsiRepositoryKey,
      ),
    },
  };
}

/** Where the app takes the platform's signed events; the path is part of the contract with any lesson app. */
export const webhookUrl = (appUrl: string): string => `${appUrl}/webhooks/platform`;

/** TURN over TLS on port 443 needs a name of its own, by which nginx tells it from the web client. */
export const turnName = (domain: string): string => `turn.${domain}`;

/** What a shard's Jitsi host is made from. */
export function jitsiValues(config: WithAlerts, shard: number): JitsiValues {
  return {
    ...commonValues(config),
    shard,
    domain: shardDomain(config.domain, shard),
    letsEncryptEmail: config.letsEncryptEmail,
    acmeDirectory: config.acmeDirectory,
    ...(config.acmeCaCertificate !== '' && { acmeCaCertificate: config.acmeCaCertificate }),
    appId: config.jwtAppId,
    appUrl: config.appUrl,
    appOrigins: [...new Set([config.appUrl, ...config.appOrigins])],
    webhookUrl: webhookUrl(config.appUrl),
    jvbOnJitsiHost: config.jitsiBridge,
    turnOnPort443: config.turnOnPort443,
    jwtRotationWindowHours: config.jwtRotationWindow,
    moderatorsMayGrant: config.moderatorsMayGrant,
    moderatorsMayRecord: config.moderatorsMayRecord,
    recordingStart: config.recordingStart,
    recordingStopGraceMinutes: config.recordingStopGrace,
    relays: false,
    bridgeCount: config.bridgeCount,
    alertWebhook: config.alertWebhook !== undefined,
    ...(config.alertEmail !== '' && { alertEmail: config.alertEmail }),
    ...(config.sipAccount !== '' && { jigasi: { sipAccount: config.sipAccount } }),
  };
}

/** What every recorder is made from; one pool serves all shards. */
export function recorderValues(config: Plain, store: RecorderValues['store']): RecorderValues {
  const shards = Array.from({ length: config.shardCount }, (_, index) => index + 1);
  return {
    ...commonValues(config),
    shards: shards.map((shard) => ({
      domain: shardDomain(config.domain, shard),
      jitsiAddress: privateAddress(config.networkCidr, jitsiName(shard)),
    })),
    instances: config.recorderInstancesPerHost,
    store: { endpoint: store.endpoint, region: store.region, bucket: store.bucket, prefix: store.prefix },
    webhookUrl: webhookUrl(config.appUrl),
    drainWaitMinutes: config.recorderDrainWait,
  };
}

/** What the bridges of a shard are made from. */
export function bridgeValues(config: Plain, shard: number): BridgeValues {
  return {
    ...commonValues(config),
    shard,
    domain: shardDomain(config.domain, shard),
    jitsiAddress: privateAddress(config.networkCidr, jitsiName(shard)),
    relays: false,
  };
}
