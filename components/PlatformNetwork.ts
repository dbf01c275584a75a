import * as hcloud from '@pulumi/hcloud';
import * as pulumi from '@pulumi/pulumi';
import type { Role } from '../cloud-init/host-plan';
import { locations, type Location } from './config/catalogue';

export interface PlatformNetworkArgs {
  /** Private network, an IPv4 /16. */
  networkCidr: string;
  location: Location;
  /** Networks that may open SSH. */
  adminCidrs: string[];
  /** Labels of every resource. */
  labels: Record<string, string>;
}

/** A port that the cloud firewall opens to the public side. Private ports are the host firewall's alone. */
interface PublicPort {
  protocol: 'tcp' | 'udp';
  port: string;
  description: string;
}

const web: PublicPort[] = [
  { protocol: 'tcp', port: '80', description: 'HTTP: certificates and the way to HTTPS' },
  { protocol: 'tcp', port: '443', description: 'HTTPS' },
];
const media: PublicPort = { protocol: 'udp', port: '10000', description: 'media' };

/** Public ports of each role, SSH aside. Nothing else is reachable from outside. */
export const publicPorts: Record<Role, PublicPort[]> = {
  jitsi: [
    ...web,
    media,
    { protocol: 'udp', port: '3478', description: 'STUN and TURN' },
    { protocol: 'tcp', port: '5349', description: 'TURN over TLS' },
  ],
  bridge: [media],
  recorder: [],
  app: web,
};

const anyone = ['0.0.0.0/0', '::/0'];

/** The private network with its subnet, and one cloud firewall for each role. */
export class PlatformNetwork extends pulumi.ComponentResource {
  readonly subnet: hcloud.NetworkSubnet;
  readonly firewalls: Record<Role, hcloud.Firewall>;

  constructor(name: string, args: PlatformNetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:PlatformNetwork', name, {}, opts);
    const { networkCidr, labels } = args;

    const network = new hcloud.Network(
      name,
      { name: `${pulumi.getStack()}-network`, ipRange: networkCidr, labels },
      { parent: this },
    );
    this.subnet = new hcloud.NetworkSubnet(
      `${name}-subnet`,
      {
        networkId: network.id.apply(Number),
        type: 'cloud',
        networkZone: locations[args.location],
        ipRange: networkCidr,
      },
      { parent: this },
    );

    const firewall = (role: Role): hcloud.Firewall =>
      new hcloud.Firewall(
        `${name}-firewall-${role}`,
        {
          name: `${pulumi.getStack()}-${role}`,
          labels,
          rules: [
            ...publicPorts[role].map((port) => ({ direction: 'in', sourceIps: anyone, ...port })),
            {
              direction: 'in',
              sourceIps: args.adminCidrs,
              protocol: 'tcp',
              port: '22',
              description: 'SSH for admins',
            },
          ],
        },
        { parent: this },
      );
    this.firewalls = {
      jitsi: firewall('jitsi'),
      recorder: firewall('recorder'),
      bridge: firewall('bridge'),
      app: firewall('app'),
    };
    this.registerOutputs({ subnetId: this.subnet.id });
  }
}
