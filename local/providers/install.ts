/** Puts the stand-in plugins where the engine finds them, and tells them from real ones. */
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { pluginVersion } from './plugin-version';

/** The packages that have a stand-in. */
export const standInPlugins = ['cloudflare', 'command', 'hcloud', 'random', 'tls'] as const;

/** A file of this name beside an executable says that it is ours to overwrite. */
const marker = 'stand-in';

export interface InstalledPlugin {
  name: string;
  version: string;
  /** `real`: the published provider. `stand-in`: works on the local cloud only. */
  kind: 'real' | 'stand-in';
}

const pluginFolder = (pulumiHome: string, name: string, version: string): string =>
  path.join(pulumiHome, 'plugins', `resource-${name}-v${version}`);

function writeIfChanged(file: string, content: string): void {
  if (existsSync(file) && readFileSync(file, 'utf8') === content) return;
  writeFileSync(file, content);
  chmodSync(file, 0o755);
}

/** Writes a command `name` into `folder` that runs `module` in this Node with the TypeScript loader. */
function writeCommand(folder: string, name: string, module: string): void {
  const loader = pathToFileURL(createRequire(__filename).resolve('tsx')).href;
  const target = path.join(__dirname, module);
  mkdirSync(folder, { recursive: true });
  if (process.platform === 'win32') {
    writeIfChanged(
      path.join(folder, `${name}.cmd`),
      `@echo off\r\n"${process.execPath}" --import "${loader}" "${target}" %*\r\n`,
    );
    return;
  }
  const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  writeIfChanged(
    path.join(folder, name),
    `#!/bin/sh\nexec ${quoted(process.execPath)} --import ${quoted(loader)} ${quoted(target)} "$@"\n`,
  );
}

/**
 * Installs the stand-in plugins into a Pulumi home and the language host into a folder that is to be on PATH.
 *
 * A real plugin of the same version that is already there is left alone. Running it again changes nothing.
 *
 * @param pulumiHome absolute path of the folder that PULUMI_HOME names.
 * @param binDir absolute path of the folder for `pulumi-language-nodejs`; none with the official CLI, which brings
 *   its own.
 */
export function installPlugins(pulumiHome: string, binDir?: string): void {
  for (const name of standInPlugins) {
    const folder = pluginFolder(pulumiHome, name, pluginVersion(name));
    if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(path.join(folder, marker))) continue;
    mkdirSync(folder, { recursive: true });
    // The marker first: a folder that was left half written is then still known to be ours.
    writeFileSync(path.join(folder, marker), `A stand-in for the real ${name} provider, for the local cloud only.\n`);
    writeCommand(folder, `pulumi-resource-${name}`, `${name}.ts`);
  }
  if (binDir !== undefined) writeCommand(binDir, 'pulumi-language-nodejs', 'language-host.ts');
}

/** Lists the provider plugins in a Pulumi home; an absent home has none. */
export function installedPlugins(pulumiHome: string): InstalledPlugin[] {
  const folder = path.join(pulumiHome, 'plugins');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const match = entry.isDirectory() ? /^resource-(.+)-v(\d.*)$/.exec(entry.name) : null;
    if (!match) return [];
    const kind = existsSync(path.join(folder, entry.name, marker)) ? 'stand-in' : 'real';
    return [{ name: match[1] ?? '', version: match[2] ?? '', kind }];
  });
}
