import { inspect } from 'node:util';
import * as pulumi from '@pulumi/pulumi';
import { checkConfig, problemsText } from './check';
import { isSecret, keys, type ConfigValues, type KeyName, type SecretName } from './keys';

/** The checked configuration; a secret that was given is an output that the engine keeps secret. */
export type PlatformConfig = Omit<ConfigValues, SecretName> &
  Partial<Record<SecretName, pulumi.Output<string>>>;

/** What people get to see is its message: the engine hides the stack of a RunError. */
class ConfigError extends pulumi.RunError {
  /** The SDK inspects an error with all that hangs on it, its whole runtime, which takes half a minute. */
  [inspect.custom](): string {
    return this.message;
  }
}

/**
 * Reads the stack's configuration and checks all of it before any resource is declared.
 *
 * @throws ConfigError naming every problem: key, value given (never a secret's), what is expected, an example.
 */
export function readConfig(): PlatformConfig {
  const prefix = `${pulumi.getProject()}:`;
  const raw = Object.fromEntries(
    Object.entries(pulumi.runtime.allConfig())
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value as unknown]),
  );
  const stack = pulumi.getStack();
  const result = checkConfig(raw, {
    stack,
    secretKeys: secretConfigKeys(prefix),
    cloudEndpoint: new pulumi.Config('hcloud').get('endpoint') ?? process.env['HCLOUD_ENDPOINT'],
  });
  if ('problems' in result) throw new ConfigError(problemsText(result.problems, stack));

  return Object.fromEntries(
    (Object.keys(keys) as KeyName[]).map((name) => {
      const value = result.values[name];
      if (!isSecret(name)) return [name, value];
      return [name, value === '' ? undefined : pulumi.secret(value)];
    }),
  ) as PlatformConfig;
}

/** The runner names the secret keys in this variable; the SDK has no public call for it. */
function secretConfigKeys(prefix: string): string[] {
  const names = JSON.parse(process.env['PULUMI_CONFIG_SECRET_KEYS'] ?? '[]') as string[];
  return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
}
