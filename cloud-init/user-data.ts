import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { HostPlan, Role } from './host-plan';
import { roleFiles } from './role-files';

/** What a host is told about itself; it lies in `/etc/platform/host.json`. */
export interface HostValues {
  /** e.g. `jitsi-1`, `bridge-1-2`, `recorder-7`. */
  name: string;
  role: Role;
  privateAddress: string;
  domain: string;
  /** The image that the server is made from, e.g. `debian-12`. */
  image: string;
}

/** Keys of the first contact. */
export interface HostAccess {
  /** The host's own SSH key, Ed25519 in OpenSSH's format: the one secret in user data. */
  hostKeyPrivate: string;
  hostKeyPublic: string;
  /** Public keys for root: the stack's deploy key and the admins'. */
  authorizedKeys: string[];
}

/** The service's limit for user data, in bytes. */
export const USER_DATA_LIMIT = 32 * 1024;

/**
 * The least that a host needs to take its secrets and its plan over SSH. It travels in user data, once in the state
 * for each host; the plan replaces it with the whole programs of the same names.
 */
const bootPrograms = roleFiles(join(__dirname, 'boot'), {});

// Run at every boot, before anything else: user data with the host's key can be read at this address by any
// process. Without nft nobody may reach it; cloud-init has read what it needs by then.
const LOCK_METADATA =
  "nft 'table inet platform_metadata { chain output { type filter hook output priority 0; " +
  "ip daddr 169.254.169.254 meta skuid != 0 reject; }; }' || ip route replace prohibit 169.254.169.254/32";

/** What user data depends on of a host plan: no file of it. */
export type BootPlan = Pick<HostPlan, 'role' | 'format'>;

interface WrittenFile {
  path: string;
  mode: string;
  content: string;
}

/** User data with its size, and that of each part, in bytes. */
export interface DescribedUserData {
  text: string;
  bytes: number;
  parts: Record<string, number>;
}

// JSON's strings are YAML's double-quoted scalars, so nothing in a value can break out of its place.
const scalar = (value: string) => JSON.stringify(value);

function block(text: string, indent: string): string {
  return `|\n${text
    .trimEnd()
    .split('\n')
    .map((line) => `${indent}${line}`)
    .join('\n')}`;
}

function writeFile({ path, mode, content }: WrittenFile): string {
  const packed = gzipSync(Buffer.from(content), { level: 9 });
  // Byte 9 of the header names the operating system that packed it; user data must not depend on that.
  packed[9] = 255;
  const plain = content.length < 1200;
  return [
    `  - path: ${path}`,
    `    permissions: '${mode}'`,
    ...(plain ? [] : ['    encoding: gz+b64']),
    `    content: ${plain ? block(content, '      ') : packed.toString('base64')}`,
  ].join('\n');
}

function bootFiles(plan: BootPlan, host: HostValues): WrittenFile[] {
  const { name, role, privateAddress, domain } = host;
  const facts = { name, role, privateAddress, domain, bootGeneration: bootGeneration(plan, host.image) };
  return [
    { path: '/etc/platform/host.json', mode: '0644', content: JSON.stringify(facts, null, 2) + '\n' },
    ...Object.entries(bootPrograms).map(([path, { mode, content }]) => ({ path, mode, content })),
  ];
}

function cloudConfig(host: HostValues, access: HostAccess, files: WrittenFile[]): DescribedUserData {
  const parts: Record<string, number> = {};
  const note = (name: string, text: string) => {
    parts[name] = Buffer.byteLength(text);
    return text;
  };
  const text = [
    note('bootcmd', `#cloud-config\nbootcmd:\n  - ${scalar(LOCK_METADATA)}`),
    note(
      'keys',
      [
        `hostname: ${scalar(host.name)}`,
        // No other user than root, and no password for it.
        'users:',
        '  - name: root',
        '    lock_passwd: true',
        'disable_root: false',
        'ssh_pwauth: false',
        'ssh_deletekeys: true',
        'ssh_keys:',
        `  ed25519_private: ${block(access.hostKeyPrivate, '    ')}`,
        `  ed25519_public: ${scalar(access.hostKeyPublic.trim())}`,
        'ssh_authorized_keys:',
        ...access.authorizedKeys.map((key) => `  - ${scalar(key.trim())}`),
      ].join('\n'),
    ),
    'write_files:',
    ...files.map((file) => note(file.path, writeFile(file))),
    '',
  ].join('\n');
  return { text, bytes: Buffer.byteLength(text), parts };
}

/**
 * A host's user data as `describedUserData` makes it; see there for what it carries and what it refuses.
 */
export function userData(plan: BootPlan, host: HostValues, access: HostAccess): string {
  return describedUserData(plan, host, access).text;
}

/**
 * Makes user data: the metadata service is closed to all but root first, then the pinned host key, the keys that
 * may enter, what the host is told about itself and the programs that take a plan and secrets over SSH.
 *
 * The host plan itself comes over SSH, the first one too: a Jitsi host's takes more than 32 KiB even when it is
 * compressed, and for a pool the engine's state would hold the same plan once for each host.
 *
 * @throws Error when it is larger than 32 KiB, naming the size and the largest parts, or for keys that are none
 */
export function describedUserData(plan: BootPlan, host: HostValues, access: HostAccess): DescribedUserData {
  if (host.role !== plan.role)
    throw new Error(`${host.name} is a ${host.role}, the host plan is for a ${plan.role}`);
  if (!access.hostKeyPrivate.startsWith('-----BEGIN OPENSSH PRIVATE KEY-----')) {
    throw new Error(
      `${host.name}: the host key is not in OpenSSH's format; expected -----BEGIN OPENSSH PRIVATE KEY-----`,
    );
  }
  if (access.authorizedKeys.length === 0)
    throw new Error(`${host.name}: no authorized key; nobody could enter`);
  for (const [index, key] of access.authorizedKeys.entries()) {
    if (!/^[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\r\n]*)?$/.test(key.trim())) {
      // Not quoted: a private key may have been given by mistake.
      throw new Error(
        `${host.name}: authorized key ${index + 1} is not an OpenSSH public key, e.g. ssh-ed25519 AAAA… name`,
      );
    }
  }
  const made = cloudConfig(host, access, bootFiles(plan, host));
  if (made.bytes > USER_DATA_LIMIT) {
    const largest = Object.entries(made.parts)
      .sort(([, a], [, b]) => b - a)
      .slice(0, 3)
      .map(([name, bytes]) => `${name} ${bytes}`);
    throw new Error(
      `user data of ${host.name} is ${made.bytes} bytes, at most ${USER_DATA_LIMIT} are allowed; ` +
        `largest parts in bytes: ${largest.join(', ')}`,
    );
  }
  return made;
}

/**
 * 12 hex characters that change only when something changes that converge cannot change on a living host: what
 * runs at every boot, or the image. A host reports the generation that it booted with; an older one than this
 * means that a rebuild is pending.
 */
export function bootGeneration(plan: Pick<HostPlan, 'format'>, image: string): string {
  return createHash('sha256')
    .update(JSON.stringify([plan.format, image, LOCK_METADATA]))
    .digest('hex')
    .slice(0, 12);
}
