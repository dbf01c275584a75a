/** What a machine needs to know of a server to be one. */
export interface Machine {
  id: number;
  name: string;
  labels: Record<string, string>;
  location: string;
  /** Cores, memory in GB, disk in GB. */
  size: { cores: number; memory: number; disk: number };
  image: { name: string; architecture: 'x86' | 'arm' };
  userData: string;
  /** OpenSSH public keys. */
  sshKeys: string[];
  /** Null without one. */
  publicIpv4: string | null;
  /** A /64 in CIDR notation, null without one. */
  publicIpv6: string | null;
  privateNetworks: { network: number; ipRange: string; ip: string; aliasIps: string[]; macAddress: string }[];
  /** The rules of all its firewalls; null when it has none and everything may pass. They never touch private traffic. */
  firewallRules:
    | {
        direction: 'in' | 'out';
        protocol: string;
        port: string | null;
        source_ips: string[];
        destination_ips: string[];
      }[]
    | null;
}

/** An address record: a domain name in lower case, without a final dot, and an IPv4 or IPv6 address. */
export interface Name {
  name: string;
  address: string;
}

/**
 * The seam behind which servers boot. The cloud calls it while an action runs: the action ends when the promise
 * does, and fails with the message of what was thrown. A call may be repeated after a restart of the cloud, so
 * each must be idempotent. Never two calls at a time for one machine, except `firewallChanged`.
 */
export interface MachineDriver {
  /** Whether servers of this driver really run. */
  readonly boots: boolean;
  /** Told once at the start, before any other call, of every machine that there should be. */
  adopt(machines: { machine: Machine; running: boolean }[]): Promise<void>;
  /** Makes disk and network interfaces; does not power on. */
  create(machine: Machine): Promise<void>;
  powerOn(machine: Machine): Promise<void>;
  /** @param hard pulls the plug; otherwise the operating system is asked to shut down */
  powerOff(machine: Machine, hard: boolean): Promise<void>;
  /** Overwrites the disk from image and user data, then powers on. */
  rebuild(machine: Machine): Promise<void>;
  delete(machine: Machine): Promise<void>;
  /** Private networks or public addresses came, changed or went. */
  networksChanged(machine: Machine): Promise<void>;
  firewallChanged(machine: Machine): Promise<void>;
  /** All A and AAAA records of all zones, told at the start and whenever something has changed. */
  namesChanged(names: readonly Name[]): Promise<void>;
}

/** The default: servers exist in the API only. */
export const noMachines: MachineDriver = {
  boots: false,
  adopt: () => Promise.resolve(),
  create: () => Promise.resolve(),
  powerOn: () => Promise.resolve(),
  powerOff: () => Promise.resolve(),
  rebuild: () => Promise.resolve(),
  delete: () => Promise.resolve(),
  networksChanged: () => Promise.resolve(),
  firewallChanged: () => Promise.resolve(),
  namesChanged: () => Promise.resolve(),
};
