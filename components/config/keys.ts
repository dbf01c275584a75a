import * as z from 'zod';
import { locations, type Location } from './catalogue';

/** One config key: how its value is checked, and the words for a value that does not fit. */
interface Key<T> {
  schema: z.ZodType<T>;
  /** What is expected, as the end of the sentence "expected …". */
  expected: string;
  example: string;
}

/** A key whose value is never printed, and refused when it stands in plain text. */
interface SecretKey extends Key<string> {
  secret: true;
}

const key = <T>(schema: z.ZodType<T>, expected: string, example: string): Key<T> => ({
  schema,
  expected,
  example,
});

const secret = (schema: z.ZodType<string>, expected: string, example: string): SecretKey => ({
  schema,
  expected,
  example,
  secret: true,
});

/** Empty means not given; whether it must be given is decided where keys meet (`rules.ts`). */
const optional = (schema: z.ZodType<string>): z.ZodType<string> => z.union([z.literal(''), schema]);

const count = (from: number, to: number): z.ZodType<number> => z.number().int().min(from).max(to);

const hostname = z
  .string()
  .max(200)
  .regex(/^(?=.{4,})([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$/);
const httpsOrigin = z.string().regex(/^https:\/\/[a-z0-9.-]+(:\d{1,5})?$/);
const httpsUrl = z.string().regex(/^https:\/\/[a-z0-9.-]+(:\d{1,5})?\/[A-Za-z0-9/_.~-]*$/);
const hex32 = z.string().regex(/^[0-9a-f]{32}$/);
const publicKey = z
  .string()
  .regex(/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/]+=*( .*)?$/);
const cidr = z.union([z.cidrv4(), z.cidrv6()]);
const repository = z.string().regex(/^https?:\/\/\S+ \S+( \S+)*$/);
const armouredKey = z
  .string()
  .regex(/^-----BEGIN PGP PUBLIC KEY BLOCK-----[\s\S]+-----END PGP PUBLIC KEY BLOCK-----\s*$/);
const email = z.email();

/** Characters that Jitsi's tokens package refuses in an app secret (facts of jitsi-meet-tokens' postinst). */
const jwtSecret = z
  .string()
  .min(32)
  .regex(/^[^/\\"'`\s]+$/);
const jwtSecretExpected = 'at least 32 characters without / \\ " \' ` or white space';
const newSecret = 'pulumi config set --secret jwtSecret "$(openssl rand -hex 32)"';

const privateRanges = /^(10\.\d{1,3}\.0\.0|172\.(1[6-9]|2\d|3[01])\.0\.0|192\.168\.0\.0)\/16$/;

/**
 * Every config key of the platform. Types, defaults and descriptions for people stand in `Pulumi.yaml`;
 * a test holds the two against each other.
 */
export const keys = {
  domain: key(optional(hostname), 'a DNS name in lower case with at least two labels', 'meet.school.example'),
  location: key(
    z.enum(Object.keys(locations) as [Location, ...Location[]]),
    `one of ${Object.keys(locations).join(', ')}`,
    'fsn1',
  ),
  networkCidr: key(z.string().regex(privateRanges), 'an IPv4 /16 of a private range', '10.10.0.0/16'),
  hostImage: key(z.enum(['debian-12', 'debian-13']), 'debian-12 or debian-13', 'debian-13'),
  hostProtection: key(z.boolean(), 'true or false', 'true'),
  adminCidrs: key(z.array(cidr), 'a list of networks as CIDRs', '["203.0.113.7/32"]'),
  allowWorldSsh: key(z.boolean(), 'true or false', 'false'),
  adminSshKeys: key(
    z.array(publicKey),
    'a list of OpenSSH public keys, one line each',
    '["ssh-ed25519 AAAAC3Nz… anna@school"]',
  ),
  bastionHost: key(
    optional(z.union([hostname, z.ipv4(), z.ipv6()])),
    'a DNS name or an address',
    'bastion.school.example',
  ),
  bastionPort: key(count(1, 65535), 'a port, 1 to 65535', '22'),
  bastionUser: key(z.string().regex(/^[a-z_][a-z0-9_-]*$/), 'a Unix user name', 'root'),
  bastionHostKey: key(optional(publicKey), 'an OpenSSH public key', 'ssh-ed25519 AAAAC3Nz…'),
  bastionPrivateKey: secret(
    optional(
      z.string().regex(/^-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+-----END [A-Z ]*PRIVATE KEY-----\s*$/),
    ),
    'a private key in PEM or OpenSSH form',
    'pulumi config set --secret bastionPrivateKey < ~/.ssh/bastion',
  ),
  deployKeyRotation: key(count(0, 9999), 'a whole number, 0 to 9999', '0'),
  letsEncryptEmail: key(optional(email), 'an e-mail address', 'it@school.example'),
  acmeDirectory: key(
    httpsUrl,
    'the https address of an ACME directory, without a query',
    'https://acme-staging-v02.api.letsencrypt.org/directory',
  ),
  acmeCaCertificate: key(
    optional(z.string().regex(/^-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$/)),
    'one certificate in PEM form',
    'pulumi config set acmeCaCertificate < acme-ca.pem',
  ),
  dnsProvider: key(z.enum(['cloudflare', 'hetzner', 'none']), 'cloudflare, hetzner or none', 'hetzner'),
  dnsZoneId: key(optional(hex32), '32 hexadecimal digits', '023e105f4ecef8ad9ca31a8372d0c353'),
  dnsZone: key(optional(hostname), 'the DNS name of a zone', 'school.example'),
  appUrl: key(optional(httpsOrigin), 'an https address without a path', 'https://lessons.school.example'),
  appOrigins: key(
    z.array(httpsOrigin),
    'a list of https origins without a path',
    '["https://www.school.example"]',
  ),
  shardCount: key(count(1, 1), '1: more shards are not there yet', '1'),
  jitsiServerType: key(z.string(), 'a server type', 'cpx32'),
  jitsiBridge: key(z.boolean(), 'true or false', 'true'),
  turnOnPort443: key(z.boolean(), 'true or false', 'false'),
  bridgeCount: key(count(0, 90), 'a whole number, 0 to 90', '2'),
  bridgeServerType: key(z.string(), 'a server type', 'cpx32'),
  recorderCount: key(count(0, 97), 'a whole number, 0 to 97', '3'),
  recorderServerType: key(z.string(), 'a server type', 'cpx32'),
  recorderInstancesPerHost: key(
    count(1, 32),
    'a whole number, 1 to 32 and at most the cores of recorderServerType',
    '1',
  ),
  recorderDrainWait: key(count(1, 1440), 'minutes, 1 to 1440', '240'),
  recorderMaxUnavailable: key(count(1, 20), 'a whole number, 1 to 20', '1'),
  recordersLost: key(
    z.array(z.string().regex(/^recorder-[1-9]\d*$/)),
    'a list of recorder names',
    '["recorder-3"]',
  ),
  recordingStart: key(
    z.enum(['first-moderator', 'first-person', 'first-two-occupants', 'command']),
    'one of first-moderator, first-person, first-two-occupants, command',
    'first-moderator',
  ),
  recordingStopGrace: key(count(1, 120), 'minutes, 1 to 120', '5'),
  moderatorsMayRecord: key(z.boolean(), 'true or false', 'false'),
  moderatorsMayGrant: key(z.boolean(), 'true or false', 'true'),
  jwtAppId: key(
    z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/),
    '1 to 64 of letters, digits, _ . -',
    'lesson-app',
  ),
  jwtSecret: secret(optional(jwtSecret), jwtSecretExpected, newSecret),
  jwtSecretPrevious: secret(
    optional(jwtSecret),
    jwtSecretExpected,
    'pulumi config set --secret jwtSecretPrevious OLD',
  ),
  jwtSecretRotation: key(count(0, 9999), 'a whole number, 0 to 9999', '0'),
  jwtRotationWindow: key(count(1, 168), 'hours, 1 to 168', '24'),
  storeProvider: key(z.enum(['s3', 'r2']), 's3 or r2', 's3'),
  storeEndpoint: key(
    optional(httpsOrigin),
    'an https address without a path',
    'https://fsn1.your-objectstorage.com',
  ),
  storeRegion: key(optional(z.string().regex(/^[a-z0-9-]{2,32}$/)), 'an S3 region', 'fsn1'),
  storeBucket: key(
    optional(z.string().regex(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/)),
    '3 to 63 of a-z, 0-9 and hyphen',
    'school-recordings',
  ),
  storePrefix: key(
    z.string().regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/),
    'path segments of letters, digits, _ and -, without a slash at either end',
    'recordings',
  ),
  storeAccessKeyId: secret(
    optional(z.string().regex(/^\S{8,128}$/)),
    '8 to 128 characters without white space',
    'pulumi config set --secret storeAccessKeyId KEY',
  ),
  storeSecretAccessKey: secret(
    optional(z.string().regex(/^\S{16,256}$/)),
    '16 to 256 characters without white space',
    'pulumi config set --secret storeSecretAccessKey SECRET',
  ),
  cloudflareAccountId: key(optional(hex32), '32 hexadecimal digits', '9a7806061c88ada191ed06f989cc3dac'),
  sipAccount: key(
    optional(z.string().regex(/^[^@\s]+@[a-z0-9.-]+$/)),
    'a SIP account, user@provider',
    '4930123@sip.example',
  ),
  sipPassword: secret(
    optional(z.string().regex(/^\S{4,128}$/)),
    '4 to 128 characters without white space',
    'pulumi config set --secret sipPassword PASSWORD',
  ),
  alertWebhook: secret(
    optional(z.url({ protocol: /^https$/ })),
    'an https address that takes messages in JSON with a field text',
    'pulumi config set --secret alertWebhook https://chat.school.example/hooks/…',
  ),
  alertEmail: key(optional(email), 'an e-mail address', 'it@school.example'),
  alertSmtp: secret(
    optional(z.string().regex(/^smtps?:\/\/[^\s:@/]+:[^\s:@/]+@[A-Za-z0-9.-]+(:\d{1,5})?$/)),
    'smtps://USER:PASSWORD@HOST (or smtp:// for STARTTLS), what is special in USER or PASSWORD percent-encoded',
    'pulumi config set --secret alertSmtp smtps://it%40school.example:PASSWORD@mail.school.example',
  ),
  debianRepository: key(
    optional(repository),
    'URI SUITE COMPONENT…',
    'https://mirror.school.example/debian trixie main',
  ),
  debianRepositoryKey: key(
    optional(armouredKey),
    'an armoured OpenPGP public key',
    '-----BEGIN PGP PUBLIC KEY BLOCK-----…',
  ),
  prosodyRepository: key(
    optional(repository),
    'URI SUITE COMPONENT…',
    'https://mirror.school.example/prosody trixie main',
  ),
  prosodyRepositoryKey: key(
    optional(armouredKey),
    'an armoured OpenPGP public key',
    '-----BEGIN PGP PUBLIC KEY BLOCK-----…',
  ),
  jitsiRepository: key(
    optional(repository),
    'URI SUITE COMPONENT…',
    'https://mirror.school.example/jitsi stable/',
  ),
  jitsiRepositoryKey: key(
    optional(armouredKey),
    'an armoured OpenPGP public key',
    '-----BEGIN PGP PUBLIC KEY BLOCK-----…',
  ),
} as const;

export type KeyName = keyof typeof keys;
export type SecretName = { [K in KeyName]: (typeof keys)[K] extends SecretKey ? K : never }[KeyName];

export const isSecret = (name: KeyName): name is SecretName => 'secret' in keys[name];

/** The checked values of all keys. Secrets are plain here and must be wrapped before they meet a resource. */
export type ConfigValues = { [K in KeyName]: z.infer<(typeof keys)[K]['schema']> };
