import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { plainFiles } from '../role-files';
import type { HostFile } from '../host-plan';
import type { JitsiValues } from '../values';

/** Where Prosody finds the project's own modules: first in its plugin_paths, apart from Jitsi's folder. */
export const PLUGINS = '/usr/local/lib/prosody/platform';

const sources = join(__dirname, '..', '..', 'lua-plugins');

type Place = 'host' | 'conference' | 'breakout';

/** The project's modules, where each is loaded. One that is not in `lua-plugins` is not enabled. */
const modules: { name: string; places: Place[] }[] = [
  // Global: it covers the whole server, wherever it is enabled.
  { name: 'log_redaction', places: ['host'] },
  { name: 'token_rotation', places: ['host'] },
  { name: 'token_identity', places: ['host'] },
  { name: 'token_moderation', places: ['conference', 'breakout'] },
  { name: 'lesson_recording', places: ['conference'] },
  { name: 'lesson_events', places: ['conference'] },
];

/** Whether a module of the project lies in `lua-plugins`. */
export function shipped(name: string, folder = sources): boolean {
  return existsSync(join(folder, `mod_${name}.lua`));
}

/** Files of `lua-plugins` for the host, helpers that modules require included. */
export function pluginFiles(folder = sources): Record<string, HostFile> {
  return plainFiles(folder, '.lua', PLUGINS);
}

/** Lines for `modules_enabled` of one place, each with its end of line; empty when none is shipped. */
export function enabledModules(place: Place, folder = sources): string {
  return modules
    .filter(({ name, places }) => places.includes(place) && shipped(name, folder))
    .map(({ name }) => `        "${name}";\n`)
    .join('');
}

const lines = (options: Record<string, string | number | boolean>): string =>
  Object.entries(options)
    .map(([name, value]) => `    ${name} = ${JSON.stringify(value)}\n`)
    .join('');

/** Options of the modules that are loaded on the domain's own host: how two JWT secrets overlap. */
export function hostOptions(values: JitsiValues): string {
  return lines({
    token_rotation_secret_file: '/etc/prosody/secrets/jwt-secret',
    token_rotation_previous_secret_file: '/etc/prosody/secrets/jwt-secret-previous',
    token_rotation_window_hours: values.jwtRotationWindowHours,
  });
}

/** Options of the modules on the conference and, where it has them too, on the breakout component. */
export function roomOptions(place: 'conference' | 'breakout', values: JitsiValues): string {
  const moderation = { token_moderation_moderators_may_grant: values.moderatorsMayGrant };
  if (place === 'breakout') return lines(moderation);
  return lines({
    ...moderation,
    lesson_recording_start: values.recordingStart,
    lesson_recording_stop_grace: values.recordingStopGraceMinutes * 60,
    lesson_recording_moderators_may_record: values.moderatorsMayRecord,
    lesson_events_url: values.webhookUrl,
    lesson_events_secret_file: '/etc/prosody/secrets/webhook-secret',
  });
}
