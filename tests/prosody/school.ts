import { jitsiValues } from '../host/role-values';

export const DOMAIN = jitsiValues.domain;
export const APP_ID = jitsiValues.appId;
export const CONFERENCE = `conference.${DOMAIN}`;
/** Where recorders say what they are. */
export const BREWERY = `jibribrewery@internal.auth.${DOMAIN}`;
export const FOCUS = `focus@auth.${DOMAIN}`;
export const SECRET = 'the-secret-in-force-of-these-tests-0123456789';
export const PREVIOUS_SECRET = 'the-secret-before-it-of-these-tests-012345678';
export const FOCUS_PASSWORD = 'focus-password-of-these-tests';
export const RECORDER_PASSWORD = 'recorder-password-of-these-tests';
export const WEBHOOK_SECRET = 'webhook-secret-of-these-tests-with-ünicode';
export const JIBRI_PASSWORD = 'jibri-password-of-these-tests';
