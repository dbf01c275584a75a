/** What a table says of one resource type, and what the work of one call gets to see. */
import type { Failure, Properties, Values } from './properties';
import type { ValueMap } from './values';

/** Messages to the person who runs `pulumi`, shown beside the resource. */
export interface ResourceLog {
  info(message: string): void;
  warn(message: string): void;
}

/** One operation on one resource. `inputs` and `state` hold no secret marks and no unknowns. */
export interface Operation<Client, Inputs, State> {
  client: Client;
  /** The resource's name in the program. */
  name: string;
  inputs: Inputs;
  state: State;
  id: string;
  log: ResourceLog;
  /** Ends when the engine cancels the run. */
  signal: AbortSignal;
  /** Whether the engine marks the top-level property as secret. */
  isSecret: (property: string) => boolean;
}

export interface ResourceType<Client, I extends Properties, O extends Properties> {
  inputs: I;
  /** Outputs that are not inputs. */
  outputs: O;
  /**
   * How the real provider reports a change: property by property, or (types on Terraform's newer plugin framework)
   * only which properties changed and which of them replace.
   */
  reports: 'details' | 'reasons';
  /** Whether a missing `name` is made from the resource's name in the program and seven random hex digits. */
  autoName?: boolean;
  /** Whether a replacement with the same explicit name deletes first. */
  deletesFirstWhenNamed?: boolean;
  /** What is wrong with a combination of known inputs. */
  check?(inputs: Partial<Values<I>>): Failure[];
  /** Further top-level properties that ask for a replacement, whatever the inputs say (an expiring certificate). */
  expired?(state: Partial<Values<I> & Values<O>>, inputs: Partial<Values<I>>): string[];
  /**
   * Makes it. The state is made of the inputs and what this returns.
   *
   * @throws {@link Unfinished} when it exists but is not as wanted.
   */
  create(
    operation: Operation<Client, Values<I>, ValueMap>,
  ): Promise<{ id: string; state: Partial<Values<I> & Values<O>> }>;
  /** Reads it; undefined when it is gone. Properties that are not returned keep what the state says. */
  read?(
    operation: Operation<Client, Partial<Values<I>>, Partial<Values<I> & Values<O>>>,
  ): Promise<({ id?: string } & { state: Partial<Values<I> & Values<O>> }) | undefined>;
  /** Changes it in place. `changed` are the top-level properties that differ. */
  update?(
    operation: Operation<Client, Values<I>, Values<I> & Values<O>> & { changed: ReadonlySet<string> },
  ): Promise<Partial<Values<I> & Values<O>>>;
  delete?(operation: Operation<Client, Values<I>, Values<I> & Values<O>>): Promise<void>;
}

/** A resource type of any shape, as the protocol core sees it. */
export type AnyResourceType<Client> = ResourceType<Client, Properties, Properties>;

/** Declares a resource type; only fixes the types of its inputs and state. */
export function resourceFor<Client>() {
  return <I extends Properties, O extends Properties>(
    type: ResourceType<Client, I, O>,
  ): AnyResourceType<Client> => type;
}

/** Thrown by `create` and `update`: the resource exists under `id`, `state` is what is known of it. */
export class Unfinished extends Error {
  constructor(
    readonly id: string,
    readonly state: ValueMap,
    cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause));
  }
}

/** A function of a provider (a lookup): arguments in, values out. */
export interface ProviderFunction<Client> {
  inputs: Properties;
  call(client: Client, inputs: ValueMap, signal: AbortSignal): Promise<ValueMap>;
}

export function functionFor<Client>() {
  return <I extends Properties>(definition: {
    inputs: I;
    call(client: Client, inputs: Values<I>, signal: AbortSignal): Promise<ValueMap>;
  }): ProviderFunction<Client> => definition as unknown as ProviderFunction<Client>;
}

/** One provider plugin. */
export interface Provider<Client> {
  /** Package name; the plugin says it has the version of the installed `@pulumi/<name>`. */
  name: string;
  config: Properties;
  /**
   * Makes what the operations work with. Called with the provider's known configuration.
   *
   * @param cancelled ends when the engine cancels the run.
   * @throws with a message that says which setting is missing or wrong, what is expected, and an example.
   */
  connect(config: Record<string, string | undefined>, cancelled: AbortSignal): Client;
  resources: Record<string, AnyResourceType<Client>>;
  functions: Record<string, ProviderFunction<Client>>;
}
