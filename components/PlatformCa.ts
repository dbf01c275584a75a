import * as pulumi from '@pulumi/pulumi';
import * as tls from '@pulumi/tls';

const hoursInYear = 365 * 24;

/** A key and the certificate that the platform's CA signed for it, both PEM. */
export interface IssuedCertificate {
  certificate: pulumi.Output<string>;
  privateKey: pulumi.Output<string>;
}

/**
 * The platform's own certificate authority. It signs what never leaves the private network (internal XMPP) and
 * what a host wears until Let's Encrypt answers; every host trusts it, so no verification is ever switched off.
 */
export class PlatformCa extends pulumi.ComponentResource {
  /** The CA's certificate, PEM. */
  readonly certificate: pulumi.Output<string>;
  readonly #key: tls.PrivateKey;

  constructor(name: string, args: { domain: string }, opts?: pulumi.ComponentResourceOptions) {
    super('lessons:index:PlatformCa', name, {}, opts);
    this.#key = new tls.PrivateKey(
      `${name}-key`,
      { algorithm: 'ECDSA', ecdsaCurve: 'P256' },
      { parent: this },
    );
    const certificate = new tls.SelfSignedCert(
      `${name}-certificate`,
      {
        privateKeyPem: this.#key.privateKeyPem,
        isCaCertificate: true,
        subject: { commonName: `CA of ${args.domain}` },
        validityPeriodHours: 10 * hoursInYear,
        earlyRenewalHours: hoursInYear,
        allowedUses: ['cert_signing', 'crl_signing', 'digital_signature'],
      },
      { parent: this },
    );
    this.certificate = certificate.certPem;
    this.registerOutputs({ certificate: this.certificate });
  }

  /**
   * Issues a server certificate for two years, made anew half a year before it ends.
   *
   * @param name resource name, e.g. `jitsi-1-xmpp`
   * @param dnsNames names that the certificate is for; the first is its subject
   * @param parent component that owns the certificate
   */
  issue(name: string, dnsNames: [string, ...string[]], parent: pulumi.Resource): IssuedCertificate {
    const key = new tls.PrivateKey(`${name}-key`, { algorithm: 'ECDSA', ecdsaCurve: 'P256' }, { parent });
    const request = new tls.CertRequest(
      `${name}-request`,
      { privateKeyPem: key.privateKeyPem, subject: { commonName: dnsNames[0] }, dnsNames },
      { parent },
    );
    const signed = new tls.LocallySignedCert(
      `${name}-certificate`,
      {
        certRequestPem: request.certRequestPem,
        caPrivateKeyPem: this.#key.privateKeyPem,
        caCertPem: this.certificate,
        validityPeriodHours: 2 * hoursInYear,
        earlyRenewalHours: hoursInYear / 2,
        allowedUses: ['digital_signature', 'key_encipherment', 'server_auth', 'client_auth'],
      },
      { parent },
    );
    return {
      certificate: signed.certPem,
      privateKey: pulumi.secret(key.privateKeyPem),
    };
  }
}
