/**
 * Keys in OpenSSH's own formats, which Node's crypto does not write: the one-line public key (RFC 4253, 5656, 8709)
 * and the private key file (openssh-key-v1, described in OpenSSH's PROTOCOL.key).
 */
import { createHash, randomBytes, type KeyObject } from 'node:crypto';

function field(data: Buffer | string): Buffer {
  const bytes = Buffer.from(data as Buffer);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A whole number as SSH writes it: no leading zeros, but one when the first bit would read as a minus sign. */
function integer(base64url: string | undefined): Buffer {
  let bytes = Buffer.from(base64url ?? '', 'base64url');
  while (bytes.length > 1 && bytes[0] === 0) bytes = bytes.subarray(1);
  return field((bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

const curves: Record<string, string> = { 'P-256': 'nistp256', 'P-384': 'nistp384', 'P-521': 'nistp521' };

/** Public and private parts of a key as SSH fields; undefined for keys that SSH has no form for (curve P-224). */
function parts(key: KeyObject): { type: string; public: Buffer; private: Buffer } | undefined {
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'secp224r1')
    return undefined;
  const jwk = key.export({ format: 'jwk' });
  if (jwk.kty === 'OKP') {
    const point = Buffer.from(jwk.x ?? '', 'base64url');
    const seed = Buffer.from(jwk.d ?? '', 'base64url');
    return {
      type: 'ssh-ed25519',
      public: field(point),
      private: Buffer.concat([field(point), field(Buffer.concat([seed, point]))]),
    };
  }
  if (jwk.kty === 'EC') {
    const curve = curves[jwk.crv ?? ''] ?? '';
    const point = Buffer.concat([
      Buffer.from([4]),
      Buffer.from(jwk.x ?? '', 'base64url'),
      Buffer.from(jwk.y ?? '', 'base64url'),
    ]);
    const open = Buffer.concat([field(curve), field(point)]);
    return { type: `ecdsa-sha2-${curve}`, public: open, private: Buffer.concat([open, integer(jwk.d)]) };
  }
  const order = [jwk.n, jwk.e, jwk.d, jwk.qi, jwk.p, jwk.q];
  return {
    type: 'ssh-rsa',
    public: Buffer.concat([integer(jwk.e), integer(jwk.n)]),
    private: Buffer.concat(order.map(integer)),
  };
}

export interface OpenSshKey {
  /** One line with a newline at its end, as the real provider writes it. */
  publicKey: string;
  privateKey: string;
  /** `aa:bb:…` */
  fingerprintMd5: string;
  /** `SHA256:…` */
  fingerprintSha256: string;
}

/** All OpenSSH forms of a private key; empty texts when there is none. */
export function openSsh(key: KeyObject): OpenSshKey {
  const fields = parts(key);
  if (!fields) return { publicKey: '', privateKey: '', fingerprintMd5: '', fingerprintSha256: '' };
  const blob = Buffer.concat([field(fields.type), fields.public]);
  const check = randomBytes(4);
  const comment = field('');
  let secret = Buffer.concat([check, check, field(fields.type), fields.private, comment]);
  // Filled up to the cipher's block (8 for none) with 1, 2, 3…
  for (let filler = 1; secret.length % 8 !== 0; filler++)
    secret = Buffer.concat([secret, Buffer.from([filler])]);
  const one = Buffer.from([0, 0, 0, 1]);
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    one,
    field(blob),
    field(secret),
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    publicKey: `${fields.type} ${blob.toString('base64')}\n`,
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    fingerprintMd5: createHash('md5')
      .update(blob)
      .digest('hex')
      .replace(/..(?=.)/g, '$&:'),
    fingerprintSha256: `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`,
  };
}
