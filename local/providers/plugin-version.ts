import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const nearest = createRequire(__filename);

/**
 * The version of the installed `@pulumi/<name>`. A plugin must say it has just that version: the engine looks for
 * the plugin by the version that the program's package names.
 */
export function pluginVersion(name: string): string {
  const manifest = JSON.parse(readFileSync(nearest.resolve(`@pulumi/${name}/package.json`), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
