/** Key pairs. */
import { createHash, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { number, required, text } from '../properties';
import { resourceFor } from '../resource';
import { openSsh } from './openssh';

const generate = promisify(generateKeyPair);

const curves: Record<string, string> = { P224: 'P-224', P256: 'P-256', P384: 'P-384', P521: 'P-521' };

async function generateKey(algorithm: string, rsaBits: number, curve: string): Promise<KeyObject> {
  switch (algorithm) {
    case 'ED25519':
      return (await generate('ed25519', undefined)).privateKey;
    case 'ECDSA':
      return (await generate('ec', { namedCurve: curves[curve] ?? '' })).privateKey;
    default:
      return (await generate('rsa', { modulusLength: rsaBits })).privateKey;
  }
}

/** In the form that Go's and OpenSSL's tools of that algorithm use: PKCS #1, SEC 1, or PKCS #8. */
function traditionalPem(key: KeyObject, algorithm: string): string {
  if (algorithm === 'RSA') return key.export({ type: 'pkcs1', format: 'pem' }) as string;
  return key.export({ type: algorithm === 'ECDSA' ? 'sec1' : 'pkcs8', format: 'pem' }) as string;
}

export const privateKey = resourceFor<null>()({
  inputs: {
    algorithm: required(text({ replaces: true, oneOf: ['RSA', 'ECDSA', 'ED25519'] })),
    ecdsaCurve: text({ replaces: true, default: 'P224', oneOf: Object.keys(curves) }),
    rsaBits: number({
      replaces: true,
      default: 2048,
      check: (bits: number) =>
        bits < 1024 || bits > 16_384 ? 'RSA keys have 1024 to 16384 bits; for example 4096' : undefined,
    }),
  },
  outputs: {
    privateKeyOpenssh: text({ secret: true }),
    privateKeyPem: text({ secret: true }),
    privateKeyPemPkcs8: text({ secret: true }),
    publicKeyFingerprintMd5: text(),
    publicKeyFingerprintSha256: text(),
    publicKeyOpenssh: text(),
    publicKeyPem: text(),
  },
  reports: 'reasons',
  async create({ inputs }) {
    const key = await generateKey(inputs.algorithm, inputs.rsaBits ?? 2048, inputs.ecdsaCurve ?? 'P224');
    const open = createPublicKey(key);
    const ssh = openSsh(key);
    return {
      id: createHash('sha1')
        .update(open.export({ type: 'spki', format: 'der' }))
        .digest('hex'),
      state: {
        privateKeyPem: traditionalPem(key, inputs.algorithm),
        privateKeyPemPkcs8: key.export({ type: 'pkcs8', format: 'pem' }) as string,
        privateKeyOpenssh: ssh.privateKey,
        publicKeyPem: open.export({ type: 'spki', format: 'pem' }) as string,
        publicKeyOpenssh: ssh.publicKey,
        publicKeyFingerprintMd5: ssh.fingerprintMd5,
        publicKeyFingerprintSha256: ssh.fingerprintSha256,
      },
    };
  },
});
