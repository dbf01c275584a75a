import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import { ApiError, invalidInput } from '../errors';
import { labels } from '../input';
import type { RrsetRecord, ZoneRecord } from '../state';

/** Seconds. */
export const ttl = z.number().int().min(60).max(2_147_483_647);

const TYPES = ['A', 'AAAA', 'CAA', 'CNAME', 'HTTPS', 'MX', 'NS', 'PTR', 'SOA', 'SRV', 'SVCB', 'TXT'] as const;

const record = z.strictObject({
  value: z.string().min(1).max(65_535),
  comment: z.string().max(255).optional(),
});
export const records = z
  .array(record)
  .min(1, 'a record set holds at least one record')
  .refine((all) => new Set(all.map(({ value }) => value)).size === all.length, 'the same value twice');

export const rrsetInput = z.strictObject({
  name: z
    .string()
    .regex(
      /^(?:@|(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\*)$/,
      'not a name within the zone, e.g. meet or @',
    ),
  type: z.enum(TYPES),
  ttl: ttl.nullish(),
  labels: labels.optional(),
  records,
});

/** Checks a record set and makes it. @throws ApiError `invalid_input`, `uniqueness_error`, `incorrect_zone_mode` */
export function newRrset(zone: ZoneRecord, given: z.infer<typeof rrsetInput>): RrsetRecord {
  if (zone.mode !== 'primary') {
    throw new ApiError(
      'incorrect_zone_mode',
      `zone ${zone.name} is secondary: its records come from its primary`,
    );
  }
  if (given.name === zone.name || given.name.endsWith(`.${zone.name}`)) {
    throw invalidInput('name', `'${given.name}' must not end with the zone's name, e.g. meet or @`);
  }
  if (zone.rrsets.some((one) => one.name === given.name && one.type === given.type)) {
    throw new ApiError('uniqueness_error', `record set ${given.name}/${given.type} already exists`, {
      fields: [{ name: 'name' }, { name: 'type' }],
    });
  }
  checkValues(given.type, given.records);
  const { name, type, labels = {}, records } = given;
  return { name, type, ttl: given.ttl ?? null, labels, records, protection: { change: false } };
}

/** @throws ApiError `invalid_input` for a value that records of this type cannot have */
export function checkValues(type: string, given: { value: string }[]): void {
  const rules: Record<string, [fits: (value: string) => boolean, example: string]> = {
    A: [isIPv4, '198.18.0.1'],
    AAAA: [isIPv6, '2001:db8::1'],
    TXT: [(value) => /^("[^"]*"\s*)+$/.test(value), '"quoted text"'],
    CNAME: [(value) => /^[a-zA-Z0-9_.-]+$/.test(value), 'meet.example.org.'],
  };
  const rule = rules[type];
  for (const { value } of given) {
    if (rule && !rule[0](value))
      throw invalidInput('records', `'${value}' is no ${type} value, e.g. ${rule[1]}`);
  }
}
