import { hostPlanOf } from '../common/plan';
import type { HostPlan } from '../host-plan';
import type { RecorderValues } from '../values';

/** The host plan of the role recorder: the same for all its hosts. */
export function recorderHostPlan(values: RecorderValues): HostPlan {
  return hostPlanOf('recorder', values, {});
}
