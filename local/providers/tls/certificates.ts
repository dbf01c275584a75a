/** Certificates and requests as resources. The X.509 library is loaded when the first of them is made. */
import { createHash } from 'node:crypto';
import { flag, list, notSimulated, number, object, required, text, type Failure } from '../properties';
import { resourceFor } from '../resource';
import { isKnownUse } from './uses';
import type { AlternativeNames, Certificate } from './x509';

const writeOnly = notSimulated('write-only values are not needed here; use the value without Wo');

const subject = object(
  {
    commonName: text(),
    country: text(),
    emailAddress: text(),
    locality: text(),
    organization: text(),
    organizationalUnit: text(),
    postalCode: text(),
    province: text(),
    serialNumber: text(),
    streetAddresses: list(text()),
  },
  { replaces: true },
);

/** The other names that a certificate is good for, the subject, and the key they belong to. */
const requestInputs = {
  dnsNames: list(text(), { replaces: true }),
  ipAddresses: list(text(), { replaces: true }),
  privateKeyPem: required(text({ replaces: true, secret: true })),
  privateKeyPemWo: writeOnly,
  privateKeyPemWoVersion: writeOnly,
  subject,
  uris: list(text(), { replaces: true }),
};

const hours = (traits: object) =>
  number({
    ...traits,
    check: (value: number) => (value < 0 ? 'hours cannot be negative; for example 8760' : undefined),
  });

const certificateInputs = {
  allowedUses: required(list(text(), { replaces: true })),
  /** A change of it is made in place. */
  earlyRenewalHours: hours({ default: 0 }),
  isCaCertificate: flag({ replaces: true, default: false }),
  maxPathLength: number({ replaces: true, default: -1 }),
  setSubjectKeyId: flag({ replaces: true, default: false }),
  validityPeriodHours: required(hours({ replaces: true })),
};

const certificateOutputs = {
  certPem: text(),
  readyForRenewal: flag(),
  validityEndTime: text(),
  validityStartTime: text(),
};

const namesOf = (inputs: AlternativeNames): AlternativeNames => ({
  dnsNames: inputs.dnsNames,
  ipAddresses: inputs.ipAddresses,
  uris: inputs.uris,
});

/** As Go writes times: without fractions of a second. */
const time = (date: Date): string => date.toISOString().replace('.000Z', 'Z');

const certificateState = (certificate: Certificate) => ({
  certPem: certificate.pem,
  readyForRenewal: false,
  validityStartTime: time(certificate.notBefore),
  validityEndTime: time(certificate.notAfter),
});

/** A certificate inside its last `earlyRenewalHours` asks to be made again at the next `up`. */
function expired(state: { validityEndTime?: string }, inputs: { earlyRenewalHours?: number }): string[] {
  if (!state.validityEndTime) return [];
  const renewFrom = Date.parse(state.validityEndTime) - (inputs.earlyRenewalHours ?? 0) * 3_600_000;
  return Date.now() >= renewFrom ? ['readyForRenewal'] : [];
}

function check({ allowedUses }: { allowedUses?: string[] }): Failure[] {
  // A list that is not known yet is checked at the next step.
  if (!Array.isArray(allowedUses)) return [];
  return allowedUses.flatMap((use, index) =>
    typeof use === 'string' && !isKnownUse(use)
      ? [
          {
            property: `allowedUses[${index}]`,
            reason: `unknown use ${JSON.stringify(use)}; for example server_auth or cert_signing`,
          },
        ]
      : [],
  );
}

const library = () => import('./x509.js');

const resource = resourceFor<null>();

export const selfSignedCert = resource({
  inputs: {
    ...certificateInputs,
    ...requestInputs,
    setAuthorityKeyId: flag({ replaces: true, default: false }),
  },
  outputs: { ...certificateOutputs, keyAlgorithm: text() },
  reports: 'reasons',
  check,
  expired,
  async create({ inputs }) {
    const { keyAlgorithm, selfSigned } = await library();
    const certificate = await selfSigned(inputs.privateKeyPem, inputs.subject, namesOf(inputs), {
      allowedUses: inputs.allowedUses,
      isCaCertificate: inputs.isCaCertificate ?? false,
      maxPathLength: inputs.maxPathLength ?? -1,
      setSubjectKeyId: inputs.setSubjectKeyId ?? false,
      setAuthorityKeyId: inputs.setAuthorityKeyId ?? false,
      validityHours: inputs.validityPeriodHours,
    });
    return {
      id: certificate.serialNumber,
      state: {
        ...certificateState(certificate),
        keyAlgorithm: keyAlgorithm(inputs.privateKeyPem, 'privateKeyPem'),
      },
    };
  },
  update: () => Promise.resolve({}),
});

export const certRequest = resource({
  inputs: requestInputs,
  outputs: { certRequestPem: text(), keyAlgorithm: text() },
  reports: 'reasons',
  async create({ inputs }) {
    const { certificateRequest, keyAlgorithm } = await library();
    const pem = await certificateRequest(inputs.privateKeyPem, inputs.subject, namesOf(inputs));
    return {
      id: createHash('sha1').update(pem).digest('hex'),
      state: { certRequestPem: pem, keyAlgorithm: keyAlgorithm(inputs.privateKeyPem, 'privateKeyPem') },
    };
  },
});

export const locallySignedCert = resource({
  inputs: {
    ...certificateInputs,
    caCertPem: required(text({ replaces: true })),
    caPrivateKeyPem: required(text({ replaces: true, secret: true })),
    caPrivateKeyPemWo: writeOnly,
    caPrivateKeyPemWoVersion: writeOnly,
    certRequestPem: required(text({ replaces: true })),
  },
  outputs: { ...certificateOutputs, caKeyAlgorithm: text() },
  reports: 'reasons',
  check,
  expired,
  async create({ inputs }) {
    const { keyAlgorithm, signedByCa } = await library();
    const certificate = await signedByCa(inputs.certRequestPem, inputs.caPrivateKeyPem, inputs.caCertPem, {
      allowedUses: inputs.allowedUses,
      isCaCertificate: inputs.isCaCertificate ?? false,
      maxPathLength: inputs.maxPathLength ?? -1,
      setSubjectKeyId: inputs.setSubjectKeyId ?? false,
      validityHours: inputs.validityPeriodHours,
    });
    return {
      id: certificate.serialNumber,
      state: {
        ...certificateState(certificate),
        caKeyAlgorithm: keyAlgorithm(inputs.caPrivateKeyPem, 'caPrivateKeyPem'),
      },
    };
  },
  update: () => Promise.resolve({}),
});
