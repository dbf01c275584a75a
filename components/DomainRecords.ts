import * as cloudflare from '@pulumi/cloudflare';
import * as hcloud from '@pulumi/hcloud';
import * as pulumi from '@pulumi/pulumi';

/** Who holds the DNS of the domain. With `none` the records are made by hand, and the stack says which. */
export type DnsProvider =
  { provider: 'cloudflare'; zoneId: string } | { provider: 'hetzner'; zone: string } | { provider: 'none' };

export interface DomainRecordsArgs {
  dns: DnsProvider;
  /** Names that lead to the host. */
  names: string[];
  ipv4: pulumi.Input<string>;
  ipv6: pulumi.Input<string>;
}

/** Name of a record in its zone; the zone itself is `@`. */
const nameInZone = (domain: string, zone: string): string =>
  domain === zone ? '@' : domain.slice(0, -zone.length - 1);

/** Seconds; short, because a rebuilt platform must not wait for old answers. */
const ttl = 300;

/**
 * A and AAAA records of a host, never proxied: a proxy carries no media and hides the address that TURN and the
 * bridge advertise.
 */
export class DomainRecords extends pulumi.ComponentResource {
  readonly records: pulumi.CustomResource[];

  constructor(name: string, args: DomainRecordsArgs, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:DomainRecords', name, {}, opts);
    const { dns } = args;
    const types = { A: args.ipv4, AAAA: args.ipv6 };

    this.records = args.names.flatMap((domain) =>
      Object.entries(types).flatMap(([type, address]) => {
        const record = `${domain}-${type}`;
        switch (dns.provider) {
          case 'cloudflare':
            return new cloudflare.DnsRecord(
              record,
              { zoneId: dns.zoneId, name: domain, type, content: address, ttl, proxied: false },
              { parent: this },
            );
          case 'hetzner':
            return new hcloud.ZoneRrset(
              record,
              {
                zone: dns.zone,
                name: nameInZone(domain, dns.zone),
                type,
                ttl,
                records: [{ value: address }],
              },
              { parent: this },
            );
          case 'none':
            return [];
        }
      }),
    );
    this.registerOutputs({});
  }
}
