/** Where hosts install Jitsi from unless the settings name another: `components/platform-values.ts`. */
export const jitsisOwn = 'https://download.jitsi.org stable/';

/** How long a repository may take to answer, in milliseconds. */
const PATIENCE_MS = 5000;

/** Address of the signed index of a repository, `URI SUITE COMPONENT…` as apt's sources have it. */
function indexOf(repository: string): string {
  const [uri, suite] = repository.split(/\s+/) as [string, string];
  const root = uri.replace(/\/*$/, '');
  // A suite that ends in a slash is a path of its own.
  return suite.endsWith('/')
    ? `${root}/${suite.replace(/^\//, '')}InRelease`
    : `${root}/dists/${suite}/InRelease`;
}

/**
 * Why packages cannot be had from a repository here, in a few words; undefined when its signed index can be fetched.
 * Whether the signature is the right one, the hosts' apt decides.
 *
 * @param repository e.g. `https://mirror.school.example/jitsi stable/`
 */
export async function whyNotReachable(repository: string): Promise<string | undefined> {
  try {
    const answer = await fetch(indexOf(repository), { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) return `it answers ${answer.status}`;
    const signed = (await answer.text()).startsWith('-----BEGIN PGP SIGNED MESSAGE-----');
    return signed ? undefined : 'what it answers is no signed index';
  } catch (error) {
    const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } };
    if (name === 'TimeoutError') return `no answer within ${PATIENCE_MS / 1000} s`;
    return cause?.code ?? cause?.message ?? message;
  }
}

/** Where hosts get Jitsi's packages from. */
export interface PackageSource {
  standIns: boolean;
  /** Why, as one line for people. */
  reason: string;
}

/**
 * Decides where hosts get Jitsi's packages from: the repository that the settings name, else Jitsi's own, when it can
 * be reached from here; else stand-ins. Makes nothing.
 *
 * @param named the repository in the settings, if one is
 * @throws with REAL=1 when only stand-ins could be had
 */
export async function packageSource(
  named: string | undefined,
  real = process.env['REAL'] === '1',
): Promise<PackageSource> {
  const tried = named ?? jitsisOwn;
  const obstacle = await whyNotReachable(tried);
  if (obstacle === undefined) return { standIns: false, reason: `Jitsi's packages: from ${tried}` };
  if (real) {
    throw new Error(
      `REAL=1 refuses stand-ins, and Jitsi's packages cannot be had from ${tried} (${obstacle}). Name a repository ` +
        'that can be reached: lesson-platform:jitsiRepository in Pulumi.local.yaml, e.g. ' +
        "'https://mirror.school.example/jitsi stable/'",
    );
  }
  return {
    standIns: true,
    reason: `Jitsi's packages: ${tried} cannot be reached from here (${obstacle}); stand-ins take their place`,
  };
}
