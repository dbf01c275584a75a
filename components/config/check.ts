import { isSecret, keys, type ConfigValues, type KeyName } from './keys';
import { ruleProblems, type Problem } from './rules';

/** What the check knows besides the values themselves. */
export interface Surroundings {
  /** Stack name; a name that is `local` or begins with `local-` is a stack of the local cloud. */
  stack: string;
  /** Names of keys whose value is stored as a secret. */
  secretKeys: readonly string[];
  /** The Hetzner API's address, when something replaces the service's own (`HCLOUD_ENDPOINT`). */
  cloudEndpoint?: string;
}

/**
 * Checks the whole configuration at once.
 *
 * @param raw values by key as the engine hands them over: text, or JSON text for numbers, lists and booleans.
 * @returns either the checked values or every problem, never both.
 */
export function checkConfig(
  raw: Readonly<Record<string, unknown>>,
  around: Surroundings,
): { values: ConfigValues } | { problems: Problem[] } {
  const problems = [...endpointProblems(around), ...unknownKeyProblems(raw)];
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(keys) as KeyName[]) {
    const { schema, expected, example } = keys[name];
    const secret = isSecret(name);
    const value = secret ? raw[name] : parsed(raw[name]);
    const result = schema.safeParse(value);
    if (!result.success) {
      problems.push({ key: name, value: secret ? undefined : value, expected, example });
    } else {
      values[name] = result.data;
      if (secret && result.data !== '' && !around.secretKeys.includes(name)) {
        problems.push({
          key: name,
          expected: 'a secret value, but it stands in plain text: replace it, since it has leaked',
          example: `pulumi config set --secret ${name}`,
        });
      }
    }
  }
  // Rules read several keys, so they need all of them to be sound.
  const sound = Object.keys(values).length === Object.keys(keys).length;
  if (sound) problems.push(...ruleProblems(values as ConfigValues));
  return problems.length > 0 ? { problems } : { values: values as ConfigValues };
}

/** The engine hands strings over as they are and everything else as JSON. */
function parsed(value: unknown): unknown {
  if (typeof value !== 'string' || !/^(true|false|-?\d+(\.\d+)?|\[[\s\S]*\]|\{[\s\S]*\})$/.test(value))
    return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function unknownKeyProblems(raw: Readonly<Record<string, unknown>>): Problem[] {
  return Object.keys(raw)
    .filter((name) => !(name in keys))
    .map((name) => ({
      key: name,
      expected: 'one of the keys that Pulumi.yaml describes',
      example: `pulumi config rm ${name}`,
    }));
}

const loopback = /^https?:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|\/|$)/;

/** Whether a stack is one of the local cloud, by its name. */
export const isLocalStack = (stack: string): boolean => /^local(-|$)/.test(stack);

function endpointProblems({ stack, cloudEndpoint }: Surroundings): Problem[] {
  const local = cloudEndpoint !== undefined && loopback.test(cloudEndpoint);
  if (local && !isLocalStack(stack)) {
    return [
      {
        key: 'HCLOUD_ENDPOINT',
        value: cloudEndpoint,
        expected: `no address of this machine, because stack ${stack} is not a local one: the shell still points at the local cloud`,
        example: 'unset HCLOUD_ENDPOINT HCLOUD_TOKEN (or open a new shell)',
      },
    ];
  }
  if (!local && isLocalStack(stack)) {
    return [
      {
        key: 'HCLOUD_ENDPOINT',
        value: cloudEndpoint,
        expected: `the address of the local cloud, because stack ${stack} is a local one and must not reach a real account`,
        example: 'eval "$(npm run -s local -- env)"',
      },
    ];
  }
  return [];
}

/** The message for people: every problem with key, value given, what is expected, and an example. */
export function problemsText(problems: readonly Problem[], stack: string): string {
  const lines = problems.map(({ key, value, expected, example }) => {
    const found = value === undefined ? '' : `${JSON.stringify(value)}: `;
    return `  ${key}: ${found}expected ${expected}.\n    Example: ${example}`;
  });
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return `The configuration of stack ${stack} has ${count}; nothing was changed.\n\n${lines.join('\n')}\n`;
}
