/**
 * How a resource type's properties are described, and how a program's values are checked against that description.
 *
 * A table entry says for each property what its kind is, whether it is required, what a change of it replaces, what
 * the provider fills in by itself. The TypeScript types of inputs and state are derived from the same table.
 */
import { UNKNOWN, isMap, type Value, type ValueMap } from './values';

export type Kind =
  | { readonly is: 'string' | 'number' | 'boolean' | 'any' | 'asset' }
  /** `unordered`: the provider compares the items as a set. */
  | { readonly is: 'list'; readonly of: Kind; readonly unordered?: boolean }
  | { readonly is: 'map'; readonly of: Kind }
  | { readonly is: 'object'; readonly properties: Properties };

export interface Traits {
  /** A change of it replaces the resource. */
  replaces?: boolean;
  /** The service fills it in when the program does not: leaving it out is no change. */
  computed?: boolean;
  /** What the provider fills in when the program does not; a comparison treats it as not set. */
  default?: Value;
  secret?: boolean;
  /** The values it may have. */
  oneOf?: readonly string[];
  /** Says what is wrong with a known value, in words that follow the property's name; undefined when all is well. */
  check?: (value: never) => string | undefined;
  /** What the state keeps of a value, where that is not the value itself. */
  stored?: (value: never) => Value;
  /** The real provider has it, this one does not: a program that sets it is refused with this reason. */
  notSimulated?: string;
  /** An output made of all inputs (what a command prints): secret when any of them is, unknown before an update. */
  fromAllInputs?: boolean;
}

export interface Property<T = unknown> extends Traits {
  readonly kind: Kind;
  readonly required?: boolean;
  /** Only carries the type; never set. */
  readonly type?: T;
}

export type Properties = Readonly<Record<string, Property>>;

/** The values that a table of properties describes. */
export type Values<P extends Properties> = { [K in keyof P]: P[K] extends Property<infer T> ? T : never };

export const text = (traits: Traits = {}): Property<string | undefined> => ({
  kind: { is: 'string' },
  ...traits,
});
export const number = (traits: Traits = {}): Property<number | undefined> => ({
  kind: { is: 'number' },
  ...traits,
});
export const flag = (traits: Traits = {}): Property<boolean | undefined> => ({
  kind: { is: 'boolean' },
  ...traits,
});
export const anything = (traits: Traits = {}): Property<Value> => ({ kind: { is: 'any' }, ...traits });
export const asset = (traits: Traits = {}): Property<ValueMap | undefined> => ({
  kind: { is: 'asset' },
  ...traits,
});

export function list<T>(of: Property<T>, traits: Traits = {}): Property<NonNullable<T>[] | undefined> {
  return { kind: { is: 'list', of: of.kind }, ...traits };
}

export function set<T>(of: Property<T>, traits: Traits = {}): Property<NonNullable<T>[] | undefined> {
  return { kind: { is: 'list', of: of.kind, unordered: true }, ...traits };
}

export function map<T>(
  of: Property<T>,
  traits: Traits = {},
): Property<Record<string, NonNullable<T>> | undefined> {
  return { kind: { is: 'map', of: of.kind }, ...traits };
}

export function object<P extends Properties>(
  properties: P,
  traits: Traits = {},
): Property<Values<P> | undefined> {
  return { kind: { is: 'object', properties }, ...traits };
}

export function required<T>(property: Property<T>): Property<NonNullable<T>> {
  return { ...property, required: true } as Property<NonNullable<T>>;
}

/** A property that the real type has and this simulation refuses, with the reason a person reads. */
export const notSimulated = (reason: string): Property<undefined> => ({
  kind: { is: 'any' },
  notSimulated: reason,
});

/** One thing that is wrong with one property; `property` is a path such as `rules[0].port`. */
export interface Failure {
  property: string;
  reason: string;
}

function shown(value: Value): string {
  return (
    JSON.stringify(value, (_key, item: unknown) => (item === UNKNOWN ? '(not known yet)' : item)) ??
    'undefined'
  );
}

class Checker {
  readonly failures: Failure[] = [];

  constructor(private readonly secretProperties: ReadonlySet<string>) {}

  fail(path: string, reason: string): undefined {
    this.failures.push({ property: path, reason });
    return undefined;
  }

  /** "got …", unless the value is secret. */
  got(path: string, value: Value): string {
    const top = /^[^.[]+/.exec(path)?.[0] ?? path;
    return this.secretProperties.has(top) ? 'got a secret value of another kind' : `got ${shown(value)}`;
  }

  properties(properties: Properties, given: ValueMap, path: string): ValueMap {
    const inside = (key: string): string => (path ? `${path}.${key}` : key);
    const result: ValueMap = {};
    for (const [key, value] of Object.entries(given)) {
      if (!(key in properties) && !key.startsWith('__')) {
        this.fail(inside(key), `unknown property; known are ${Object.keys(properties).sort().join(', ')}`);
      } else if (key.startsWith('__')) {
        result[key] = value;
      }
    }
    for (const [key, property] of Object.entries(properties)) {
      const value = given[key];
      if (value === undefined || value === null) {
        if (property.required) this.fail(inside(key), `missing required property ${key}`);
        continue;
      }
      if (property.notSimulated) {
        this.fail(
          inside(key),
          `${key} is not simulated by the local stand-in provider: ${property.notSimulated}`,
        );
        continue;
      }
      result[key] = this.property(property, value, inside(key));
    }
    return result;
  }

  property(property: Property, value: Value, path: string): Value {
    const before = this.failures.length;
    const checked = this.kind(property.kind, value, path);
    if (checked === UNKNOWN || this.failures.length > before) return checked;
    if (property.oneOf && typeof checked === 'string' && !property.oneOf.includes(checked)) {
      this.fail(path, `expected one of ${property.oneOf.join(', ')}; ${this.got(path, checked)}`);
    }
    const complaint = property.check?.(checked as never);
    if (complaint) this.fail(path, `${complaint}; ${this.got(path, checked)}`);
    return checked;
  }

  kind(kind: Kind, value: Value, path: string): Value {
    if (value === UNKNOWN) return value;
    switch (kind.is) {
      case 'any':
      case 'asset':
        return value;
      case 'string':
        // As the real bridge does: scalars of a neighbouring kind are converted.
        if (typeof value === 'number' || typeof value === 'boolean') return String(value);
        return typeof value === 'string'
          ? value
          : this.fail(path, `expected a string; ${this.got(path, value)}`);
      case 'number':
        if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value)))
          return Number(value);
        return typeof value === 'number'
          ? value
          : this.fail(path, `expected a number; ${this.got(path, value)}`);
      case 'boolean':
        if (value === 'true' || value === 'false') return value === 'true';
        return typeof value === 'boolean'
          ? value
          : this.fail(path, `expected true or false; ${this.got(path, value)}`);
      case 'list':
        if (!Array.isArray(value)) return this.fail(path, `expected a list; ${this.got(path, value)}`);
        return value.map((item, index) => this.kind(kind.of, item, `${path}[${index}]`));
      case 'map':
        if (!isMap(value)) return this.fail(path, `expected a map; ${this.got(path, value)}`);
        return Object.fromEntries(
          Object.entries(value).map(([key, item]) => [key, this.kind(kind.of, item, `${path}.${key}`)]),
        );
      case 'object':
        if (!isMap(value)) return this.fail(path, `expected an object; ${this.got(path, value)}`);
        return this.properties(kind.properties, value, path);
    }
  }
}

/**
 * Checks `given` (without secret marks) against the table: unknown names, missing values, kinds, own checks.
 *
 * @param secretProperties names of the top-level properties whose values no message may repeat.
 * @returns the values with scalars converted to the kind the table asks for, and everything that is wrong.
 */
export function checkValues(
  properties: Properties,
  given: ValueMap,
  secretProperties: ReadonlySet<string>,
): { values: ValueMap; failures: Failure[] } {
  const checker = new Checker(secretProperties);
  const values = checker.properties(properties, given, '');
  return { values, failures: checker.failures };
}
