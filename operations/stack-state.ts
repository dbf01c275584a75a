import { spawn } from 'node:child_process';
import { OperationError, pulumi } from './stack';

interface Resource {
  urn: string;
  type: string;
  id?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

/** Secrets of a state that was exported in plain text are still wrapped. */
function unwrapped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrapped);
  if (value === null || typeof value !== 'object') return value;
  const object = value as Record<string, unknown>;
  if (typeof object['plaintext'] === 'string') return unwrapped(JSON.parse(object['plaintext']));
  return Object.fromEntries(Object.entries(object).map(([key, item]) => [key, unwrapped(item)]));
}

/** What of a stack is in no output: its resources. Secrets stay in this process. */
export class StackState {
  private constructor(
    /** The stack's options of the CLI. */
    private readonly named: string[],
    private readonly resources: Resource[],
  ) {}

  /**
   * @param stack its name; undefined takes the selected one
   * @throws OperationError with the CLI's message when the stack cannot be read
   */
  static async read(stack?: string): Promise<StackState> {
    const named = ['--non-interactive', ...(stack === undefined ? [] : ['--stack', stack])];
    const state = JSON.parse(await pulumi(['stack', 'export', '--show-secrets', ...named])) as {
      deployment: { resources?: Resource[] };
    };
    return new StackState(
      named,
      (state.deployment.resources ?? []).map((resource) => unwrapped(resource) as Resource),
    );
  }

  /** The server of a host: its id, its URN, and whether the program protects it. */
  server(name: string): { id: string; urn: string; protected: boolean } {
    const { id, urn, inputs } = this.resource('hcloud:index/server:Server', name);
    return { id: id!, urn, protected: inputs?.['rebuildProtection'] === true };
  }

  /** The private half of a host's SSH key, in OpenSSH's format. */
  hostKey(publicKey: string): string {
    const pair = this.resources.find(
      ({ type, outputs }) =>
        type === 'tls:index/privateKey:PrivateKey' &&
        String(outputs?.['publicKeyOpenssh']).trim() === publicKey.trim(),
    );
    if (!pair) throw new OperationError('the state does not hold the key pair of the host');
    return pair.outputs!['privateKeyOpenssh'] as string;
  }

  /** Public keys with which the stack may enter any host. */
  deployKeys(): string[] {
    const { inputs } = this.resource('command:remote:Command', 'jitsi-1-secrets');
    const secrets = JSON.parse(inputs!['stdin'] as string) as Record<string, string>;
    return secrets['deploy-keys']!.split('\n');
  }

  /** A configuration value, or undefined where none is set. */
  async config(key: string): Promise<string | undefined> {
    const all = JSON.parse(await pulumi(['config', '--json', '--show-secrets', ...this.named])) as Record<
      string,
      { value: string }
    >;
    return all[key.includes(':') ? key : `lesson-platform:${key}`]?.value;
  }

  /** Whether the program would change nothing. */
  async isUpToDate(): Promise<boolean> {
    const plan = await pulumi(['preview', '--json', ...this.named]);
    const { changeSummary = {} } = JSON.parse(plan) as { changeSummary?: Record<string, number> };
    return Object.keys(changeSummary).every((operation) => operation === 'same');
  }

  /** Runs a command of the CLI on the stack, before the user's eyes. @throws OperationError when it fails */
  run(args: string[]): Promise<void> {
    const child = spawn('pulumi', [...args, ...this.named], { stdio: ['ignore', 'inherit', 'inherit'] });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) =>
        code === 0 ? resolve() : reject(new OperationError(`pulumi ${args[0]} failed; see above`)),
      );
    });
  }

  private resource(type: string, name: string): Resource {
    const found = this.resources.find(
      (resource) => resource.type === type && resource.urn.endsWith(`::${name}`),
    );
    if (!found) throw new OperationError(`the state has no ${name}; has the first pulumi up ended?`);
    return found;
  }
}
