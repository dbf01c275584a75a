/** A provider's tables as Pulumi's package schema, which `pulumi import` reads to write code. */
import type { Kind, Properties } from './properties';
import type { Provider } from './resource';

const schemaTypes = { string: 'string', number: 'number', boolean: 'boolean' } as const;

function schemaOf(kind: Kind): object {
  switch (kind.is) {
    case 'any':
      return { $ref: 'pulumi.json#/Any' };
    case 'asset':
      return { $ref: 'pulumi.json#/Asset' };
    case 'list':
      return { type: 'array', items: schemaOf(kind.of) };
    case 'map':
      return { type: 'object', additionalProperties: schemaOf(kind.of) };
    case 'object':
      return { type: 'object', additionalProperties: { $ref: 'pulumi.json#/Any' } };
    default:
      return { type: schemaTypes[kind.is] };
  }
}

function described(properties: Properties): Record<string, object> {
  return Object.fromEntries(
    Object.entries(properties)
      .filter(([, property]) => !property.notSimulated)
      .map(([key, property]) => [
        key,
        { ...schemaOf(property.kind), ...(property.secret && { secret: true }) },
      ]),
  );
}

/** The schema of all resource types of a provider; properties that are not simulated are left out. */
export function packageSchema<Client>(provider: Provider<Client>, version: string): object {
  const resources = Object.fromEntries(
    Object.entries(provider.resources).map(([token, type]) => [
      token,
      {
        inputProperties: described(type.inputs),
        requiredInputs: Object.keys(type.inputs).filter((key) => type.inputs[key]?.required),
        properties: described({ ...type.inputs, ...type.outputs }),
      },
    ]),
  );
  return { name: provider.name, version, resources };
}
