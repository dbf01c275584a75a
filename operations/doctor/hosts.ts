import { runOverSsh, SshError } from '../ssh';
import { sshTarget, type StackOutputs } from '../stack';
import { forEachOf, type Finding, type State } from './findings';

/** What a host's own `platform-doctor --json` prints. */
interface HostReport {
  host: string;
  /** Seconds since 1970. */
  at: number;
  versions: Record<string, string>;
  findings: Omit<Finding, 'host'>[];
}

/** What one host answered. */
export interface HostAnswer {
  host: string;
  report?: HostReport;
  /** Its clock against this machine's, seconds; positive when it is ahead. */
  skew?: number;
  /** Why there is no report. */
  failure?: { says: string; do: string };
}

const atOnce = 12;
const checkSeconds = 180;
/** A report takes its way over the network; less than this tells nothing of a clock. */
const skewSeconds = 5;

/** Asks every host for its own report over SSH. A host that does not answer is told, and holds nobody up. */
export async function askHosts(outputs: StackOutputs): Promise<HostAnswer[]> {
  return forEachOf(outputs.hosts, atOnce, async ({ name }): Promise<HostAnswer> => {
    try {
      const target = sshTarget(outputs, name);
      const { stdout, stderr, code } = await runOverSsh(target, 'platform-doctor --json', {
        seconds: checkSeconds,
      });
      const report = parseReport(stdout);
      if (report) return { host: name, report, skew: report.at - Date.now() / 1000 };
      return {
        host: name,
        failure: {
          says: `platform-doctor ended with ${code}: ${stderr.trim().split('\n').at(-1) ?? ''}`,
          do: 'the host is not converged: run pulumi up',
        },
      };
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      return {
        host: name,
        failure: {
          says: error.message,
          do: 'is the server on? is this machine in adminCidrs, or the bastion right? a dead recorder goes into recordersLost',
        },
      };
    }
  });
}

function parseReport(text: string): HostReport | undefined {
  try {
    const report = JSON.parse(text) as HostReport;
    return Array.isArray(report.findings) ? report : undefined;
  } catch {
    return undefined;
  }
}

/** What the hosts' answers mean, each alone and against each other. */
export function hostFindings(
  answers: readonly HostAnswer[],
  pendingRebuilds: StackOutputs['pendingRebuilds'],
): Finding[] {
  const findings: Finding[] = [];
  const add = (host: string, check: string, state: State, says: string, remedy = '') =>
    findings.push({ host, check, state, says, do: remedy });
  for (const { host, report, skew = 0, failure } of answers) {
    if (failure) add(host, 'ssh', 'failure', failure.says, failure.do);
    if (failure) add(host, 'all else', 'unchecked', 'nothing of it could be seen');
    for (const each of report?.findings ?? []) findings.push({ host, ...each });
    if (Math.abs(skew) > skewSeconds) {
      add(
        host,
        'clock skew',
        'warning',
        `its clock is ${Math.abs(skew).toFixed(0)} s ${skew > 0 ? 'ahead of' : 'behind'} this machine's`,
        "one of the two is wrong; tokens are checked by the host's: timedatectl on both",
      );
    }
    const pending = pendingRebuilds.find((each) => each.host === host);
    if (pending) {
      add(
        host,
        'rebuild',
        'warning',
        `booted with generation ${pending.bootedWith}, the program makes ${pending.current}`,
        `nothing is broken; what only a fresh boot changes comes with npm run rebuild -- ${host}`,
      );
    }
  }
  return [...findings, ...versionFindings(answers)];
}

/** Packages that hosts have in different versions. */
function versionFindings(answers: readonly HostAnswer[]): Finding[] {
  const byPackage = new Map<string, Map<string, string[]>>();
  for (const { host, report } of answers) {
    for (const [name, version] of Object.entries(report?.versions ?? {})) {
      const versions = byPackage.get(name) ?? new Map<string, string[]>();
      versions.set(version, [...(versions.get(version) ?? []), host]);
      byPackage.set(name, versions);
    }
  }
  const apart = [...byPackage].filter(([, versions]) => versions.size > 1);
  const seen = answers.some(({ report }) => report);
  if (!seen) return [];
  if (apart.length === 0) {
    const says = `${byPackage.size} packages, each in one version on all hosts that answered`;
    return [{ host: 'platform', check: 'versions', state: 'ok', says, do: '' }];
  }
  return apart.map(([name, versions]) => ({
    host: 'platform',
    check: `versions of ${name}`,
    // Bridges of different versions never share a lesson.
    state: name === 'jitsi-videobridge2' ? 'failure' : 'warning',
    says: [...versions].map(([version, hosts]) => `${version} on ${some(hosts)}`).join('; '),
    do: 'on the older ones: apt-get update, apt-get install of that package, when no lesson runs',
  }));
}

const some = (names: readonly string[]): string =>
  names.length > 5 ? `${names.slice(0, 4).join(', ')} and ${names.length - 4} more` : names.join(', ');
