import * as pulumi from '@pulumi/pulumi';
import * as hcloud from '@pulumi/hcloud';

/** Every resource type of the stand-in; the tests change single inputs through the config. */
const config = new pulumi.Config();
// The tests look servers up once they exist.
const lookup = config.getBoolean('lookup') ?? false;
const labels = config.getObject<Record<string, string>>('labels') ?? { role: 'jitsi' };
const protectedServer = config.getBoolean('protected') ?? false;

const network = new hcloud.Network('network', { name: 'lessons', ipRange: '10.10.0.0/16' });
const subnet = new hcloud.NetworkSubnet('subnet', {
  networkId: network.id.apply(Number),
  type: 'cloud',
  networkZone: 'eu-central',
  ipRange: '10.10.0.0/16',
});
const key = new hcloud.SshKey('key', {
  name: 'deploy',
  publicKey:
    config.get('publicKey') ??
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7GqkVQ1Kwx4CyWlIpWe8AXNiIsPLtVkqGTqbZSEcQb',
});
const group = new hcloud.PlacementGroup('group', { name: 'spread-1', type: 'spread' });
const address = new hcloud.PrimaryIp('address', {
  name: config.get('addressName') ?? 'jitsi-1-ipv4',
  type: 'ipv4',
  location: 'fsn1',
  autoDelete: false,
});
const firewall = new hcloud.Firewall('firewall', {
  name: 'jitsi',
  rules: [
    { direction: 'in', protocol: 'tcp', port: config.get('port') ?? '443', sourceIps: ['0.0.0.0/0', '::/0'] },
    { direction: 'in', protocol: 'udp', port: '10000', sourceIps: ['::/0', '0.0.0.0/0'] },
  ],
});
const server = new hcloud.Server('server', {
  name: 'jitsi-1',
  serverType: config.get('serverType') ?? 'cx23',
  image: config.get('image') ?? 'debian-12',
  location: 'fsn1',
  sshKeys: [key.id],
  userData: config.get('userData') ?? '#cloud-config\n',
  labels,
  firewallIds: [firewall.id.apply(Number)],
  ...(config.getBoolean('placed') === false ? {} : { placementGroupId: group.id.apply(Number) }),
  publicNets: [{ ipv4: address.id.apply(Number), ipv4Enabled: true, ipv6Enabled: true }],
  deleteProtection: protectedServer,
  rebuildProtection: protectedServer,
});
const attachment = new hcloud.ServerNetwork(
  'attachment',
  {
    serverId: server.id.apply(Number),
    networkId: network.id.apply(Number),
    ip: config.get('privateAddress') ?? '10.10.1.1',
  },
  { dependsOn: subnet },
);
new hcloud.Rdns('rdns', {
  primaryIpId: address.id.apply(Number),
  ipAddress: address.ipAddress,
  dnsPtr: config.get('domain') ?? 'meet.example.org',
});
const zone = new hcloud.Zone('zone', { name: 'example.org', mode: 'primary' });
new hcloud.ZoneRrset('record', {
  zone: zone.name,
  name: 'meet',
  type: 'A',
  ttl: 300,
  records: [{ value: address.ipAddress }],
});
const volume = new hcloud.Volume('volume', { name: 'data', size: 10, location: 'fsn1', format: 'ext4' });
new hcloud.VolumeAttachment('mount', {
  volumeId: volume.id.apply(Number),
  serverId: server.id.apply(Number),
});
// No name: the provider makes one.
new hcloud.PlacementGroup('unnamed', { type: 'spread' });

export const publicAddress = address.ipAddress;
export const privateAddress = attachment.ip;
export const serverId = server.id;
export const userDataInState = server.userData;
export const found = lookup
  ? hcloud
      .getServersOutput({ withSelector: 'role=jitsi' })
      .servers.apply((servers) => servers.map(({ name }) => name))
  : [];
export const cores = lookup ? hcloud.getServerTypeOutput({ name: 'cx23' }).cores : 0;
