import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkHostPlan, type AptSource, type HostPlan, type HostService, type Role } from '../host-plan';
import { roleFiles } from '../role-files';
import type { CommonValues, Source } from '../values';

/** What a role adds to the parts that every host has. */
export type RolePart = Partial<Omit<HostPlan, 'role' | 'format'>>;

/** TCP port on a Jitsi host's private side where its shard's other hosts fetch their host plans. */
export const PLAN_STORE_PORT = 8460;

/**
 * A package source as the plan has it. An empty key takes the one shipped in `common/keyrings`, for `debian`
 * the distribution's own.
 *
 * @throws Error when no key is given and none is shipped
 */
export function aptSource(name: string, source: Source): AptSource {
  const { uri, suite, components } = source;
  let keyring = source.key.trim();
  if (keyring === '' && name !== 'debian') {
    try {
      keyring = readFileSync(join(__dirname, 'keyrings', `${name}.asc`), 'utf8').trim();
    } catch {
      throw new Error(
        `package source ${name}: no key given and none shipped; expected an armoured public key`,
      );
    }
  }
  return { name, uri, suite, components, keyring: keyring.replaceAll('\r\n', '\n') };
}

/** The `elements` line of an nftables set; empty for an empty set, since nft refuses `{ }`. */
export function nftElements(elements: readonly string[]): string {
  return elements.length > 0 ? `elements = { ${elements.join(', ')} }` : '';
}

const commonServices: HostService[] = [
  {
    unit: 'nftables.service',
    reload: true,
    check: '/usr/sbin/nft -c -f /etc/nftables.conf',
    files: ['/etc/nftables.conf', '/etc/nftables.d/*'],
  },
  {
    unit: 'ssh.service',
    reload: true,
    check: '/usr/sbin/sshd -t',
    files: ['/etc/ssh/sshd_config.d/*'],
  },
  { unit: 'systemd-journald.service', files: ['/etc/systemd/journald.conf.d/*'] },
];

function commonPart(values: CommonValues): RolePart {
  const isV6 = (cidr: string) => cidr.includes(':');
  const files = roleFiles(
    __dirname,
    {
      adminElements4: nftElements(values.adminCidrs.filter((cidr) => !isV6(cidr))),
      adminElements6: nftElements(values.adminCidrs.filter(isV6)),
      networkCidr: values.networkCidr,
      adminSshKeys: values.adminSshKeys.map((key) => key.trim()).join('\n'),
    },
    [
      { path: '/etc/nftables.conf', mode: '0755', phase: 'before-packages' },
      { path: '/usr/sbin/policy-rc.d', mode: '0755', phase: 'before-packages' },
      { path: '/root/.ssh/authorized_keys', mode: '0600' },
    ],
  );
  return {
    aptSources: values.packageSources.debian ? [aptSource('debian', values.packageSources.debian)] : [],
    packages: ['ca-certificates', 'nftables', 'openssh-server', 'systemd-timesyncd'],
    directories: {
      '/etc/platform': { owner: 'root', group: 'root', mode: '0755' },
      '/etc/platform/secrets': { owner: 'root', group: 'root', mode: '0700' },
      '/root/.ssh': { owner: 'root', group: 'root', mode: '0700' },
    },
    files,
    // Logs of all hosts line up with each other and with the lesson's times.
    links: { '/etc/localtime': '/usr/share/zoneinfo/Etc/UTC' },
    units: {
      enabled: [
        'nftables.service',
        'ssh.service',
        'systemd-timesyncd.service',
        'platform-converge-scheduled.timer',
        'platform-converge-nightly.timer',
      ],
      disabled: [],
      masked: [],
    },
    services: commonServices,
    secrets: ['deploy-keys'],
  };
}

/** What a Jitsi host has on top: the store from which its shard's other hosts fetch their plans. */
function planStorePart(values: CommonValues): RolePart {
  const filled = { networkCidr: values.networkCidr, planStorePort: PLAN_STORE_PORT };
  return {
    directories: { '/var/lib/platform/plans': { owner: 'root', group: 'root', mode: '0755' } },
    files: roleFiles(join(__dirname, '..', 'plan-store'), filled),
    units: { enabled: ['platform-plans.service'], disabled: [], masked: [] },
    services: [{ unit: 'platform-plans.service', files: ['/usr/local/sbin/platform-plans'] }],
  };
}

function merged(kind: string, parts: readonly (object | undefined)[]): object {
  const all: Record<string, unknown> = {};
  for (const part of parts) {
    for (const [key, value] of Object.entries(part ?? {})) {
      if (Object.hasOwn(all, key))
        throw new Error(`${kind}: "${key}" is declared twice, by the role and in common`);
      all[key] = value;
    }
  }
  return all;
}

/**
 * A role's plan: what every host has, then what the role adds. Lists are appended, the role's later, so common
 * services are looked after first. The role's nftables rules go to the chain `role` of the table
 * `inet platform`, in a file below `/etc/nftables.d/`.
 *
 * @throws Error when a path is declared twice, or for whatever `checkHostPlan` refuses
 */
export function hostPlanOf(role: Role, values: CommonValues, part: RolePart): HostPlan {
  const parts = [commonPart(values), ...(role === 'jitsi' ? [planStorePart(values)] : []), part];
  const list = <T>(pick: (each: RolePart) => readonly T[] | undefined): T[] => [
    ...new Set(parts.flatMap((each) => pick(each) ?? [])),
  ];
  return checkHostPlan({
    role,
    format: 1,
    aptSources: list((each) => each.aptSources),
    packages: list((each) => each.packages),
    debconf: list((each) => each.debconf),
    users: merged(
      'users',
      parts.map((each) => each.users),
    ) as HostPlan['users'],
    directories: merged(
      'directories',
      parts.map((each) => each.directories),
    ) as HostPlan['directories'],
    files: merged(
      'files',
      parts.map((each) => each.files),
    ) as HostPlan['files'],
    links: merged(
      'links',
      parts.map((each) => each.links),
    ) as HostPlan['links'],
    absent: list((each) => each.absent),
    units: {
      enabled: list((each) => each.units?.enabled),
      disabled: list((each) => each.units?.disabled),
      masked: list((each) => each.units?.masked),
    },
    services: list((each) => each.services),
    secrets: list((each) => each.secrets),
    ready: part.ready ?? 'true',
  });
}
