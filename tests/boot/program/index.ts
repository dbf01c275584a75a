import * as command from '@pulumi/command';
import * as hcloud from '@pulumi/hcloud';
import * as pulumi from '@pulumi/pulumi';
import * as tls from '@pulumi/tls';
import { userData } from '../../../cloud-init/user-data';
import { reducedPlan } from '../reduced-plan';

const domain = 'meet.school.example';
const adminCidrs = ['198.51.100.0/24'];

const key = (name: string) => new tls.PrivateKey(name, { algorithm: 'ED25519' });
const deployKey = key('deploy-key');
const sshKey = new hcloud.SshKey('deploy', { publicKey: deployKey.publicKeyOpenssh });
const network = new hcloud.Network('network', { ipRange: '10.10.0.0/16' });
const subnet = new hcloud.NetworkSubnet('subnet', {
  networkId: network.id.apply(Number),
  type: 'cloud',
  networkZone: 'eu-central',
  ipRange: '10.10.0.0/16',
});
const rule = (protocol: string, port: string, sourceIps: string[]) => ({
  direction: 'in',
  protocol,
  port,
  sourceIps,
});
const anywhere = ['0.0.0.0/0', '::/0'];
const firewall = new hcloud.Firewall('firewall', {
  rules: [
    rule('tcp', '22', adminCidrs),
    rule('tcp', '80', anywhere),
    rule('tcp', '7000-7002', anywhere),
    rule('udp', '10000', anywhere),
  ],
});
const plan = deployKey.publicKeyOpenssh.apply((publicKey) => reducedPlan(adminCidrs, [publicKey.trim()]));

const authority = new tls.SelfSignedCert('authority', {
  privateKeyPem: key('authority-key').privateKeyPem,
  subject: { commonName: 'boot test' },
  isCaCertificate: true,
  allowedUses: ['cert_signing'],
  validityPeriodHours: 24,
});

const hosts = [1, 2].map((index) => {
  const name = `bridge-1-${index}`;
  const privateAddress = `10.10.11.${index}`;
  const hostKey = key(`${name}-key`);
  const server = new hcloud.Server(name, {
    name,
    serverType: 'cx33',
    image: 'debian-13',
    location: 'fsn1',
    sshKeys: [sshKey.id],
    firewallIds: [firewall.id.apply(Number)],
    networks: [{ subnetId: subnet.id, ip: privateAddress, aliasIps: [] }],
    shutdownBeforeDeletion: true,
    userData: pulumi.secret(
      pulumi
        .all([plan, hostKey.privateKeyOpenssh, hostKey.publicKeyOpenssh, deployKey.publicKeyOpenssh])
        .apply(([known, hostKeyPrivate, hostKeyPublic, authorized]) =>
          userData(
            known,
            { name, role: 'bridge', privateAddress, domain, image: 'debian-13' },
            { hostKeyPrivate, hostKeyPublic: hostKeyPublic.trim(), authorizedKeys: [authorized.trim()] },
          ),
        ),
    ),
  });
  const connection = {
    host: server.ipv4Address,
    user: 'root',
    privateKey: deployKey.privateKeyOpenssh,
    hostKey: hostKey.publicKeyOpenssh.apply((text) => text.trim()),
    dialErrorLimit: 60,
    perDialTimeout: 5,
  };
  const secrets = new command.remote.Command(`${name}-secrets`, {
    connection,
    create: 'platform-secrets',
    stdin: pulumi.secret(
      pulumi.jsonStringify({
        'ca-certificate': authority.certPem,
        'deploy-keys': deployKey.publicKeyOpenssh,
      }),
    ),
  });
  const converge = new command.remote.Command(
    `${name}-converge`,
    { connection, create: 'platform-apply', stdin: plan.apply((known) => JSON.stringify(known)) },
    { dependsOn: [secrets] },
  );
  return { name, server, hostKey, converge };
});

export const deployKeyPrivate = pulumi.secret(deployKey.privateKeyOpenssh);
export const booted = hosts.map(({ name, server, hostKey, converge }) => ({
  name,
  id: server.id,
  address: server.ipv4Address,
  hostKey: hostKey.publicKeyOpenssh,
  log: converge.stdout,
}));
