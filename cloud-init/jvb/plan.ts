import { aptSource, hostPlanOf, type RolePart } from '../common/plan';
import type { HostPlan } from '../host-plan';
import { roleFiles } from '../role-files';
import { refuseQuoting } from '../upkeep/plain-text';
import { AUTHORITY, joinParts, STATUS_PORT, upkeepPart } from '../upkeep/plan';
import type { BridgeValues } from '../values';

/** Packages of the Java that Jitsi's programs run on. */
export const JAVA = 'openjdk-*-jre-headless';

const CONFIG = '/etc/jitsi/videobridge/jvb.conf';

/** What of the bridge depends on where it runs. */
export interface BridgePlace {
  domain: string;
  shard: number;
  relays: boolean;
  /** Where Prosody's 5222 is reached: the Jitsi host's private address, or `localhost` on that host itself. */
  xmppAddress: string;
  /** Where it takes colibri WebSockets from nginx; `{{host.privateAddress}}` when nginx runs elsewhere. */
  webSocketAddress: string;
}

/**
 * The videobridge's own part, for a bridge host and for a Jitsi host that carries one.
 *
 * @param withHost false on the Jitsi host, which has its own firewall rules, checks and ready command
 */
export function videobridgePart(place: BridgePlace, withHost: boolean): RolePart {
  return {
    packages: ['jitsi-videobridge2', 'procps'],
    debconf: [
      `jitsi-videobridge2 jitsi-videobridge/jvb-hostname string ${place.domain}`,
      'jitsi-videobridge2 jitsi-videobridge/jvbsecret password {{throwaway}}',
    ],
    directories: { '/etc/jitsi/videobridge': { owner: 'jvb', group: 'jitsi', mode: '0750' } },
    files: roleFiles(
      __dirname,
      { ...place, statusPort: STATUS_PORT },
      [
        { path: CONFIG, owner: 'jvb', group: 'jitsi', mode: '0640', phase: 'before-packages' },
        { path: '/etc/sysctl.d/*', phase: 'before-packages' },
        ...(withHost ? [{ path: '/usr/local/lib/platform/checks/*', mode: '0755' }] : []),
      ],
      withHost
        ? []
        : ['/etc/nftables.d/*', '/usr/local/sbin/*', '/usr/local/lib/**', '/etc/systemd/system/platform-*'],
    ),
    units: { enabled: ['jitsi-videobridge2.service'], disabled: [], masked: [] },
    services: [
      { unit: 'systemd-sysctl.service', files: ['/etc/sysctl.d/60-platform-bridge.conf'] },
      {
        unit: 'jitsi-videobridge2.service',
        endsLessons: true,
        check: `hocon -f ${CONFIG} get videobridge.apis.xmpp-client.configs.shard.domain`,
        verify: 'curl --silent --fail --max-time 5 --output /dev/null http://127.0.0.1:8080/about/health',
        packages: ['jitsi-videobridge2', JAVA],
        files: [CONFIG, AUTHORITY],
      },
    ],
    secrets: ['xmpp-jvb-password'],
  };
}

/** The host plan of the role bridge: the same for all bridges of a shard. */
export function bridgeHostPlan(values: BridgeValues): HostPlan {
  const { domain, shard, relays, jitsiAddress } = values;
  refuseQuoting({ domain, jitsiAddress }, 'bridge');
  const place = {
    domain,
    shard,
    relays,
    xmppAddress: jitsiAddress,
    webSocketAddress: '{{host.privateAddress}}',
  };
  return hostPlanOf(
    'bridge',
    values,
    joinParts(
      upkeepPart({ jvb: '/var/log/jitsi/jvb.log jitsi-videobridge2' }),
      { aptSources: [aptSource('jitsi', values.packageSources.jitsi)] },
      videobridgePart(place, true),
      {
        units: { enabled: ['platform-bridge-status.service'], disabled: [], masked: [] },
        services: [
          { unit: 'platform-bridge-status.service', files: ['/usr/local/sbin/platform-bridge-status'] },
        ],
      },
      { ready: '/usr/local/sbin/platform-ready' },
    ),
  );
}
