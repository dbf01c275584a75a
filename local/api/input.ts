import { z } from 'zod';
import { ApiError } from './errors';

/**
 * Checks a request body against a strict schema.
 *
 * @throws ApiError `invalid_input` with every wrong or unknown field in `details.fields`, as the service
 *   answers it.
 */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body ?? {});
  if (result.success) return result.data;

  const fields = new Map<string, string[]>();
  const add = (name: string, message: string) => fields.set(name, [...(fields.get(name) ?? []), message]);
  for (const issue of result.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) add([...issue.path, key].join('.'), 'unknown field');
    } else {
      add(issue.path.join('.') || 'body', issue.message);
    }
  }
  const list = [...fields].map(([name, messages]) => ({ name, messages }));
  const text = list.map(({ name, messages }) => `'${name}': ${messages.join(', ')}`).join('; ');
  throw new ApiError('invalid_input', `invalid input in field ${text}`, { fields: list });
}

const LABEL_PREFIX = /^[a-z0-9A-Z](?:[-_.a-z0-9A-Z]{0,251}[a-z0-9A-Z])?$/;
const LABEL_NAME = /^[a-z0-9A-Z](?:[-_.a-z0-9A-Z]{0,61}[a-z0-9A-Z])?$/;

/** A label's key: an optional DNS-like prefix of up to 253 characters and a name of up to 63. */
export function isLabelKey(key: string): boolean {
  const slash = key.lastIndexOf('/');
  const prefix = slash < 0 ? 'x' : key.slice(0, slash);
  return LABEL_PREFIX.test(prefix) && LABEL_NAME.test(key.slice(slash + 1));
}

/** A label's value: empty, or up to 63 characters that begin and end with a letter or digit. */
export function isLabelValue(value: string): boolean {
  return value === '' || LABEL_NAME.test(value);
}

export const labels = z.record(z.string(), z.string()).superRefine((given, context) => {
  for (const [key, value] of Object.entries(given)) {
    if (!isLabelKey(key)) {
      context.addIssue({ code: 'custom', path: [key], message: 'not a label key, e.g. platform/role' });
    } else if (!isLabelValue(value)) {
      context.addIssue({ code: 'custom', path: [key], message: 'not a label value, e.g. recorder-7' });
    }
  }
});

export const id = z.number().int().positive();

/** An id as a number or in digits, or a name. */
export const idOrName = z.union([id, z.string().min(1)]);

/** A resource's name, as the console takes it. */
export const name = z.string().trim().min(1).max(128);

/** A server's name: a host name by RFC 1123, e.g. `jitsi-1`. */
export const hostName = z
  .string()
  .max(253)
  .regex(
    /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/,
    'not a host name, e.g. jitsi-1',
  );

/** An optional value that clients may also send as null. */
export const orNull = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((given) => given ?? undefined);

export const noInput = z.strictObject({});

/** Finds a record by id, digits or name. */
export function findByIdOrName<T extends { id: number; name: string }>(
  records: Iterable<T>,
  wanted: string | number,
): T | undefined {
  const wantedId = typeof wanted === 'number' ? wanted : /^\d+$/.test(wanted) ? Number(wanted) : undefined;
  for (const record of records) {
    if (wantedId === undefined ? record.name === wanted : record.id === wantedId) return record;
  }
  return undefined;
}
