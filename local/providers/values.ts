/**
 * Property values as they travel between engine and plugins.
 *
 * On the wire everything is a protobuf Struct; secrets and references are wrapped in objects that carry Pulumi's
 * signature key, unknown values are fixed strings. Here secrets are {@link Secret}s and unknowns {@link UNKNOWN}, so
 * that code which forgets about them fails instead of working on a wrapper.
 */
import { Struct } from './protocol';

/** A value that only exists after something else was created; occurs in previews only. */
export const UNKNOWN = Symbol('unknown');

/** A value that must never be shown or stored in plain text. */
export class Secret {
  constructor(readonly value: Value) {}
}

export type Value = undefined | null | boolean | number | string | symbol | Secret | Value[] | ValueMap;
export interface ValueMap {
  [key: string]: Value;
}

const signatureKey = '4dabf18193072939515e22adb298388d';
const secretSignature = '1b47061264138c4ac30d75fd1eb44270';
const outputSignature = 'd0e6a833031e9bbcd3f4e8bde6ca49a4';
/** The engine has one sentinel per kind of unknown: boolean, number, string, array, asset, archive, object. */
const unknowns = new Set([
  '1c4a061d-8072-4f0a-a4cb-0ff528b18fe7',
  '3eeb2bf0-c639-47a8-9e75-3b44932eb421',
  '04da6b54-80e4-46f7-96ec-b56ff0331ba9',
  '6a19a0b0-7e62-4c92-b797-7f8e31da9cc2',
  '030794c1-ac77-496b-92df-f27374a8bd58',
  'e48ece36-62e2-4504-bad9-02848725956a',
  'dd056dcd-154b-4c76-9bd3-c8f88648b5ff',
]);
const unknownOnTheWire = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';

export function isMap(value: unknown): value is ValueMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret);
}

function fromWire(value: unknown): Value {
  if (typeof value === 'string') return unknowns.has(value) ? UNKNOWN : value;
  if (Array.isArray(value)) return value.map(fromWire);
  if (typeof value !== 'object' || value === null) return value as Value;
  const object = value as Record<string, unknown>;
  if (object[signatureKey] === secretSignature) return new Secret(fromWire(object.value));
  if (object[signatureKey] === outputSignature) {
    const inner = 'value' in object ? fromWire(object.value) : UNKNOWN;
    return object.secret === true ? new Secret(inner) : inner;
  }
  return mapValues(object, fromWire);
}

function toWire(value: Value): unknown {
  if (value === UNKNOWN) return unknownOnTheWire;
  if (value instanceof Secret) return { [signatureKey]: secretSignature, value: toWire(value.value) };
  if (Array.isArray(value)) return value.map((item) => toWire(item) ?? null);
  if (!isMap(value)) return value;
  const object: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    // A Struct has no "undefined": a property without a value is left out.
    if (item !== undefined) object[key] = toWire(item);
  }
  return object;
}

function mapValues<From, To>(object: Record<string, From>, change: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

/** Reads a Struct; an absent one is an empty map. */
export function decode(struct: Struct | undefined): ValueMap {
  return struct ? mapValues(struct.toJavaScript(), fromWire) : {};
}

/** The opposite of {@link decode}. */
export function encode(map: ValueMap): Struct {
  return Struct.fromJavaScript(toWire(map) as Parameters<typeof Struct.fromJavaScript>[0]);
}

/** The same value without its secret marks. Unknowns stay. */
export function reveal(value: Value): Value {
  if (value instanceof Secret) return reveal(value.value);
  if (Array.isArray(value)) return value.map(reveal);
  return isMap(value) ? mapValues(value, reveal) : value;
}

export function containsSecret(value: Value): boolean {
  if (value instanceof Secret) return true;
  if (Array.isArray(value)) return value.some(containsSecret);
  return isMap(value) && Object.values(value).some(containsSecret);
}

export function containsUnknown(value: Value): boolean {
  if (value === UNKNOWN) return true;
  if (value instanceof Secret) return containsUnknown(value.value);
  if (Array.isArray(value)) return value.some(containsUnknown);
  return isMap(value) && Object.values(value).some(containsUnknown);
}

/** Marks in `plain` as secret whatever is secret at the same place of `marked`. */
export function copySecretMarks(plain: Value, marked: Value): Value {
  if (plain === undefined || plain instanceof Secret) return plain;
  if (marked instanceof Secret) return new Secret(plain);
  if (Array.isArray(plain) && Array.isArray(marked)) {
    // A list of another length may have moved: a secret in it taints all of it.
    if (plain.length !== marked.length) return containsSecret(marked) ? new Secret(plain) : plain;
    return plain.map((item, index) => copySecretMarks(item, marked[index]));
  }
  if (isMap(plain) && isMap(marked)) {
    return Object.fromEntries(
      Object.entries(plain).map(([key, item]) => [key, copySecretMarks(item, marked[key])]),
    );
  }
  return containsSecret(marked) ? new Secret(plain) : plain;
}

/** Structural equality of two values without secret marks; an unknown equals nothing. */
export function sameValue(a: Value, b: Value): boolean {
  if (a === UNKNOWN || b === UNKNOWN) return false;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameValue(item, b[index]));
  }
  if (isMap(a) && isMap(b)) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...keys].every((key) => sameValue(a[key], b[key]));
  }
  return (a ?? undefined) === (b ?? undefined);
}
