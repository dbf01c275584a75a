/** What the local cloud remembers. Relations are kept once, on the side that owns them; views derive the rest. */

export interface Named {
  id: number;
  name: string;
  labels: Record<string, string>;
  created: string;
}

export interface NetworkRecord extends Named {
  ipRange: string;
  subnets: { type: 'cloud' | 'server'; ipRange: string; networkZone: string }[];
  exposeRoutesToVswitch: boolean;
  protection: { delete: boolean };
}

export interface SshKeyRecord extends Named {
  publicKey: string;
  fingerprint: string;
}

export interface PlacementGroupRecord extends Named {
  type: 'spread';
}

export interface PrimaryIpRecord extends Named {
  type: 'ipv4' | 'ipv6';
  /** An address, or a /64 in CIDR notation. */
  ip: string;
  dnsPtr: { ip: string; dns_ptr: string }[];
  /** The server that has it. */
  assignee: number | null;
  autoDelete: boolean;
  location: string;
  protection: { delete: boolean };
}

export interface FirewallRule {
  direction: 'in' | 'out';
  protocol: 'tcp' | 'udp' | 'icmp' | 'esp' | 'gre';
  port: string | null;
  source_ips: string[];
  destination_ips: string[];
  description: string | null;
}

export interface FirewallRecord extends Named {
  rules: FirewallRule[];
  /** Label selectors of servers that it protects; servers that it was applied to by id hold that themselves. */
  selectors: string[];
}

export interface NetworkAttachment {
  network: number;
  ip: string;
  aliasIps: string[];
  macAddress: string;
}

export interface ServerRecord extends Named {
  /** The state it rests in; what it passes through while an action runs is derived from that action. */
  status: 'running' | 'off';
  serverType: string;
  image: number;
  location: string;
  primaryDiskSize: number;
  userData: string;
  /** OpenSSH public keys that it was created with. */
  sshKeys: string[];
  placementGroup: number | null;
  firewalls: number[];
  networks: NetworkAttachment[];
  backupWindow: string | null;
  protection: { delete: boolean; rebuild: boolean };
}

export interface VolumeRecord extends Named {
  size: number;
  location: string;
  format: string | null;
  server: number | null;
  protection: { delete: boolean };
}

export interface RrsetRecord {
  name: string;
  type: string;
  ttl: number | null;
  labels: Record<string, string>;
  records: { value: string; comment?: string }[];
  protection: { change: boolean };
}

export interface ZoneRecord extends Named {
  mode: 'primary' | 'secondary';
  ttl: number;
  primaryNameservers: { address: string; port: number }[];
  rrsets: RrsetRecord[];
  protection: { delete: boolean };
}

export interface ActionRecord {
  id: number;
  command: string;
  /** Which effect of `Actions` it has when it ends, and with what. */
  effect: string;
  args: unknown;
  status: 'running' | 'success' | 'error';
  started: string;
  finished: string | null;
  takesMs: number;
  /** The action that it follows at once, if any. */
  after: number | null;
  /** Its change of the state is done; what may still run is work outside. */
  applied: boolean;
  /** Decided beforehand by a fault: it ends like this and has no effect. */
  failsWith: { code: string; message: string } | null;
  error: { code: string; message: string } | null;
  resources: { id: number; type: string }[];
}

export interface CloudflareZoneRecord {
  id: string;
  name: string;
  account: string;
  created: string;
}

export interface CloudflareDnsRecord {
  id: string;
  zone: string;
  name: string;
  type: string;
  content: string;
  ttl: number;
  proxied: boolean;
  comment: string | null;
  tags: string[];
  priority?: number;
  created: string;
  modified: string;
}

export interface R2BucketRecord {
  /** `account/jurisdiction/name`. */
  id: string;
  account: string;
  name: string;
  jurisdiction: string;
  location: string;
  storageClass: string;
  created: string;
}

/** Records of one kind by id, in the order of their creation. */
export class Collection<T extends { id: number | string }> implements Iterable<T> {
  private readonly records = new Map<T['id'], T>();

  constructor(records: readonly T[] = []) {
    for (const record of records) this.records.set(record.id, record);
  }

  get size(): number {
    return this.records.size;
  }

  get(id: T['id']): T | undefined {
    return this.records.get(id);
  }

  add<R extends T>(record: R): R {
    this.records.set(record.id, record);
    return record;
  }

  delete(id: T['id']): void {
    this.records.delete(id);
  }

  find(fits: (record: T) => boolean): T | undefined {
    for (const record of this.records.values()) if (fits(record)) return record;
    return undefined;
  }

  filter(fits: (record: T) => boolean): T[] {
    return [...this].filter(fits);
  }

  [Symbol.iterator](): Iterator<T> {
    return this.records.values();
  }

  toJSON(): T[] {
    return [...this];
  }
}

type Saved = Partial<Record<keyof State, never[]>> & { counters?: State['counters'] };

export class State {
  /** Last given id, and how many IPv4 addresses and IPv6 networks were ever given: none comes back soon. */
  readonly counters: { id: number; ipv4: number; ipv6: number };
  readonly networks: Collection<NetworkRecord>;
  readonly sshKeys: Collection<SshKeyRecord>;
  readonly placementGroups: Collection<PlacementGroupRecord>;
  readonly primaryIps: Collection<PrimaryIpRecord>;
  readonly firewalls: Collection<FirewallRecord>;
  readonly servers: Collection<ServerRecord>;
  readonly volumes: Collection<VolumeRecord>;
  readonly zones: Collection<ZoneRecord>;
  readonly actions: Collection<ActionRecord>;
  readonly cloudflareZones: Collection<CloudflareZoneRecord>;
  readonly cloudflareRecords: Collection<CloudflareDnsRecord>;
  readonly r2Buckets: Collection<R2BucketRecord>;
  /** Server types that are out of stock, `type@location`. */
  readonly soldOut: string[];

  constructor(saved: Saved = {}) {
    this.counters = saved.counters ?? { id: 1_000_000, ipv4: 0, ipv6: 0 };
    this.networks = new Collection(saved.networks);
    this.sshKeys = new Collection(saved.sshKeys);
    this.placementGroups = new Collection(saved.placementGroups);
    this.primaryIps = new Collection(saved.primaryIps);
    this.firewalls = new Collection(saved.firewalls);
    this.servers = new Collection(saved.servers);
    this.volumes = new Collection(saved.volumes);
    this.zones = new Collection(saved.zones);
    this.actions = new Collection(saved.actions);
    this.cloudflareZones = new Collection(saved.cloudflareZones);
    this.cloudflareRecords = new Collection(saved.cloudflareRecords);
    this.r2Buckets = new Collection(saved.r2Buckets);
    this.soldOut = saved.soldOut ?? [];
  }

  nextId(): number {
    return ++this.counters.id;
  }
}
