/** How a resource's state and inputs are put together from its table, the program's inputs, and what was read. */
import { isZero, sameAsWanted, storedValue } from './diff';
import type { Properties } from './properties';
import { UNKNOWN, type ValueMap } from './values';

interface Tables {
  inputs: Properties;
  outputs: Properties;
}

/** What the state keeps of inputs, the provider's defaults among them. */
export function storedInputs(type: Tables, inputs: ValueMap): ValueMap {
  const stored: ValueMap = {};
  for (const [key, property] of Object.entries(type.inputs)) {
    const value = inputs[key] ?? property.default;
    if (value !== undefined && value !== null) stored[key] = storedValue(property, value);
  }
  return stored;
}

/** The part of a state that no input decides. */
export function outputsOnly(type: Tables, state: ValueMap): ValueMap {
  return Object.fromEntries(Object.keys(type.outputs).map((key) => [key, state[key]]));
}

/** Inputs that the service filled in and the program still leaves to it. */
export function computedInputs(type: Tables, state: ValueMap, inputs: ValueMap): ValueMap {
  return Object.fromEntries(
    Object.entries(type.inputs)
      .filter(([key, property]) => property.computed && inputs[key] === undefined)
      .map(([key]) => [key, state[key]]),
  );
}

/** What a preview can say of a resource that is still to be made. */
export function previewOfCreate(type: Tables, inputs: ValueMap): ValueMap {
  const preview = storedInputs(type, inputs);
  for (const [key, property] of Object.entries(type.inputs)) {
    if (preview[key] === undefined && property.computed) preview[key] = UNKNOWN;
  }
  for (const key of Object.keys(type.outputs)) preview[key] = UNKNOWN;
  return preview;
}

/** The old inputs, changed where reality differs from them, so that the next preview shows the drift. */
export function refreshedInputs(type: Tables, old: ValueMap, fresh: ValueMap): ValueMap {
  const inputs: ValueMap = { ...old };
  for (const [key, property] of Object.entries(type.inputs)) {
    const real = fresh[key];
    const had = old[key];
    if (had === undefined || had === null) {
      const said = property.computed || isZero(real) || sameAsWanted(property, real, property.default);
      if (!said) inputs[key] = real;
    } else if (real === undefined || real === null) {
      if (!isZero(had)) delete inputs[key];
    } else if (!sameAsWanted(property, real, had)) {
      inputs[key] = real;
    }
  }
  return inputs;
}

/** The inputs of a resource that was made elsewhere: what differs from the defaults. */
export function importedInputs(type: Tables, fresh: ValueMap): ValueMap {
  return Object.fromEntries(
    Object.entries(type.inputs)
      .filter(
        ([key, property]) => !isZero(fresh[key]) && !sameAsWanted(property, fresh[key], property.default),
      )
      .map(([key]) => [key, fresh[key]]),
  );
}
