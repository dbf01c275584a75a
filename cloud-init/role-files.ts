import { readFileSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { HostFile } from './host-plan';
import { fillTemplate, usedNames, type TemplateValues } from './template';

/** Where a file differs from the default, root:root 0644 (0755 in `/usr/local/bin` and `sbin`), after the packages. */
export interface FileRule {
  /** Glob of the absolute path on the host: `*` within one folder, `**` across folders. */
  path: string;
  owner?: string;
  group?: string;
  mode?: string;
  phase?: HostFile['phase'];
}

/** Turns a glob into a regular expression: `*` within one folder, `**` across folders, all else literal. */
export function globPattern(glob: string): RegExp {
  const pattern = glob
    .split(/(\*\*|\*)/)
    .map((part) =>
      part === '**' ? '.*' : part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('');
  return new RegExp(`^${pattern}$`, 's');
}

/** Top folders of a machine; whatever else lies in a role's folder is the project's own. */
const hostFolders = ['etc', 'home', 'opt', 'root', 'srv', 'usr', 'var'];

function walk(folder: string, below: string): string[] {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .flatMap((entry) => {
      const path = posix.join(below, entry.name);
      if (entry.isDirectory()) return entry.name === '__pycache__' ? [] : walk(folder, path);
      return [path];
    })
    .sort();
}

/**
 * Reads a folder that mirrors the machine (`FOLDER/etc/…`, `FOLDER/usr/…`) into host files. Everything
 * else in it (TypeScript, notes) is left out.
 *
 * @param folder absolute path, e.g. `join(__dirname, 'jitsi')`
 * @param values for `{{name}}`; `__domain__` in a file's path is replaced by `values.domain`
 * @param rules later rules win, field by field; a rule that matches nothing is an error, as it is a slip
 * @param omit globs of host paths that this host does not get (optional parts)
 * @throws Error for a missing value, a value that no template uses, a rule or an omission that matches no file
 */
export function roleFiles(
  folder: string,
  values: TemplateValues,
  rules: readonly FileRule[] = [],
  omit: readonly string[] = [],
): Record<string, HostFile> {
  const files: Record<string, HostFile> = {};
  const used = new Set<string>();
  const matched = new Set<string>();
  const tops = readdirSync(folder).filter((name) => hostFolders.includes(name));
  for (const relative of tops.flatMap((top) => walk(folder, top))) {
    const source = posix.join(folder.split(/[\\/]/).at(-1)!, relative);
    if (relative.includes('__domain__')) used.add('domain');
    const path = '/' + fillTemplate(relative.replaceAll('__domain__', '{{domain}}'), values, source);
    // Windows checkouts may hold CRLF despite .gitattributes; a host never wants it.
    const text = readFileSync(join(folder, relative), 'utf8').replaceAll('\r\n', '\n');
    usedNames(text).forEach((name) => used.add(name));
    const matches = (glob: string) => {
      const hit = globPattern(glob).test(path);
      if (hit) matched.add(glob);
      return hit;
    };
    if (omit.filter(matches).length > 0) continue;
    const file: HostFile = {
      owner: 'root',
      group: 'root',
      mode: /^\/usr\/local\/s?bin\//.test(path) ? '0755' : '0644',
      content: fillTemplate(text, values, source),
      phase: 'after-packages',
    };
    for (const { path: glob, ...rule } of rules) if (matches(glob)) Object.assign(file, rule);
    files[path] = file;
  }
  const name = folder.split(/[\\/]/).at(-1);
  const unused = Object.keys(values).filter((key) => !used.has(key));
  if (unused.length > 0)
    throw new Error(`${name}: no template uses ${unused.map((key) => `{{${key}}}`).join(', ')}`);
  const idle = [...rules.map((rule) => rule.path), ...omit].filter((glob) => !matched.has(glob));
  if (idle.length > 0) throw new Error(`${name}: no file matches ${idle.join(', ')}`);
  return files;
}

/**
 * Reads the files of one folder (not below it) that end in `suffix`, as they are, for a folder on the host:
 * e.g. Prosody's modules. A folder that is not there gives none.
 */
export function plainFiles(
  folder: string,
  suffix: string,
  target: string,
  rule: Omit<FileRule, 'path'> = {},
): Record<string, HostFile> {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(suffix));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return {};
  }
  return Object.fromEntries(
    names.sort().map((name) => {
      const content = readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n');
      const file: HostFile = {
        owner: 'root',
        group: 'root',
        mode: '0644',
        phase: 'after-packages',
        content,
        ...rule,
      };
      return [posix.join(target, name), file];
    }),
  );
}
