import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export const root = join(__dirname, '..', '..');

type Settings = { config: Record<string, unknown> };
const read = (path: string): Settings => parse(readFileSync(join(root, path), 'utf8')) as Settings;

/** Config schema of Pulumi.yaml by key. */
export const schema = read('Pulumi.yaml').config as Record<
  string,
  { type: string; default?: unknown; description?: string }
>;

/** Values of a settings file by key, without the project's name. */
export function settings(path: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(read(path).config).map(([key, value]) => [key.replace(/^lesson-platform:/, ''), value]),
  );
}

const defaults = Object.fromEntries(Object.entries(schema).map(([key, { default: value }]) => [key, value]));

export const storeKeys = {
  storeAccessKeyId: 'AKIAEXAMPLE0001',
  storeSecretAccessKey: 'example-secret-access-key-0001',
};

/** The local example, complete with defaults and store keys, as the engine would hand it to the program. */
export const example: Record<string, unknown> = {
  ...defaults,
  ...settings('local/example.yaml'),
  ...storeKeys,
};
