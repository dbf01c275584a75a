import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

/** Where the machines of one local cloud are, and what their parts on this machine are called. */
export interface Place {
  /** Eight hex digits of the folder's path: two checkouts on one machine never meet. */
  key: string;
  /** Disks and logs, one folder for each server's id. */
  disks: string;
  /** The object store: its keys, certificate and buckets. */
  store: string;
  /** Sockets and what the gateway serves; their paths must be short, so they are not in the checkout. */
  run: string;
  /** Cgroup of all processes, below the mount point of cgroup2. */
  cgroup: string;
  /** Network namespace of the outside: the gateway, the operator's programs, the public side of all machines. */
  gateway: string;
}

/** @param cloudFolder folder of the local cloud's state, e.g. `.local/cloud` */
export function placeOf(cloudFolder: string): Place {
  const folder = resolve(cloudFolder);
  const key = createHash('sha256').update(folder).digest('hex').slice(0, 8);
  return {
    key,
    disks: join(folder, 'machines'),
    store: join(folder, 'store'),
    run: `/run/lesson-platform-${key}`,
    cgroup: `lesson-platform-${key}`,
    gateway: `lesson-${key}`,
  };
}

/** Network namespace of a machine. */
export const machineNamespace = (place: Place, id: number): string => `${place.gateway}-m${id}`;

/** Network namespace of a private network: nothing outside reaches it. */
export const privateNamespace = (place: Place, network: number): string => `${place.gateway}-n${network}`;

/** Whether a network namespace is one of this place. */
export const isOurs = (place: Place, namespace: string): boolean =>
  namespace === place.gateway || namespace.startsWith(`${place.gateway}-`);

/** Arguments of a program that is to run in a network namespace. */
export const inNamespace = (namespace: string, command: readonly string[]): string[] => [
  'nsenter',
  `--net=/run/netns/${namespace}`,
  '--',
  ...command,
];
