import * as command from '@pulumi/command';
import * as hcloud from '@pulumi/hcloud';
import * as pulumi from '@pulumi/pulumi';
import { planText, type HostPlan, type Role } from '../cloud-init/host-plan';
import { bootGeneration, userData } from '../cloud-init/user-data';
import { privateAddress } from './names';
import type { PlatformCa } from './PlatformCa';
import type { PlatformNetwork } from './PlatformNetwork';
import type { KeyPair, SshAccess } from './SshAccess';

/** What all hosts of a platform share. */
export interface Platform {
  location: string;
  /** Image of new hosts. */
  hostImage: string;
  networkCidr: string;
  network: PlatformNetwork;
  access: SshAccess;
  /** The authority that every host trusts. */
  ca: PlatformCa;
  /** Labels of every resource. */
  labels: Record<string, string>;
}

/**
 * What a Jitsi host keeps for a pool: the plan's text stands once, there and in the state, and so does what every
 * host trusts. The pool's hosts are told digests.
 */
export interface PlanSource {
  /** Private address of the Jitsi host. */
  address: string;
  /** SHA-256 of the plan's text. */
  planDigest: string;
  /** SHA-256 of what all hosts trust; known when both have been put there. */
  trustDigest: pulumi.Output<string>;
}

export interface HostArgs {
  platform: Platform;
  role: Role;
  serverType: string;
  plan: HostPlan;
  /** Where a host of a pool gets its plan; without it the plan is sent whole, so that its preview shows every file. */
  planFrom?: PlanSource;
  /** Public domain that the host serves or belongs to. */
  domain: string;
  /** The host's SSH key, which user data carries. */
  hostKey: KeyPair;
  /** Secrets by file name, as `cloud-init/host-plan.ts` lists them for the role; CA and deploy keys are added. */
  secrets: Record<string, pulumi.Input<string>>;
  /** Kept addresses; without them the server gets addresses that go with it. */
  addresses?: { ipv4: hcloud.PrimaryIp; ipv6: hcloud.PrimaryIp };
  placementGroupId?: pulumi.Input<number>;
  /** Refuses deletion and rebuild, at Hetzner and already in the preview. */
  protect: boolean;
  /** Replaces the server instead of changing its type in place; for hosts that keep nothing. */
  replaceOnServerType?: boolean;
  /** Must be there before the server. */
  serverAfter?: pulumi.Input<pulumi.Resource[]>;
}

/** A host whose server runs an older boot than the program would make. */
export interface PendingRebuild {
  host: string;
  bootedWith: string;
  current: string;
}

/**
 * Inputs of a living server that this program never changes. Each of them would replace the server, and with it
 * the lessons on it: `userData` for one byte of cloud-init, `image` for a new release, `sshKeys` for a new admin.
 * Files and keys reach a living host by converge instead; what only a boot can change is shown as a pending
 * rebuild, by the label that was set when the server was made or rebuilt.
 */
const frozenInputs = ['userData', 'image', 'sshKeys', 'labels["boot-generation"]'];

/** What every host trusts, by the names of `cloud-init/host-plan.ts`; none of it is secret. */
export function trusted({ ca, access }: Platform): Record<string, pulumi.Output<string>> {
  return { 'ca-certificate': ca.certificate, 'deploy-keys': access.deployKeys };
}

/** One server: addresses, pinned SSH key, first boot, secrets, and converge for every later change. */
export class Host extends pulumi.ComponentResource {
  readonly hostName: string;
  readonly role: Role;
  readonly server: hcloud.Server;
  readonly publicAddress: pulumi.Output<string>;
  readonly publicAddress6: pulumi.Output<string>;
  readonly privateAddress: string;
  readonly connection: command.types.input.remote.ConnectionArgs;
  /** Changes with every first boot, that of a rebuild too, which keeps the server's id. Commands run again then. */
  readonly boot: pulumi.Output<string>[];
  /** Public half of the host's SSH key, by which it is known. */
  readonly hostKey: pulumi.Output<string>;
  /** Has run when the host does its work. */
  readonly converge: command.remote.Command;
  /** What the stack's outputs say of the host. */
  readonly summary: Record<
    'name' | 'role' | 'privateAddress' | 'publicAddress' | 'publicAddress6',
    pulumi.Input<string>
  >;
  readonly pendingRebuild: pulumi.Output<PendingRebuild | undefined>;

  constructor(name: string, args: HostArgs, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:Host', name, {}, opts);
    const { platform, role, plan, hostKey } = args;
    const { access } = platform;
    const parent = { parent: this };
    this.hostName = name;
    this.role = role;
    this.privateAddress = privateAddress(platform.networkCidr, name);
    const generation = bootGeneration(plan, platform.hostImage);

    this.server = new hcloud.Server(
      name,
      {
        name,
        serverType: args.serverType,
        image: platform.hostImage,
        location: platform.location,
        sshKeys: access.sshKeyIds,
        userData: pulumi.secret(
          pulumi
            .all([hostKey.privateKey, hostKey.publicKey, access.deployKeys])
            .apply(([hostKeyPrivate, hostKeyPublic, deployKeys]) =>
              userData(
                plan,
                {
                  name,
                  role,
                  privateAddress: this.privateAddress,
                  domain: args.domain,
                  image: platform.hostImage,
                },
                { hostKeyPrivate, hostKeyPublic, authorizedKeys: deployKeys.split('\n') },
              ),
            ),
        ),
        publicNets: [
          {
            ipv4Enabled: true,
            ipv6Enabled: true,
            ...(args.addresses && {
              ipv4: args.addresses.ipv4.id.apply(Number),
              ipv6: args.addresses.ipv6.id.apply(Number),
            }),
          },
        ],
        // An empty list of aliases keeps the provider from attaching the network anew at every up.
        networks: [{ subnetId: platform.network.subnet.id, ip: this.privateAddress, aliasIps: [] }],
        firewallIds: [platform.network.firewalls[role].id.apply(Number)],
        placementGroupId: args.placementGroupId,
        labels: { ...platform.labels, role, 'boot-generation': generation },
        keepDisk: true,
        deleteProtection: args.protect,
        rebuildProtection: args.protect,
        shutdownBeforeDeletion: true,
      },
      {
        ...parent,
        protect: args.protect,
        ignoreChanges: frozenInputs,
        deleteBeforeReplace: true,
        ...(args.replaceOnServerType && { replaceOnChanges: ['serverType'] }),
        dependsOn: args.serverAfter,
      },
    );
    this.publicAddress = this.server.ipv4Address;
    this.publicAddress6 = this.server.ipv6Address;
    this.hostKey = hostKey.publicKey;
    this.connection = access.connection(this, hostKey.publicKey);
    const bootedWith = this.server.labels.apply((labels) => labels?.['boot-generation'] ?? 'unknown');
    this.boot = [this.server.id, bootedWith];
    this.pendingRebuild = bootedWith.apply((label) => {
      // A rebuild has put its time after the generation.
      const booted = label.split('.')[0]!;
      return booted === generation ? undefined : { host: name, bootedWith: booted, current: generation };
    });

    const powerOn = this.#powerOn(name);
    const from = args.planFrom;
    const trust = from
      ? { trust: pulumi.interpolate`${from.trustDigest} ${from.address}` }
      : trusted(platform);
    const secrets = pulumi.secret(pulumi.jsonStringify({ ...args.secrets, ...trust }));
    const run = (suffix: string, stdin: pulumi.Input<string>, create: string, after: pulumi.Resource[]) =>
      new command.remote.Command(
        `${name}-${suffix}`,
        {
          connection: this.connection,
          create,
          stdin,
          triggers: this.boot,
          addPreviousOutputInEnv: false,
        },
        { ...parent, dependsOn: after },
      );
    this.converge =
      from === undefined
        ? run('converge', planText(plan), 'platform-apply', [
            run('secrets', secrets, 'platform-secrets', [powerOn]),
          ])
        : run(
            'converge',
            secrets,
            `platform-secrets && platform-apply --fetch ${from.planDigest} --from ${from.address}`,
            [powerOn],
          );
    this.summary = {
      name,
      role,
      publicAddress: this.publicAddress,
      publicAddress6: this.publicAddress6,
      privateAddress: this.privateAddress,
    };
    this.registerOutputs({ publicAddress: this.publicAddress, privateAddress: this.privateAddress });
  }

  /**
   * Sees to it that the server runs, at every change of it: a changed type leaves it off, and so does a creation that
   * failed half-way, and nothing of the provider's puts it on. A resource and not a hook, since what was interrupted
   * is then done at the next up.
   */
  #powerOn(name: string): command.local.Command {
    const token = new pulumi.Config('hcloud').getSecret('token');
    return new command.local.Command(
      `${name}-power-on`,
      {
        // Run by Node itself: a shell is not the same on every machine that runs this program.
        interpreter: ['node'],
        create: 'operations/power-on.mjs',
        environment: {
          SERVER_ID: this.server.id,
          SERVER_TYPE: this.server.serverType,
          ...(token && { HCLOUD_TOKEN: token }),
        },
        logging: 'stderr',
        addPreviousOutputInEnv: false,
      },
      { parent: this },
    );
  }
}
