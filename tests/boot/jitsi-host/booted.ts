import type { School } from '../../engine/school';
import type { BootedHost } from '../booted-host';

/** What the suites of a booted Jitsi host share; filled when it has booted. */
export interface Booted {
  school: School;
  /** Domain of its shard. */
  domain: string;
  jitsi: BootedHost;
  /** A second host of its shard. */
  bridge: BootedHost;
}
