/** What a provider says about the difference between a resource's state and what the program now wants. */
import type { Kind, Properties, Property } from './properties';
import { UNKNOWN, containsUnknown, isMap, sameValue, type Value, type ValueMap } from './values';

export type DiffKind = 'add' | 'delete' | 'update';

export interface PropertyChange {
  /** Top-level property. */
  property: string;
  /** Where in it, such as `labels.role` or `triggers[0]`. */
  path: string;
  kind: DiffKind;
  replaces: boolean;
}

/** What providers treat as "not set": an absent value and the zero of its kind are the same to them. */
export function isZero(value: Value): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isMap(value) && Object.keys(value).length === 0;
}

/** Drops what is zero from objects, at any depth, so that `{ port: undefined }` and `{}` and `{ port: '' }` agree. */
function withoutZeros(value: Value): Value {
  if (Array.isArray(value)) return value.map(withoutZeros);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, item]) => [key, withoutZeros(item)] as const)
      .filter(([, item]) => !isZero(item)),
  );
}

/** A text that is the same for values that a comparison treats as the same. */
function fingerprint(value: Value): string {
  if (value === UNKNOWN) return '?';
  if (Array.isArray(value)) return `[${value.map(fingerprint).join(',')}]`;
  if (isMap(value)) {
    const keys = Object.keys(value).sort();
    return `{${keys.map((key) => `${JSON.stringify(key)}:${fingerprint(value[key])}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

function normal(kind: Kind, value: Value): Value {
  if (kind.is === 'list' && Array.isArray(value)) {
    const items = value.map((item) => normal(kind.of, item));
    return kind.unordered
      ? items.sort((a, b) => {
          const [x, y] = [fingerprint(a), fingerprint(b)];
          return x < y ? -1 : x > y ? 1 : 0;
        })
      : items;
  }
  if (kind.is === 'object' && isMap(value)) {
    return withoutZeros(
      Object.fromEntries(
        Object.entries(value).map(([key, item]) => {
          const property = kind.properties[key];
          return [key, property ? normal(property.kind, item) : item];
        }),
      ),
    );
  }
  return value;
}

/** What the state keeps of a wanted value. */
export function storedValue(property: Property, wanted: Value): Value {
  return property.stored && wanted !== UNKNOWN && wanted !== undefined && wanted !== null
    ? property.stored(wanted as never)
    : wanted;
}

/** Whether the state's value is what the program wants. An unknown is never the same. */
export function sameAsWanted(property: Property, state: Value, wanted: Value): boolean {
  if (containsUnknown(wanted)) return false;
  return sameValue(normal(property.kind, state), normal(property.kind, storedValue(property, wanted)));
}

function leaves(path: string, kind: Kind, state: Value, wanted: Value): { path: string; kind: DiffKind }[] {
  if (isMap(state) && isMap(wanted) && kind.is !== 'asset') {
    return [...new Set([...Object.keys(state), ...Object.keys(wanted)])].flatMap((key) => {
      const inner: Kind =
        kind.is === 'map'
          ? kind.of
          : kind.is === 'object'
            ? (kind.properties[key]?.kind ?? { is: 'any' })
            : { is: 'any' };
      const at = /^\w+$/.test(key) ? `${path}.${key}` : `${path}["${key}"]`;
      return leaf(at, inner, state[key], wanted[key], kind.is !== 'object');
    });
  }
  if (Array.isArray(state) && Array.isArray(wanted) && !(kind.is === 'list' && kind.unordered)) {
    const inner: Kind = kind.is === 'list' ? kind.of : { is: 'any' };
    return Array.from({ length: Math.max(state.length, wanted.length) }, (_, index) =>
      leaf(`${path}[${index}]`, inner, state[index], wanted[index], true),
    ).flat();
  }
  return [{ path, kind: 'update' }];
}

function leaf(
  path: string,
  kind: Kind,
  state: Value,
  wanted: Value,
  strict: boolean,
): { path: string; kind: DiffKind }[] {
  const missing = strict ? (value: Value): boolean => value === undefined || value === null : isZero;
  if (missing(state) && missing(wanted)) return [];
  if (missing(state)) return [{ path, kind: 'add' }];
  if (missing(wanted)) return [{ path, kind: 'delete' }];
  if (!containsUnknown(wanted) && sameValue(normal(kind, state), normal(kind, wanted))) return [];
  return leaves(path, kind, state, wanted);
}

/**
 * Compares a resource's state (not its old inputs: drift that a refresh found counts) with the wanted inputs.
 *
 * @param ignored the resource's `ignoreChanges`, as property paths.
 */
export function compare(
  properties: Properties,
  state: ValueMap,
  inputs: ValueMap,
  ignored: readonly string[],
): PropertyChange[] {
  const ignoredTop = new Set(ignored.filter((path) => !/[.[]/.test(path)));
  const changes: PropertyChange[] = [];
  for (const [name, property] of Object.entries(properties)) {
    if (ignoredTop.has(name)) continue;
    const replaces = property.replaces ?? false;
    const wanted = inputs[name] ?? property.default;
    const have = state[name] ?? property.default;
    if (wanted === undefined || wanted === null) {
      if (!property.computed && !isZero(have))
        changes.push({ property: name, path: name, kind: 'delete', replaces });
    } else if (isZero(have)) {
      const kind = have === false || have === 0 ? 'update' : 'add';
      if (!isZero(wanted)) changes.push({ property: name, path: name, kind, replaces });
    } else if (!sameAsWanted(property, have, wanted)) {
      for (const { path, kind } of leaves(name, property.kind, have, storedValue(property, wanted))) {
        if (!ignored.includes(path)) changes.push({ property: name, path, kind, replaces });
      }
    }
  }
  return changes;
}
