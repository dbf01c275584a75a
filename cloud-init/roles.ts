export { bridgeHostPlan } from './jvb/plan';
export { jitsiHostPlan } from './jitsi/plan';
export { recorderHostPlan } from './jibri/plan';
export type { BridgeValues, CommonValues, JitsiValues, RecorderValues, Source } from './values';
