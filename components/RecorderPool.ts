import * as hcloud from '@pulumi/hcloud';
import * as pulumi from '@pulumi/pulumi';
import type { HostPlan } from '../cloud-init/host-plan';
import { Host, type Platform } from './Host';
import type { JitsiHost } from './JitsiHost';
import { recorderNames } from './names';
import type { RecorderAccounts } from './RecorderAccounts';
import type { RecordingStore } from './RecordingStore';
import { rollingOrder, type LivingRecorder } from './rolling';
import { keyPair } from './SshAccess';
import type { TokenAuth } from './TokenAuth';

/** Most servers that a spread placement group holds, says Hetzner. */
const placementGroupSize = 10;

export interface RecorderPoolArgs {
  platform: Platform;
  /** Recorders wanted. */
  count: number;
  serverType: string;
  plan: HostPlan;
  domain: string;
  /** Names of recorders that are dead: they go without a drain. */
  lost: string[];
  /** Longest wait for a running recording, minutes. */
  drainWait: number;
  /** Most recorders away at a time while a changed server type rolls through the pool. */
  maxUnavailable: number;
  accounts: RecorderAccounts;
  tokenAuth: TokenAuth;
  store: RecordingStore;
  /** Host that knows the pool's roster, serves its plan and drains its recorders. */
  jitsiHost: JitsiHost;
  /** What the cloud has now, for the order in which a changed server type goes through the pool. */
  living: LivingRecorder[];
}

/** Asks the cloud which recorders of the platform there are, and of what type. */
export async function livingRecorders(labels: Record<string, string>): Promise<LivingRecorder[]> {
  const { servers } = await hcloud.getServers({
    withSelector: `platform=${labels['platform']},role=recorder`,
  });
  return servers;
}

/**
 * N recorder hosts, spread over the data centre. When the pool shrinks, the roster tells the Jitsi host first who
 * stays, so that all leavers stop taking lessons at once; then each is drained, and only then deleted.
 */
export class RecorderPool extends pulumi.ComponentResource {
  readonly hosts: Host[] = [];

  constructor(name: string, args: RecorderPoolArgs, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:RecorderPool', name, {}, opts);
    const { platform, plan, jitsiHost, store } = args;
    const parent = { parent: this };
    const names = recorderNames(args.count, args.lost);

    const planFrom = jitsiHost.keepPlan(name, plan, this);
    const roster = jitsiHost.control(
      `${name}-roster`,
      {
        create: 'platform-roster',
        stdin: `${JSON.stringify({ stay: names, lost: args.lost, waitMinutes: args.drainWait }, null, 2)}\n`,
      },
      parent,
    );
    const groups = Array.from(
      { length: Math.ceil(names.length / placementGroupSize) },
      (_, index) =>
        new hcloud.PlacementGroup(
          `${name}-spread-${index + 1}`,
          { name: `${pulumi.getStack()}-${name}-${index + 1}`, type: 'spread', labels: platform.labels },
          parent,
        ),
    );
    // One key for the pool: its hosts are copies of each other, and the state holds their user data.
    const hostKey = keyPair(`${name}-host-key`, parent);

    const order = rollingOrder(names, args.living, args.serverType, args.maxUnavailable);
    const converged = new Map<string, pulumi.Resource>();

    for (const [position, recorder] of names.entries()) {
      const host = new Host(
        recorder,
        {
          platform,
          role: 'recorder',
          serverType: args.serverType,
          plan,
          planFrom,
          domain: args.domain,
          hostKey,
          secrets: {
            ...args.accounts.passwords,
            'webhook-secret': args.tokenAuth.webhookSecret,
            'store-access-key-id': store.accessKeyId,
            'store-secret-access-key': store.secretAccessKey,
          },
          placementGroupId: groups[Math.floor(position / placementGroupSize)]!.id.apply(Number),
          protect: false,
          replaceOnServerType: true,
          serverAfter: (order.get(recorder) ?? []).map((before) => converged.get(before)!),
        },
        parent,
      );
      jitsiHost.drain(host, [roster]);
      converged.set(recorder, host.converge);
      this.hosts.push(host);
    }
    this.registerOutputs({});
  }
}
