import * as pulumi from '@pulumi/pulumi';
import { bridgeHostPlan, jitsiHostPlan, recorderHostPlan } from './cloud-init/roles';
import { BridgePool } from './components/BridgePool';
import { readConfig } from './components/config';
import type { Platform } from './components/Host';
import { JitsiHost } from './components/JitsiHost';
import { poolOf, shardDomain } from './components/names';
import { PlatformCa } from './components/PlatformCa';
import { PlatformNetwork } from './components/PlatformNetwork';
import { bridgeValues, jitsiValues, recorderValues, turnName } from './components/platform-values';
import { RecorderAccounts } from './components/RecorderAccounts';
import { livingRecorders, RecorderPool } from './components/RecorderPool';
import { RecordingStore } from './components/RecordingStore';
import { SshAccess } from './components/SshAccess';
import { TokenAuth } from './components/TokenAuth';

/** The whole platform: configuration in, components, outputs. */
export = async () => {
  const config = readConfig();
  const labels = { platform: pulumi.getStack() };
  const living = await livingRecorders(labels);

  const network = new PlatformNetwork('network', { ...config, labels });
  const access = new SshAccess('ssh-access', { ...config, labels });
  const ca = new PlatformCa('ca', config);
  const tokenAuth = new TokenAuth('token-auth', config);
  const store = new RecordingStore('recording-store', config);
  const recorderAccounts = new RecorderAccounts('recorder-accounts');
  const platform: Platform = { ...config, network, access, ca, labels };

  const shards = Array.from({ length: config.shardCount }, (_, index) => index + 1).map((shard) => {
    const domain = shardDomain(config.domain, shard);
    const jitsiHost = new JitsiHost({
      platform,
      shard,
      domain,
      furtherNames: config.turnOnPort443 ? [turnName(domain)] : [],
      dns: { provider: config.dnsProvider, zoneId: config.dnsZoneId, zone: config.dnsZone },
      serverType: config.jitsiServerType,
      plan: jitsiHostPlan(jitsiValues(config, shard)),
      tokenAuth,
      recorderAccounts,
      sipPassword: config.sipPassword,
      alertWebhook: config.alertWebhook,
      alertSmtp: config.alertSmtp,
      protect: config.hostProtection,
    });
    const bridges = new BridgePool({
      platform,
      shard,
      count: config.bridgeCount,
      serverType: config.bridgeServerType,
      plan: bridgeHostPlan(bridgeValues(config, shard)),
      jitsiHost,
    });
    return { name: `shard-${shard}`, domain, jitsiHost, bridges };
  });

  const recorders = new RecorderPool('recorders', {
    platform,
    count: config.recorderCount,
    serverType: config.recorderServerType,
    plan: recorderHostPlan(recorderValues(config, store)),
    domain: config.domain,
    lost: config.recordersLost,
    drainWait: config.recorderDrainWait,
    maxUnavailable: config.recorderMaxUnavailable,
    accounts: recorderAccounts,
    tokenAuth,
    store,
    jitsiHost: shards[0]!.jitsiHost,
    living,
  });

  const allHosts = [
    ...shards.flatMap((shard) => [shard.jitsiHost.host, ...shard.bridges.hosts]),
    ...recorders.hosts,
  ];

  // What the app stack and people read; the names are part of the contract with any lesson app.
  return {
    shards: shards.map(({ name, domain }) => ({ name, domain, takesLessons: true })),
    jwtAppId: tokenAuth.appId,
    jwtIssuer: tokenAuth.appId,
    jwtAudience: tokenAuth.audience,
    jwtSecret: tokenAuth.jwtSecret,
    webhookSecret: tokenAuth.webhookSecret,
    recordingStore: {
      endpoint: store.endpoint,
      region: store.region,
      bucket: store.bucket,
      prefix: store.prefix,
    },
    recordingStoreAccessKeyId: store.accessKeyId,
    recordingStoreSecretAccessKey: store.secretAccessKey,
    recorderCapacity: recorders.hosts.length * config.recorderInstancesPerHost,
    hosts: allHosts.map((host) => host.summary),
    // For the programs in operations/: what outside people trust, and the way to the hosts.
    caCertificate: ca.certificate,
    ssh: {
      ...access.way,
      hostKeys: Object.fromEntries(allHosts.map((host) => [poolOf(host.hostName), host.hostKey])),
    },
    deployKey: access.deployKey,
    // An output that is undefined is warned of.
    ...(config.bastionPrivateKey && { bastionPrivateKey: config.bastionPrivateKey }),
    pendingRebuilds: pulumi
      .all(allHosts.map((host) => host.pendingRebuild))
      .apply((all) => all.filter((one) => one)),
  };
};
