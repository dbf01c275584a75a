import { hostPlanOf } from '../common/plan';
import type { HostPlan } from '../host-plan';
import type { BridgeValues } from '../values';

/** The host plan of the role bridge: the same for all its hosts. */
export function bridgeHostPlan(values: BridgeValues): HostPlan {
  return hostPlanOf('bridge', values, {});
}
