import { createHash } from 'node:crypto';
import type { HostPlan, Role } from './host-plan';

/** What a host is told about itself; it lies in `/etc/platform/host.json`. */
export interface HostValues {
  /** e.g. `jitsi-1`, `bridge-1-2`, `recorder-7`. */
  name: string;
  role: Role;
  privateAddress: string;
  domain: string;
  /** The image that the server was made from, e.g. `debian-12`. */
  image: string;
}

/** Keys of the first contact. */
export interface HostAccess {
  /** The host's own SSH key, Ed25519 in OpenSSH's format: the one secret in user data. */
  hostKeyPrivate: string;
  hostKeyPublic: string;
  /** Public keys for root: the deploy key and the admins'. */
  authorizedKeys: string[];
}

/** The service's limit for user data. */
export const USER_DATA_LIMIT = 32 * 1024;

/** User data, `#cloud-config`, at most 32 KiB. */
export function userData(plan: HostPlan, host: HostValues, access: HostAccess): string {
  const lines = { plan: plan.role, host: host.name, keys: access.authorizedKeys.length };
  return `#cloud-config\n${JSON.stringify(lines)}\n`;
}

/** 12 hex characters that change only when what converge cannot change does: the boot skeleton and the image. */
export function bootGeneration(plan: HostPlan, image: string): string {
  return createHash('sha256').update(`${plan.format} ${image}`).digest('hex').slice(0, 12);
}
