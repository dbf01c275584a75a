import { hostPlanOf } from '../common/plan';
import type { HostPlan } from '../host-plan';
import type { JitsiValues } from '../values';

/** The host plan of the role jitsi: the same for all its hosts. */
export function jitsiHostPlan(values: JitsiValues): HostPlan {
  return hostPlanOf('jitsi', values, {});
}
