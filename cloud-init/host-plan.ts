import { createHash } from 'node:crypto';
import { usedNames } from './template';

/** What a host is there for. `app` is the lesson app's host, declared by the app stack. */
export type Role = 'jitsi' | 'recorder' | 'bridge' | 'app';

/**
 * A file of a host. `content` may still hold `{{host.NAME}}` and `{{secret.NAME}}`: those are filled on the host.
 *
 * `before-packages` files lie there before apt installs anything, so that a package finds ours and leaves it
 * alone. When their owner or group does not exist yet, such a file is written as root:root first, 0644, or 0600
 * if it holds a secret; owner and mode follow once the packages are there.
 */
export interface HostFile {
  owner: string;
  group: string;
  /** Octal, four digits, e.g. `0644`. */
  mode: string;
  content: string;
  phase: 'before-packages' | 'after-packages';
}

/**
 * What to do with a unit when something that it reads has changed. The order in the plan is the order on the
 * host. One unit may have two entries, e.g. one that reloads for certificates and one that restarts for the
 * rest; a restart wins over a reload.
 */
export interface HostService {
  unit: string;
  /** A change needs only a reload (default: a restart). */
  reload?: boolean;
  /** How it is reloaded; default `systemctl reload UNIT`. Run by sh. */
  reloadCommand?: string;
  /** A restart ends lessons or recordings: it is staged while any lesson runs. */
  endsLessons?: boolean;
  /** Run by sh before anything is reloaded or restarted; a failure puts the old files back. */
  check?: string;
  /**
   * Run by sh after a reload or restart, and on every converge: a unit can count as active while it is broken.
   * Must be quick (it is stopped after 60 s) and must not print secrets. A failure restarts the unit once.
   */
  verify?: string;
  /**
   * A failing `verify` means that the process is gone: it is restarted even while lessons run, since they have
   * nothing left to lose by it.
   */
  mendDuringLessons?: boolean;
  /**
   * Globs of packages whose programs it runs. When one of them is newer than the unit's start, the unit is restarted:
   * packages do not do it themselves (`common/usr/sbin/policy-rc.d`).
   */
  packages?: string[];
  /**
   * Globs (`*` within one folder, `**` across folders) of the absolute paths that it reads. Files below
   * `/etc/platform/secrets/` count as well.
   */
  files: string[];
}

/** One apt source, written as a deb822 file. The name `debian` replaces the distribution's own sources. */
export interface AptSource {
  name: string;
  uri: string;
  /** One suite, or several separated by blanks. */
  suite: string;
  /** Separated by blanks; empty for a flat repository, whose suite ends in `/`. */
  components: string;
  /** Armoured public key; `''` means the keyring of the distribution. */
  keyring: string;
}

/** A system user, made after the packages. Existing users keep their id; groups are added, never removed. */
export interface HostUser {
  home: string;
  shell: string;
  groups: string[];
}

/** Everything that a host of one role must be: no secret and no unknown in it. */
export interface HostPlan {
  role: Role;
  format: 1;
  aptSources: AptSource[];
  /** Names, or `name=version` for a package that is held at that version. */
  packages: string[];
  /** Lines for debconf-set-selections; `{{throwaway}}` is a random value made on the host. */
  debconf: string[];
  users: Record<string, HostUser>;
  directories: Record<string, { owner: string; group: string; mode: string }>;
  files: Record<string, HostFile>;
  /** Symbolic links: path → target. Made before the packages. */
  links: Record<string, string>;
  /** Paths of files and links that must not exist once the packages are there. */
  absent: string[];
  /** A unit that an earlier plan enabled and this one does not is stopped and disabled. */
  units: { enabled: string[]; disabled: string[]; masked: string[] };
  services: HostService[];
  /** Names of the secrets that the host needs below `/etc/platform/secrets/`. */
  secrets: string[];
  /** Run by sh: exit status 0 when the host does its work, otherwise a reason on its standard output. */
  ready: string;
}

/** Values that a host knows of itself; see `cloud-init/common/…/values.py` for where each is read. */
export const hostValueNames = [
  'host.name',
  'host.role',
  'host.index',
  'host.privateAddress',
  'host.publicAddress',
  'host.serverId',
] as const;

/** Secrets that a role may use, by file name below `/etc/platform/secrets/`. */
export const secretNames: Record<Role, readonly string[]> = {
  jitsi: [
    'jwt-secret',
    'jwt-secret-previous',
    'webhook-secret',
    'turn-secret',
    'xmpp-focus-password',
    'xmpp-jvb-password',
    'xmpp-jibri-password',
    'xmpp-recorder-password',
    'xmpp-jigasi-password',
    'sip-password',
    'ca-certificate',
    'xmpp-certificate',
    'xmpp-key',
    'fallback-certificate',
    'fallback-key',
    'alert-webhook',
    'alert-smtp',
    'deploy-keys',
  ],
  recorder: [
    'xmpp-jibri-password',
    'xmpp-recorder-password',
    'webhook-secret',
    'store-access-key-id',
    'store-secret-access-key',
    'ca-certificate',
    'deploy-keys',
  ],
  bridge: ['xmpp-jvb-password', 'ca-certificate', 'deploy-keys'],
  app: [
    'jwt-secret',
    'webhook-secret',
    'store-access-key-id',
    'store-secret-access-key',
    'ca-certificate',
    'deploy-keys',
  ],
};

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value as Record<string, unknown>).filter(([, item]) => item !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]),
  );
}

/** What a file of a plan's text has when it does not say otherwise; converge knows the same (`plan.py`). */
const usualFile: Partial<HostFile> = { owner: 'root', group: 'root', mode: '0644', phase: 'after-packages' };

const unusual = (file: Partial<HostFile>): Partial<HostFile> =>
  Object.fromEntries(
    Object.entries(file).filter(([key, value]) => usualFile[key as keyof HostFile] !== value),
  );

/**
 * The plan as stable, indented JSON with sorted keys: what previews show and what hosts apply. What is usual of a
 * file is left out. The order of lists is kept, since the order of services means something.
 *
 * @param keeper the plan of the host that will keep this one for others: content that both have at the same path is
 *   marked and left out, so that it stands once in the state and once in a preview (`platform-plans` fills it in)
 */
export function planText(plan: HostPlan, keeper?: HostPlan): string {
  const files = Object.fromEntries(
    Object.entries(plan.files).map(([path, file]) => {
      if (keeper?.files[path]?.content !== file.content) return [path, unusual(file)];
      return [path, { ...unusual({ ...file, content: undefined }), asOnThisHost: true }];
    }),
  );
  return JSON.stringify(sorted({ ...plan, files }), null, 2) + '\n';
}

/** SHA-256 of `planText`, 64 hex characters. */
export function planDigest(plan: HostPlan): string {
  return createHash('sha256').update(planText(plan)).digest('hex');
}

/**
 * Checks what a type cannot say: absolute paths, octal modes, known `host.*` and `secret.*` names, that every
 * secret in use is listed and no throwaway is used outside debconf.
 *
 * @throws Error that lists every problem with its place.
 */
export function checkHostPlan(plan: HostPlan): HostPlan {
  const problems: string[] = [];
  const known = secretNames[plan.role];
  const wanted = new Set(plan.secrets);
  for (const name of plan.secrets) {
    if (!known.includes(name)) {
      problems.push(
        `secrets: "${name}" is not a secret of the role ${plan.role}; known: ${known.join(', ')}`,
      );
    }
  }
  const checkPath = (place: string, path: string) => {
    if (!/^\/(?!.*(?:\/\/|\/\.\.?(?:\/|$)))[^\0\n]*[^/\0\n]$/.test(path)) {
      problems.push(`${place}: "${path}" is not a plain absolute path, e.g. /etc/nginx/nginx.conf`);
    }
  };
  const checkMode = (place: string, mode: string) => {
    if (!/^0[0-7]{3}$/.test(mode))
      problems.push(`${place}: mode "${mode}" is not four octal digits, e.g. 0644`);
  };
  for (const [path, file] of Object.entries(plan.files)) {
    checkPath('files', path);
    checkMode(`files ${path}`, file.mode);
    for (const name of usedNames(file.content)) {
      if (name.startsWith('secret.')) {
        if (!wanted.has(name.slice(7))) {
          problems.push(
            `files ${path}: {{${name}}} is not among the plan's secrets (${plan.secrets.join(', ')})`,
          );
        } else if (/[4-7]$/.test(file.mode)) {
          problems.push(
            `files ${path}: holds {{${name}}} and is readable by all (mode ${file.mode}); e.g. 0640`,
          );
        }
      } else if (!(hostValueNames as readonly string[]).includes(name)) {
        problems.push(
          `files ${path}: {{${name}}} is not known; on a host there are ${hostValueNames.join(', ')}`,
        );
      }
    }
  }
  for (const [path, directory] of Object.entries(plan.directories)) {
    checkPath('directories', path);
    checkMode(`directories ${path}`, directory.mode);
  }
  for (const path of Object.keys(plan.links)) checkPath('links', path);
  for (const path of plan.absent) checkPath('absent', path);
  for (const path of [...Object.keys(plan.links), ...plan.absent]) {
    if (plan.files[path]) problems.push(`${path}: is both a file and a link or absent`);
  }
  for (const source of plan.aptSources) {
    if (!/^[a-z0-9-]+$/.test(source.name)) {
      problems.push(`aptSources: name "${source.name}" may hold a-z, 0-9 and "-", e.g. jitsi`);
    }
  }
  const stopped = new Set([...plan.units.disabled, ...plan.units.masked]);
  for (const unit of plan.units.enabled) {
    if (stopped.has(unit)) problems.push(`units: ${unit} is both enabled and disabled or masked`);
  }
  if (problems.length > 0) throw new Error(`host plan of the role ${plan.role}:\n- ${problems.join('\n- ')}`);
  return plan;
}
