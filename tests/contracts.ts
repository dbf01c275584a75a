import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type AnySchema } from 'ajv/dist/2020';

const folder = join(__dirname, '..', 'contracts');
// Formats are for people, as the draft has it.
const ajv = new Ajv2020({ allErrors: true, strict: true, validateFormats: false });
for (const file of readdirSync(folder).filter((name) => name.endsWith('.schema.json'))) {
  ajv.addSchema(JSON.parse(readFileSync(join(folder, file), 'utf8')) as AnySchema);
}

/**
 * What is wrong with a value by a contract (`event`, `meta`, …): one line each, none when it is right.
 *
 * @throws Error when there is no such contract
 */
export function contract(name: string): (value: unknown) => string[] {
  const validate = ajv.getSchema(name);
  if (!validate) throw new Error(`no contract ${name}`);
  return (value) => {
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || '/'} ${message}`);
  };
}
