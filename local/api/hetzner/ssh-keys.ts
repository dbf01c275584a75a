import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { labels, name, parseBody } from '../input';
import type { Routes } from '../routes';
import type { SshKeyRecord } from '../state';
import { newRecord, refuseTakenName, serveKind } from './kind';

const create = z.strictObject({ name, public_key: z.string().trim(), labels: labels.optional() });

/** SSH keys, which servers get when they are created. */
export function sshKeyRoutes(routes: Routes, cloud: Cloud): void {
  const records = cloud.store.state.sshKeys;
  serveKind<SshKeyRecord>(routes, cloud, {
    plural: 'ssh_keys',
    type: 'ssh_key',
    records,
    view: sshKeyView,
    filters: { fingerprint: (key, wanted) => wanted.includes(key.fingerprint) },
    refuseDelete: () => undefined,
  });

  routes.post('/ssh_keys', ({ body }) => {
    const given = parseBody(create, body);
    const fingerprint = fingerprintOf(given.public_key);
    refuseTakenName(records, 'SSH key', given.name);
    if (records.find((key) => key.fingerprint === fingerprint)) {
      throw new ApiError('uniqueness_error', 'SSH key with the same fingerprint already exists', {
        fields: [{ name: 'public_key' }],
      });
    }
    const key = records.add({ ...newRecord(cloud, given), publicKey: given.public_key, fingerprint });
    return { status: 201, body: { ssh_key: sshKeyView(key) } };
  });
}

function sshKeyView(key: SshKeyRecord) {
  const { id, name, labels, created, fingerprint, publicKey } = key;
  return { id, name, labels, created, fingerprint, public_key: publicKey };
}

/** MD5 of the key's blob, as the service shows it. */
function fingerprintOf(publicKey: string): string {
  const [type = '', encoded = ''] = publicKey.split(/\s+/);
  const blob = Buffer.from(encoded, 'base64');
  // A blob begins with the length and the name of its own type (RFC 4253, 6.6).
  const known = /^(ssh-(rsa|ed25519)|ecdsa-sha2-nistp\d+|sk-(ssh|ecdsa)-\S+)$/.test(type);
  if (
    !known ||
    publicKey.includes('\n') ||
    blob.length < 32 ||
    blob.toString('latin1', 4, 4 + type.length) !== type
  ) {
    throw invalidInput('public_key', 'not an OpenSSH public key, e.g. ssh-ed25519 AAAA… comment');
  }
  return createHash('md5')
    .update(blob)
    .digest('hex')
    .replace(/(..)(?!$)/g, '$1:');
}
