import type { RolePart } from '../common/plan';
import { roleFiles } from '../role-files';

/** Logs by their short names: files (shell patterns) and units, separated by blanks. */
export type HostLogs = Record<string, string>;

/** TCP port on the private side of a recorder or bridge where the Jitsi hosts ask for its state and drain it. */
export const STATUS_PORT = 9180;

/** The stack's authority as it is delivered: what trusts it depends on this path. */
export const AUTHORITY = '/etc/platform/secrets/ca-certificate';

/**
 * What a host of any Jitsi role needs besides its services: trust in the stack's own certificate authority,
 * `platform-doctor` with its timer and the checks that fit every host, `platform-logs`.
 */
export function upkeepPart(logs: HostLogs): RolePart {
  return {
    packages: ['ca-certificates', 'curl', 'iproute2', 'python3'],
    files: roleFiles(
      __dirname,
      {
        logs: JSON.stringify(
          { converge: '/var/log/platform/converge.log', doctor: 'platform-doctor', ...logs },
          null,
          2,
        ),
      },
      [{ path: '/usr/local/lib/platform/checks/*', mode: '0755' }],
    ),
    units: { enabled: ['platform-doctor.timer'], disabled: [], masked: [] },
    services: [
      {
        unit: 'platform-trust.service',
        files: [AUTHORITY],
        verify: 'test -e /etc/ssl/certs/platform-ca.pem',
      },
    ],
    secrets: ['ca-certificate'],
  };
}

/** Puts parts of a role together; a path that two of them declare is an error, as it is in `hostPlanOf`. */
export function joinParts(...parts: RolePart[]): RolePart {
  const table = <T>(pick: (part: RolePart) => Record<string, T> | undefined): Record<string, T> => {
    const all: Record<string, T> = {};
    for (const [key, value] of parts.flatMap((part) => Object.entries(pick(part) ?? {}))) {
      if (Object.hasOwn(all, key)) throw new Error(`"${key}" is declared by two parts of a role`);
      all[key] = value;
    }
    return all;
  };
  const list = <T>(pick: (part: RolePart) => T[] | undefined): T[] => [
    ...new Set(parts.flatMap((part) => pick(part) ?? [])),
  ];
  return {
    aptSources: list((part) => part.aptSources),
    packages: list((part) => part.packages),
    debconf: list((part) => part.debconf),
    users: table((part) => part.users),
    directories: table((part) => part.directories),
    files: table((part) => part.files),
    links: table((part) => part.links),
    absent: list((part) => part.absent),
    units: {
      enabled: list((part) => part.units?.enabled),
      disabled: list((part) => part.units?.disabled),
      masked: list((part) => part.units?.masked),
    },
    services: list((part) => part.services),
    secrets: list((part) => part.secrets),
    ready: parts.find((part) => part.ready !== undefined)?.ready,
  };
}
