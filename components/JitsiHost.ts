import { createHash } from 'node:crypto';
import * as command from '@pulumi/command';
import * as hcloud from '@pulumi/hcloud';
import * as pulumi from '@pulumi/pulumi';
import { planDigest, planText, type HostPlan } from '../cloud-init/host-plan';
import { DomainRecords, type DnsProvider } from './DomainRecords';
import { Host, trusted, type PlanSource, type Platform } from './Host';
import { jitsiName } from './names';
import type { RecorderAccounts } from './RecorderAccounts';
import { keyPair } from './SshAccess';
import { randomSecret, type TokenAuth } from './TokenAuth';

export interface JitsiHostArgs {
  platform: Platform;
  /** Number of the shard, 1 or more. */
  shard: number;
  /** The shard's domain. */
  domain: string;
  dns: DnsProvider;
  serverType: string;
  plan: HostPlan;
  tokenAuth: TokenAuth;
  /** Names beside the domain that lead to the host, e.g. `turn.meet.school.example`. */
  furtherNames: string[];
  /** Accounts of the recorders, which are the same on every shard. */
  recorderAccounts: RecorderAccounts;
  /** Password of the telephone gateway's SIP account; without one there is no gateway. */
  sipPassword?: pulumi.Output<string>;
  /** Where failures are told: address of a webhook, and of an SMTP relay with its login. */
  alertWebhook?: pulumi.Output<string>;
  alertSmtp?: pulumi.Output<string>;
  protect: boolean;
}

/**
 * The server of one shard: Prosody, Jicofo, web client, TURN and, unless switched off, a bridge. Its addresses
 * outlive it; DNS leads to them before it boots, since Let's Encrypt asks at once.
 */
export class JitsiHost extends pulumi.ComponentResource {
  readonly host: Host;
  readonly domain: string;
  /** Password of the bridges of this shard. */
  readonly bridgePassword: pulumi.Output<string>;
  readonly #plan: HostPlan;
  readonly #platform: Platform;

  constructor(args: JitsiHostArgs, opts?: pulumi.ComponentResourceOptions) {
    const name = jitsiName(args.shard);
    super('lessons:index:JitsiHost', name, {}, opts);
    const { platform, domain, protect, tokenAuth } = args;
    const parent = { parent: this };
    this.domain = domain;
    this.#plan = args.plan;
    this.#platform = platform;

    const primaryIp = (type: 'ipv4' | 'ipv6'): hcloud.PrimaryIp =>
      new hcloud.PrimaryIp(
        `${name}-${type}`,
        {
          name: `${pulumi.getStack()}-${name}-${type}`,
          type,
          location: platform.location,
          autoDelete: false,
          deleteProtection: protect,
          labels: platform.labels,
        },
        { ...parent, protect, deleteBeforeReplace: true },
      );
    const addresses = { ipv4: primaryIp('ipv4'), ipv6: primaryIp('ipv6') };
    // The provider answers an IPv6 network's own address, `…::`; the service gives a host the first one after it.
    const hostAddress = (ip: hcloud.PrimaryIp) =>
      ip.ipAddress.apply((address) => address.replace(/::$/, '::1'));
    const reverseNames = Object.entries(addresses).map(
      ([type, ip]) =>
        new hcloud.Rdns(
          `${name}-rdns-${type}`,
          { primaryIpId: ip.id.apply(Number), ipAddress: hostAddress(ip), dnsPtr: domain },
          parent,
        ),
    );
    const records = new DomainRecords(
      `${name}-records`,
      {
        dns: args.dns,
        names: [domain, ...args.furtherNames],
        ipv4: hostAddress(addresses.ipv4),
        ipv6: hostAddress(addresses.ipv6),
      },
      parent,
    );

    const password = (account: string): pulumi.Output<string> => randomSecret(`${name}-${account}`, this);
    this.bridgePassword = password('xmpp-jvb-password');
    const xmpp = platform.ca.issue(`${name}-xmpp`, [`auth.${domain}`, domain], this);
    const fallback = platform.ca.issue(`${name}-fallback`, [domain, ...args.furtherNames], this);

    this.host = new Host(
      name,
      {
        platform,
        role: 'jitsi',
        serverType: args.serverType,
        plan: args.plan,
        domain,
        hostKey: keyPair(`${name}-host-key`, parent),
        secrets: {
          'jwt-secret': tokenAuth.jwtSecret,
          'jwt-secret-previous': tokenAuth.previousJwtSecret,
          'webhook-secret': tokenAuth.webhookSecret,
          'turn-secret': password('turn-secret'),
          'xmpp-focus-password': password('xmpp-focus-password'),
          'xmpp-jvb-password': this.bridgePassword,
          ...args.recorderAccounts.passwords,
          ...(args.sipPassword && {
            'xmpp-jigasi-password': password('xmpp-jigasi-password'),
            'sip-password': args.sipPassword,
          }),
          ...(args.alertWebhook && { 'alert-webhook': args.alertWebhook }),
          ...(args.alertSmtp && { 'alert-smtp': args.alertSmtp }),
          'xmpp-certificate': xmpp.certificate,
          'xmpp-key': xmpp.privateKey,
          'fallback-certificate': fallback.certificate,
          'fallback-key': fallback.privateKey,
        },
        addresses,
        protect,
        serverAfter: [...records.records, ...reverseNames],
      },
      parent,
    );
    this.registerOutputs({ domain });
  }

  /**
   * A command that runs on this host, for a pool of other hosts: again when its text changes or the host is new.
   *
   * @param dependsOn what must be there before, and stay until its `delete` has run
   */
  control(
    name: string,
    run: {
      create: pulumi.Input<string>;
      stdin?: pulumi.Input<string>;
      delete?: pulumi.Input<string>;
      triggers?: pulumi.Input<string>[];
    },
    opts: { parent: pulumi.Resource; dependsOn?: pulumi.Resource[] },
  ): command.remote.Command {
    return new command.remote.Command(
      name,
      {
        connection: this.host.connection,
        addPreviousOutputInEnv: false,
        triggers: this.host.boot,
        ...run,
      },
      { parent: opts.parent, dependsOn: [this.host.converge, ...(opts.dependsOn ?? [])] },
    );
  }

  /** Keeps a pool's host plan on this host, and what all hosts trust, for the pool's hosts to fetch. */
  keepPlan(name: string, plan: HostPlan, parent: pulumi.Resource): PlanSource {
    // Once for the pool: the digest is of the whole text.
    const digest = planDigest(plan);
    const keptPlan = this.control(
      `${name}-plan`,
      { create: `platform-plans put ${digest}`, stdin: planText(plan, this.#plan) },
      { parent },
    );
    const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
    const trust = pulumi.jsonStringify(trusted(this.#platform));
    const keptTrust = this.control(
      `${name}-trust`,
      { create: pulumi.interpolate`platform-plans put-trust ${trust.apply(sha256)}`, stdin: trust },
      { parent, dependsOn: [keptPlan] },
    );
    return {
      address: this.host.privateAddress,
      planDigest: digest,
      // By way of the command, which comes last: each host of the pool then depends on it and on nothing before it.
      trustDigest: keptTrust.stdin.apply((text) => sha256(text!)),
    };
  }

  /**
   * Drains a host before it goes. The call is made to this host and not to the one that goes, so that a dead one
   * never blocks and no key of it is needed; the server's id tells a rebuilt host from the one that is meant.
   *
   * Whatever a running recording needs outlives the drain: network, DNS and this host, because the drained host's own
   * converge and this one's come after them; the bucket, because it is never deleted.
   *
   * @param after what must have run before any drain does, such as a roster
   */
  drain(host: Host, after: pulumi.Resource[] = []): command.remote.Command {
    return this.control(
      `${host.hostName}-drain`,
      {
        create: 'true',
        delete: pulumi.interpolate`platform-drain ${host.hostName} ${host.server.id}`,
        triggers: [host.server.id],
      },
      { parent: host, dependsOn: [host.converge, ...after] },
    );
  }
}
