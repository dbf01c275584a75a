/** Values of a template by name. */
export type TemplateValues = Readonly<Record<string, string | number | boolean>>;

const reference = /\{\{([A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9-]+)?)\}\}/g;
// Anything that was probably meant as a reference: a name in double braces, with blanks or odd characters.
const almost = /\{\{[ \t]*[\w.-]+[ \t]*\}\}/g;

/** Names used in a text, each once, in order of appearance; `host.*` and `secret.*` included. */
export function usedNames(text: string): string[] {
  return [...new Set([...text.matchAll(reference)].map((match) => match[1]!))];
}

/**
 * Fills `{{name}}` with the given values. `{{host.NAME}}` and `{{secret.NAME}}` stay, for the host to fill.
 * There is no logic and no escaping: a template's optional parts are whole files or values made in TypeScript.
 *
 * @param source where the text comes from, named in errors, e.g. `jitsi/etc/nginx/nginx.conf`
 * @throws Error naming source and key when a value is missing, or a reference is malformed
 */
export function fillTemplate(text: string, values: TemplateValues, source: string): string {
  for (const [found] of text.matchAll(almost)) {
    if (found.replace(reference, '') !== '') {
      throw new Error(`${source}: "${found}" is not a reference; expected e.g. {{domain}} or {{host.name}}`);
    }
  }
  return text.replace(reference, (whole, name: string) => {
    if (name.includes('.')) {
      if (/^(host|secret)\./.test(name)) return whole;
      throw new Error(`${source}: {{${name}}} is neither host.* nor secret.*`);
    }
    if (!Object.hasOwn(values, name)) {
      throw new Error(
        `${source}: no value for {{${name}}}; there are ${Object.keys(values).sort().join(', ') || 'none'}`,
      );
    }
    return String(values[name]);
  });
}
