import * as pulumi from '@pulumi/pulumi';
import * as tls from '@pulumi/tls';

const config = new pulumi.Config();

const ed25519 = new tls.PrivateKey('ed25519', { algorithm: 'ED25519' });
const rsa = new tls.PrivateKey('rsa', { algorithm: 'RSA', rsaBits: 2048 });
const ecdsa = new tls.PrivateKey('ecdsa', { algorithm: 'ECDSA', ecdsaCurve: 'P256' });

const ca = new tls.SelfSignedCert('ca', {
  privateKeyPem: ecdsa.privateKeyPem,
  subject: { commonName: 'Lesson Platform CA', organization: 'Example School', country: 'DE' },
  isCaCertificate: true,
  maxPathLength: 0,
  allowedUses: ['cert_signing', 'crl_signing'],
  validityPeriodHours: 24 * 365 * 10,
});

const names = {
  dnsNames: ['meet.example.org', 'auth.meet.example.org'],
  ipAddresses: ['10.10.1.1', 'fd00::1'],
};
const uses = [
  ...(config.getObject<string[]>('uses') ?? ['server_auth', 'digital_signature', 'key_encipherment']),
];

const signed = { rsa, ed25519 };
export const certificates = Object.fromEntries(
  Object.entries(signed).map(([name, key]) => {
    const request = new tls.CertRequest(`${name}-request`, {
      privateKeyPem: key.privateKeyPem,
      subject: { commonName: 'meet.example.org' },
      ...names,
    });
    const certificate = new tls.LocallySignedCert(`${name}-certificate`, {
      certRequestPem: request.certRequestPem,
      caPrivateKeyPem: ecdsa.privateKeyPem,
      caCertPem: ca.certPem,
      allowedUses: uses,
      validityPeriodHours: config.getNumber('hours') ?? 24 * 365,
      earlyRenewalHours: config.getNumber('earlyRenewalHours') ?? 24 * 30,
    });
    return [name, certificate.certPem];
  }),
);

export const caCertificate = ca.certPem;
export const keys = pulumi.secret(
  Object.fromEntries(
    Object.entries({ ed25519, rsa, ecdsa }).map(([name, key]) => [
      name,
      {
        pem: key.privateKeyPem,
        pkcs8: key.privateKeyPemPkcs8,
        openssh: key.privateKeyOpenssh,
        publicOpenssh: key.publicKeyOpenssh,
        publicPem: key.publicKeyPem,
        sha256: key.publicKeyFingerprintSha256,
        md5: key.publicKeyFingerprintMd5,
      },
    ]),
  ),
);
