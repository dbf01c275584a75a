import * as pulumi from '@pulumi/pulumi';
import { vi } from 'vitest';
import { isSecret, keys, type KeyName } from '../../components/config/keys';
import { example } from './example-config';

/** A resource as the program declared it; secrets are unwrapped, as the mocks see them. */
export interface Declared {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  parent: string;
  options: {
    protect: boolean;
    ignoreChanges: string[];
    replaceOnChanges: string[];
    deleteBeforeReplace: boolean;
  };
  dependsOn: string[];
}

interface Registration {
  getType(): string;
  getName(): string;
  getParent(): string;
  getProtect(): boolean;
  getIgnorechangesList(): string[];
  getReplaceonchangesList(): string[];
  getDeletebeforereplace(): boolean;
  getDependenciesList(): string[];
}

/** Servers that the cloud has already, for the pool's look-up. */
export interface Living {
  name: string;
  serverType: string;
}

/** Secrets reach the mocks wrapped, under Pulumi's signature key. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  if ('4dabf18193072939515e22adb298388d' in value)
    return plain((value as unknown as { value: unknown }).value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/**
 * Runs the unchanged index.ts with Pulumi's mocks: argument shapes and the graph, no engine and no provider. What the
 * engine does with them is the engine suite's to prove.
 */
export async function declarePlatform(
  changes: Record<string, unknown> = {},
  living: Living[] = [],
): Promise<{ resources: Declared[]; outputs: Record<string, unknown> }> {
  const config = { ...example, ...changes };
  process.env['HCLOUD_ENDPOINT'] = 'http://127.0.0.1:1/v1';
  pulumi.runtime.setAllConfig(
    Object.fromEntries(
      Object.entries(config).map(([key, value]) => [
        `lesson-platform:${key}`,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    ),
  );
  // The runner sets this variable; mocks have no runner.
  process.env['PULUMI_CONFIG_SECRET_KEYS'] = JSON.stringify(
    (Object.keys(keys) as KeyName[]).filter(isSecret).map((key) => `lesson-platform:${key}`),
  );
  const inputs = new Map<string, Record<string, unknown>>();
  let number = 1000;
  await pulumi.runtime.setMocks(
    {
      newResource: (args) => {
        inputs.set(`${args.type}|${args.name}`, args.inputs as Record<string, unknown>);
        number += 1;
        return {
          id: String(number),
          state: {
            ...(args.inputs as object),
            result: `made-${args.name}`,
            publicKeyOpenssh: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\n',
            privateKeyOpenssh: `-----BEGIN OPENSSH PRIVATE KEY-----\n${args.name}\n-----END OPENSSH PRIVATE KEY-----\n`,
            privateKeyPem: `-----BEGIN PRIVATE KEY----- ${args.name}`,
            certPem: `CERTIFICATE ${args.name}`,
            certRequestPem: `REQUEST ${args.name}`,
            ipAddress: args.name.endsWith('ipv6') ? '2001:db8::' : '198.18.0.1',
            ipv4Address: `198.18.1.${number % 250}`,
            ipv6Address: '2001:db8::2',
          },
        };
      },
      call: (args) => (args.token === 'hcloud:index/getServers:getServers' ? { servers: living } : {}),
    },
    'lesson-platform',
    'local',
    false,
  );
  const registrations: Registration[] = [];
  const monitor = pulumi.runtime.getMonitor() as unknown as {
    registerResource(request: Registration, callback: unknown): void;
  };
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, callback) => {
    registrations.push(request);
    return register(request, callback);
  };

  const outputs: Record<string, unknown> = {};
  await pulumi.runtime.runInPulumiStack(async () => {
    vi.resetModules();
    const program = await vi.importActual<{ default: () => Promise<Record<string, pulumi.Input<string>>> }>(
      '../../index',
    );
    for (const [name, value] of Object.entries(await program.default())) {
      outputs[name] = await new Promise((resolve) => void pulumi.output(value).apply(resolve));
    }
    return {};
  });
  // Registrations go on after the outputs are known; this waits for the last.
  await pulumi.runtime.disconnect();
  const shortName = (urn: string): string => urn.slice(urn.lastIndexOf('::') + 2);
  const resources = registrations
    .filter((one) => one.getType() !== 'pulumi:pulumi:Stack')
    .map((one) => ({
      type: one.getType(),
      name: one.getName(),
      inputs: plain(inputs.get(`${one.getType()}|${one.getName()}`) ?? {}) as Record<string, unknown>,
      parent: shortName(one.getParent()),
      options: {
        protect: one.getProtect(),
        ignoreChanges: one.getIgnorechangesList(),
        replaceOnChanges: one.getReplaceonchangesList(),
        deleteBeforeReplace: one.getDeletebeforereplace(),
      },
      dependsOn: one.getDependenciesList().map(shortName),
    }));
  return { resources, outputs };
}
