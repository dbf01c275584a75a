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

function installInto(folder: string, command: string, module: string, purpose: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(path.join(folder, marker))) return;
  mkdirSync(folder, { recursive: true });
  // The marker first: a folder that was left half written is then still known to be ours.
  writeFileSync(path.join(folder, marker), `${purpose}\n`);
  writeCommand(folder, command, module);
}

/**
 * Installs the stand-in plugins and the language host into a Pulumi home.
 *
 * A real plugin of the same version that is already there is left alone. Running it again changes nothing. The
 * official CLI prefers the language host that it brings; a CLI built from its module takes this one, without the
 * warning that it prints for one on PATH.
 *
 * @param pulumiHome absolute path of the folder that PULUMI_HOME names.
 */
export function installPlugins(pulumiHome: string): void {
  for (const name of standInPlugins) {
    const purpose = `A stand-in for the real ${name} provider, for the local cloud only.`;
    installInto(
      pluginFolder(pulumiHome, name, pluginVersion(name)),
      `pulumi-resource-${name}`,
      `${name}.ts`,
      purpose,
    );
  }
  installInto(
    path.join(pulumiHome, 'plugins', `language-nodejs-v${pluginVersion('pulumi')}`),
    'pulumi-language-nodejs',
    'language-host.ts',
    'Starts TypeScript programs for a Pulumi CLI that was built without its own language host.',
  );
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
