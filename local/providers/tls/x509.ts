/** Certificates and requests, made with an X.509 library from what the resource tables say. */
import 'reflect-metadata'; // the library's container asks for it
import * as x509 from '@peculiar/x509';
import { createPrivateKey, createPublicKey, randomBytes, webcrypto, type KeyObject } from 'node:crypto';
import { extendedUsages, keyUsageBits } from './uses';

/** A distinguished name's parts by their short names, in the order in which Go writes them. */
export interface Subject {
  country?: string;
  organization?: string;
  organizationalUnit?: string;
  locality?: string;
  province?: string;
  streetAddresses?: string[];
  postalCode?: string;
  commonName?: string;
  serialNumber?: string;
  emailAddress?: string;
}

export interface AlternativeNames {
  dnsNames?: string[];
  ipAddresses?: string[];
  uris?: string[];
}

const nameParts = [
  ['country', 'C'],
  ['organization', 'O'],
  ['organizationalUnit', 'OU'],
  ['locality', 'L'],
  ['province', 'ST'],
  ['streetAddresses', '2.5.4.9'],
  ['postalCode', '2.5.4.17'],
  ['commonName', 'CN'],
  ['serialNumber', '2.5.4.5'],
  ['emailAddress', 'E'],
] as const;

function distinguishedName(subject: Subject | undefined): x509.JsonName {
  return nameParts.flatMap(([property, short]): x509.JsonName => {
    const value = subject?.[property];
    if (value === undefined || value.length === 0) return [];
    return [{ [short]: typeof value === 'string' ? [value] : value }];
  });
}

const algorithms: Record<string, { name: string; namedCurve?: string; hash?: string }> = {
  ed25519: { name: 'Ed25519' },
  rsa: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  prime256v1: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  secp384r1: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  secp521r1: { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' },
};

interface Keys {
  privateKey: webcrypto.CryptoKey;
  publicKey: webcrypto.CryptoKey;
  algorithm: { name: string; namedCurve?: string; hash?: string };
}

function algorithmOf(key: KeyObject): Keys['algorithm'] {
  const name = key.asymmetricKeyType === 'ec' ? key.asymmetricKeyDetails?.namedCurve : key.asymmetricKeyType;
  const algorithm = algorithms[name ?? ''];
  if (!algorithm)
    throw new Error(
      `certificates for keys of kind ${name} are not simulated; use ED25519, RSA, or ECDSA on P256, P384, P521`,
    );
  return algorithm;
}

const importPublic = (key: KeyObject): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey('spki', key.export({ type: 'spki', format: 'der' }), algorithmOf(key), true, [
    'verify',
  ]);

function readPrivateKey(pem: string, property: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // The library's message may repeat a part of the key.
    throw new Error(`${property} is not a private key in PEM form`);
  }
}

async function keysOf(pem: string, property: string): Promise<Keys> {
  const key = readPrivateKey(pem, property);
  const algorithm = algorithmOf(key);
  const der = key.export({ type: 'pkcs8', format: 'der' });
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign']),
    publicKey: await importPublic(createPublicKey(key)),
    algorithm,
  };
}

/** `RSA`, `ECDSA` or `ED25519`. */
export function keyAlgorithm(pem: string, property: string): string {
  const type = readPrivateKey(pem, property).asymmetricKeyType;
  return type === 'ec' ? 'ECDSA' : (type ?? '').toUpperCase();
}

function alternativeNames(names: AlternativeNames): x509.JsonGeneralNames {
  return [
    ...(names.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(names.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
    ...(names.uris ?? []).map((value) => ({ type: 'url' as const, value })),
  ];
}

export interface CertificateWish {
  allowedUses: string[];
  isCaCertificate: boolean;
  /** -1: no limit. */
  maxPathLength: number;
  setSubjectKeyId: boolean;
  validityHours: number;
}

async function extensionsOf(
  wish: CertificateWish,
  subjectKey: webcrypto.CryptoKey,
): Promise<x509.Extension[]> {
  const bits = wish.allowedUses
    .flatMap((use) => keyUsageBits[use] ?? [])
    .reduce((all, bit) => all | (1 << bit), 0);
  const extended = wish.allowedUses.flatMap((use) => extendedUsages[use] ?? []);
  const limit = wish.isCaCertificate && wish.maxPathLength >= 0 ? wish.maxPathLength : undefined;
  return [
    new x509.BasicConstraintsExtension(wish.isCaCertificate, limit, true),
    ...(bits ? [new x509.KeyUsagesExtension(bits, true)] : []),
    ...(extended.length > 0 ? [new x509.ExtendedKeyUsageExtension(extended)] : []),
    ...(wish.isCaCertificate || wish.setSubjectKeyId
      ? [await x509.SubjectKeyIdentifierExtension.create(subjectKey)]
      : []),
  ];
}

export interface Certificate {
  pem: string;
  /** Decimal, as the real provider names a certificate. */
  serialNumber: string;
  notBefore: Date;
  notAfter: Date;
}

function validity(hours: number): { notBefore: Date; notAfter: Date } {
  // X.509 knows whole seconds.
  const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000);
  return { notBefore, notAfter: new Date(notBefore.getTime() + hours * 3_600_000) };
}

/** 128 random bits; the first is 0, so that the number is positive in 16 bytes. */
function newSerial(): { hex: string; decimal: string } {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  const hex = bytes.toString('hex');
  return { hex, decimal: BigInt(`0x${hex}`).toString() };
}

const toPem = (document: { toString(format: 'pem'): string }): string =>
  `${document.toString('pem').trim()}\n`;

/** A certificate that its own key signs. */
export async function selfSigned(
  privateKeyPem: string,
  subject: Subject | undefined,
  names: AlternativeNames,
  wish: CertificateWish & { setAuthorityKeyId: boolean },
): Promise<Certificate> {
  const keys = await keysOf(privateKeyPem, 'privateKeyPem');
  const serial = newSerial();
  const times = validity(wish.validityHours);
  const general = alternativeNames(names);
  const extensions = await extensionsOf(wish, keys.publicKey);
  if (wish.setAuthorityKeyId) {
    extensions.push(await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey));
  }
  if (general.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension(general));
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial.hex,
    name: distinguishedName(subject),
    ...times,
    signingAlgorithm: keys.algorithm,
    keys: { privateKey: keys.privateKey, publicKey: keys.publicKey },
    extensions,
  });
  return { pem: toPem(certificate), serialNumber: serial.decimal, ...times };
}

/** A request (PKCS #10) for a certificate. */
export async function certificateRequest(
  privateKeyPem: string,
  subject: Subject | undefined,
  names: AlternativeNames,
): Promise<string> {
  const keys = await keysOf(privateKeyPem, 'privateKeyPem');
  const general = alternativeNames(names);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: distinguishedName(subject),
    signingAlgorithm: keys.algorithm,
    keys: { privateKey: keys.privateKey, publicKey: keys.publicKey },
    ...(general.length > 0 && { extensions: [new x509.SubjectAlternativeNameExtension(general)] }),
  });
  return toPem(request);
}

/** A certificate for a request's key and names, signed by a CA. */
export async function signedByCa(
  certRequestPem: string,
  caPrivateKeyPem: string,
  caCertPem: string,
  wish: CertificateWish,
): Promise<Certificate> {
  const request = new x509.Pkcs10CertificateRequest(certRequestPem);
  if (!(await request.verify()))
    throw new Error('certRequestPem: the request is not signed by the key it names');
  const ca = new x509.X509Certificate(caCertPem);
  const caKeys = await keysOf(caPrivateKeyPem, 'caPrivateKeyPem');
  const caPublic = createPublicKey(readPrivateKey(caPrivateKeyPem, 'caPrivateKeyPem'));
  const named = Buffer.from(ca.publicKey.rawData);
  if (!caPublic.export({ type: 'spki', format: 'der' }).equals(named)) {
    throw new Error('caPrivateKeyPem is not the key of caCertPem');
  }
  const subjectKey = await importPublic(
    createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' }),
  );
  const serial = newSerial();
  const times = validity(wish.validityHours);
  const extensions = await extensionsOf(wish, subjectKey);
  extensions.push(await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey));
  const asked = request.getExtension('2.5.29.17'); // subject alternative name
  if (asked) extensions.push(new x509.SubjectAlternativeNameExtension(asked.rawData));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.hex,
    subject: request.subjectName.toJSON(),
    issuer: ca.subjectName.toJSON(),
    ...times,
    signingAlgorithm: caKeys.algorithm,
    publicKey: subjectKey,
    signingKey: caKeys.privateKey,
    extensions,
  });
  return { pem: toPem(certificate), serialNumber: serial.decimal, ...times };
}
