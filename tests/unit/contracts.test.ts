import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { contract } from '../contracts';

const folder = join(__dirname, '..', '..', 'contracts');
const vectors = (name: string): unknown =>
  JSON.parse(readFileSync(join(folder, 'vectors', `${name}.json`), 'utf8'));

interface Case {
  name: string;
  value: unknown;
}

const names = readdirSync(folder)
  .filter((file) => file.endsWith('.schema.json'))
  .map((file) => file.replace('.schema.json', ''));

describe.each(names)('%s', (name) => {
  const { valid, invalid } = vectors(name) as { valid: Case[]; invalid: Case[] };
  const problems = contract(name);

  it.each(valid)('takes: $name', ({ value }) => {
    expect(problems(value)).toEqual([]);
  });

  it.each(invalid)('refuses: $name', ({ value }) => {
    expect(problems(value)).not.toEqual([]);
  });
});

it('every type of event has a valid vector', () => {
  const schema = JSON.parse(readFileSync(join(folder, 'event.schema.json'), 'utf8')) as {
    properties: { type: { enum: string[] } };
    oneOf: { $ref: string }[];
  };
  const types = [...schema.properties.type.enum].sort();
  const { valid } = vectors('event') as { valid: { value: { type: string } }[] };
  expect([...new Set(valid.map(({ value }) => value.type))].sort()).toEqual(types);
  expect(schema.oneOf.map(({ $ref }) => $ref.replace('#/$defs/', '')).sort()).toEqual(types);
});

describe('signature', () => {
  type Signed = Record<'name' | 'secret' | 'id' | 'timestamp' | 'body' | 'signature', string>;
  const { valid, invalid } = vectors('signature') as { valid: Signed[]; invalid: Signed[] };
  const fits = ({ secret, id, timestamp, body, signature }: Signed): boolean =>
    signature === `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`;

  it.each(valid)('fits: $name', (signed) => expect(fits(signed)).toBe(true));
  it.each(invalid)('does not fit: $name', (signed) => expect(fits(signed)).toBe(false));
});
