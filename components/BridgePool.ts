import * as pulumi from '@pulumi/pulumi';
import type { HostPlan } from '../cloud-init/host-plan';
import { Host, type Platform } from './Host';
import type { JitsiHost } from './JitsiHost';
import { bridgeName } from './names';
import { keyPair } from './SshAccess';

export interface BridgePoolArgs {
  platform: Platform;
  shard: number;
  /** Bridges beside the Jitsi host's own. */
  count: number;
  serverType: string;
  plan: HostPlan;
  jitsiHost: JitsiHost;
}

/** The bridge hosts of one shard. */
export class BridgePool extends pulumi.ComponentResource {
  readonly hosts: Host[];

  constructor(args: BridgePoolArgs, opts?: pulumi.ComponentResourceOptions) {
    const name = `bridges-${args.shard}`;
    super('lessons:index:BridgePool', name, {}, opts);
    const { platform, plan, jitsiHost } = args;
    const parent = { parent: this };
    const numbers = Array.from({ length: args.count }, (_, index) => index + 1);
    if (numbers.length === 0) {
      this.hosts = [];
      this.registerOutputs({});
      return;
    }
    const planFrom = jitsiHost.keepPlan(name, plan, this);
    const hostKey = keyPair(`${name}-host-key`, parent);
    this.hosts = numbers.map((number) => {
      const bridge = bridgeName(args.shard, number);
      const host = new Host(
        bridge,
        {
          platform,
          role: 'bridge',
          serverType: args.serverType,
          plan,
          planFrom,
          domain: jitsiHost.domain,
          hostKey,
          secrets: { 'xmpp-jvb-password': jitsiHost.bridgePassword },
          protect: false,
          replaceOnServerType: true,
        },
        parent,
      );
      jitsiHost.drain(host);
      return host;
    });
    this.registerOutputs({});
  }
}
