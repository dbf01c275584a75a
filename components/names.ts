/**
 * Names and private addresses, computed from role, shard and number, so that a host plan and a preview never
 * have to wait for a server to exist.
 */

/** Host numbers by role; a network of 100 hosts ends long before a third octet is full. */
export const jitsiName = (shard: number): string => `jitsi-${shard}`;
export const bridgeName = (shard: number, number: number): string => `bridge-${shard}-${number}`;
export const recorderName = (number: number): string => `recorder-${number}`;

/** The pool that a host belongs to, `recorder` or `bridge-1`, whose hosts share an SSH key; a Jitsi host is its own. */
export const poolOf = (host: string): string =>
  host.startsWith('jitsi-') ? host : host.slice(0, host.lastIndexOf('-'));

/**
 * Private address of a host in a /16: Jitsi hosts in x.y.1, recorders in x.y.2, the app in x.y.3 and the
 * bridges of shard S in x.y.(10+S).
 *
 * @param networkCidr the platform's network, e.g. `10.10.0.0/16`
 * @param host the host's name, e.g. `recorder-7`
 */
export function privateAddress(networkCidr: string, host: string): string {
  const [first, second] = networkCidr.split('.');
  const [role, a, b] = host.split('-');
  const numbers = { jitsi: `1.${a}`, recorder: `2.${a}`, app: `3.${a}`, bridge: `${10 + Number(a)}.${b}` };
  return `${first}.${second}.${numbers[role as keyof typeof numbers]}`;
}

/** Domain of a shard: the first has the school's own, others add their number to its first label. */
export function shardDomain(domain: string, shard: number): string {
  if (shard === 1) return domain;
  const [label, ...rest] = domain.split('.');
  return [`${label}-${shard}`, ...rest].join('.');
}

/**
 * Names of the recorders of a pool: the lowest numbers that are not lost. A lost number is never used again, so
 * that what is late about the dead host cannot meet a living one.
 *
 * @param count recorders wanted
 * @param lost names such as `recorder-3`
 */
export function recorderNames(count: number, lost: readonly string[]): string[] {
  const names: string[] = [];
  for (let number = 1; names.length < count; number++) {
    const name = recorderName(number);
    if (!lost.includes(name)) names.push(name);
  }
  return names;
}
