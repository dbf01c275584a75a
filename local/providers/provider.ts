/**
 * The provider protocol, once for all plugins: what the engine asks, answered from a provider's tables.
 *
 * Behaviour follows Pulumi's bridge for Terraform providers: defaults and made-up names are listed in `__defaults` of
 * the inputs, changes are found by comparing the state with the inputs, outputs that a preview cannot know are unknown.
 */
import { randomBytes } from 'node:crypto';
import { compare, type PropertyChange } from './diff';
import { packageSchema } from './package-schema';
import { checkValues, type Failure, type Property } from './properties';
import {
  Empty,
  EngineLog,
  PluginInfo,
  ResourceProviderService,
  StatusError,
  UnfinishedResource,
  grpc,
  providerMessages as messages,
  servePlugin,
  unary,
  type Severity,
} from './protocol';
import { Unfinished, type AnyResourceType, type Operation, type Provider } from './resource';
import {
  computedInputs,
  importedInputs,
  outputsOnly,
  previewOfCreate,
  refreshedInputs,
  storedInputs,
} from './state';
import {
  Secret,
  UNKNOWN,
  containsSecret,
  containsUnknown,
  copySecretMarks,
  decode,
  encode,
  reveal,
  type ValueMap,
} from './values';

const defaultsKey = '__defaults';
const changeKinds = messages.PropertyDiff.Kind;

/** Names of the top-level properties that are secret or hold a secret. */
function secretProperties(marked: ValueMap): Set<string> {
  return new Set(Object.keys(marked).filter((key) => containsSecret(marked[key])));
}

function failuresOf(failures: Failure[], secrets: ReadonlySet<string>): messages.CheckFailure[] {
  return failures.map(({ property, reason }) => {
    const failure = new messages.CheckFailure();
    // The engine prints the value of a property that it is told of, a secret one in plain text.
    const isSecret = secrets.has(/^[^.[]+/.exec(property)?.[0] ?? property);
    failure.setProperty(isSecret ? '' : property);
    failure.setReason(isSecret ? `${property} (secret): ${reason}` : reason);
    return failure;
  });
}

function defaultsOf(inputs: ValueMap): string[] {
  const names = reveal(inputs[defaultsKey]);
  return Array.isArray(names) ? names.filter((name): name is string => typeof name === 'string') : [];
}

/** A resource's name in the program, the last part of its URN. */
function nameIn(urn: string): string {
  return urn.slice(urn.lastIndexOf('::') + 2);
}

/** The type in a URN (the last of the chain of parents' types), such as `hcloud:index/server:Server`. */
function typeIn(urn: string): string {
  const chain = urn.split('::')[2] ?? '';
  return chain.slice(chain.lastIndexOf('$') + 1);
}

class ProviderServer<Client> {
  #client: Client | undefined;
  #log: EngineLog | undefined;
  readonly #cancelled = new AbortController();

  constructor(
    private readonly provider: Provider<Client>,
    private readonly version: string,
  ) {}

  attachLog(engineAddress: string | undefined): void {
    if (engineAddress) this.#log = new EngineLog(engineAddress);
  }

  cancel(): void {
    this.#cancelled.abort();
  }

  get implementation(): grpc.UntypedServiceImplementation {
    return {
      handshake: unary((request: messages.ProviderHandshakeRequest) => {
        this.attachLog(request.getEngineAddress());
        const response = new messages.ProviderHandshakeResponse();
        response.setAcceptSecrets(true);
        return response;
      }),
      attach: unary(() => new Empty()),
      getPluginInfo: unary(() => {
        const info = new PluginInfo();
        info.setVersion(this.version);
        return info;
      }),
      getSchema: unary(() => {
        const response = new messages.GetSchemaResponse();
        response.setSchema(JSON.stringify(packageSchema(this.provider, this.version)));
        return response;
      }),
      checkConfig: unary((request: messages.CheckRequest) => this.checkConfig(request)),
      diffConfig: unary((request: messages.DiffRequest) => this.diffConfig(request)),
      configure: unary((request: messages.ConfigureRequest) => this.configure(request)),
      invoke: unary((request: messages.InvokeRequest) => this.invoke(request)),
      check: unary((request: messages.CheckRequest) => this.check(request)),
      diff: unary((request: messages.DiffRequest) => this.diff(request)),
      create: unary((request: messages.CreateRequest) => this.create(request)),
      read: unary((request: messages.ReadRequest) => this.read(request)),
      update: unary((request: messages.UpdateRequest) => this.update(request)),
      delete: unary((request: messages.DeleteRequest) => this.delete(request)),
      cancel: unary(() => {
        this.cancel();
        return new Empty();
      }),
      // Not part of what this plugin offers; the engine falls back by itself.
      ...Object.fromEntries(
        ['parameterize', 'call', 'construct', 'getMapping', 'getMappings'].map((method) => [
          method,
          unary(() => {
            throw new StatusError(grpc.status.UNIMPLEMENTED, `${method} is not implemented`);
          }),
        ]),
      ),
      list: (call: grpc.ServerWritableStream<unknown, unknown>) =>
        call.destroy(
          Object.assign(new Error('list is not implemented'), { code: grpc.status.UNIMPLEMENTED }),
        ),
    };
  }

  private checkConfig(request: messages.CheckRequest): messages.CheckResponse {
    const given = decode(request.getNews());
    // The marks are not sent here; any of it may be a token.
    const secret = new Set(Object.keys(given));
    const { failures } = checkValues(
      {
        ...this.provider.config,
        version: { kind: { is: 'string' } },
        pluginDownloadURL: { kind: { is: 'string' } },
      },
      reveal(given) as ValueMap,
      secret,
    );
    const response = new messages.CheckResponse();
    response.setInputs(request.getNews());
    response.setFailuresList(failuresOf(failures, secret));
    return response;
  }

  /** A change of the provider's configuration never replaces what was made with it. */
  private diffConfig(request: messages.DiffRequest): messages.DiffResponse {
    const changes = compare(
      this.provider.config,
      reveal(decode(request.getOldInputs())) as ValueMap,
      reveal(decode(request.getNews())) as ValueMap,
      request.getIgnorechangesList(),
    );
    const response = new messages.DiffResponse();
    response.setDiffsList([...new Set(changes.map((change) => change.property))]);
    const { DIFF_SOME, DIFF_NONE } = messages.DiffResponse.DiffChanges;
    response.setChanges(changes.length > 0 ? DIFF_SOME : DIFF_NONE);
    return response;
  }

  private configure(request: messages.ConfigureRequest): messages.ConfigureResponse {
    const config = reveal(decode(request.getArgs())) as Record<string, unknown>;
    const texts: Record<string, string | undefined> = {};
    for (const key of Object.keys(this.provider.config)) {
      const value = config[key];
      if (typeof value === 'string' || typeof value === 'number') texts[key] = String(value);
    }
    this.#client = this.provider.connect(texts, this.#cancelled.signal);
    const response = new messages.ConfigureResponse();
    response.setAcceptsecrets(true);
    response.setSupportspreview(true);
    return response;
  }

  private async invoke(request: messages.InvokeRequest): Promise<messages.InvokeResponse> {
    const token = request.getTok();
    const called = this.provider.functions[token];
    if (!called) {
      throw new StatusError(
        grpc.status.UNIMPLEMENTED,
        `${token} is not simulated by the local stand-in provider; simulated are ${Object.keys(this.provider.functions).join(', ') || 'none'}`,
      );
    }
    const given = decode(request.getArgs());
    const secrets = secretProperties(given);
    const { values, failures } = checkValues(called.inputs, reveal(given) as ValueMap, secrets);
    const response = new messages.InvokeResponse();
    response.setFailuresList(failuresOf(failures, secrets));
    if (failures.length === 0) {
      response.setReturn(encode(await called.call(this.client(), values, this.#cancelled.signal)));
    }
    return response;
  }

  private check(request: messages.CheckRequest): messages.CheckResponse {
    const type = this.type(request.getUrn());
    const given = decode(request.getNews());
    const secrets = secretProperties(given);
    const { values, failures } = checkValues(type.inputs, reveal(given) as ValueMap, secrets);
    delete values[defaultsKey];
    const defaults: string[] = [];
    if (type.reports === 'details') {
      for (const [key, property] of Object.entries(type.inputs)) {
        if (values[key] === undefined && property.default !== undefined) {
          values[key] = property.default;
          defaults.push(key);
        }
      }
    }
    if (type.autoName && values.name === undefined) {
      const olds = reveal(decode(request.getOlds())) as ValueMap;
      const seed = Buffer.from(request.getRandomseed_asU8());
      const digits = (seed.length >= 4 ? seed : randomBytes(4)).toString('hex').slice(0, 7);
      values.name = defaultsOf(olds).includes('name') ? olds.name : `${nameIn(request.getUrn())}-${digits}`;
      defaults.push('name');
    }
    if (failures.length === 0) failures.push(...(type.check?.(values) ?? []));
    const inputs = copySecretMarks(values, given) as ValueMap;
    if (defaults.length > 0) inputs[defaultsKey] = defaults.sort();
    const response = new messages.CheckResponse();
    response.setInputs(encode(inputs));
    response.setFailuresList(failuresOf(failures, secrets));
    return response;
  }

  private diff(request: messages.DiffRequest): messages.DiffResponse {
    const type = this.type(request.getUrn());
    const state = reveal(decode(request.getOlds())) as ValueMap;
    const inputs = reveal(decode(request.getNews())) as ValueMap;
    const oldInputs = reveal(decode(request.getOldInputs())) as ValueMap;
    const changes = compare(type.inputs, state, inputs, request.getIgnorechangesList());
    const expired = type.expired?.(state, inputs) ?? [];
    const replaces = [
      ...new Set([
        ...changes.filter((change) => change.replaces).map((change) => change.property),
        ...expired,
      ]),
    ];
    const response = new messages.DiffResponse();
    const { DIFF_SOME, DIFF_NONE } = messages.DiffResponse.DiffChanges;
    response.setChanges(changes.length + expired.length > 0 ? DIFF_SOME : DIFF_NONE);
    response.setDiffsList([...new Set([...changes.map((change) => change.property), ...expired])]);
    response.setReplacesList(replaces);
    if (type.reports === 'details') {
      response.setHasdetaileddiff(true);
      for (const change of changes) response.getDetaileddiffMap().set(change.path, propertyDiff(change));
    }
    const keepsName = !defaultsOf(inputs).includes('name') && inputs.name === (state.name ?? oldInputs.name);
    response.setDeletebeforereplace(Boolean(type.deletesFirstWhenNamed) && replaces.length > 0 && keepsName);
    return response;
  }

  private async create(request: messages.CreateRequest): Promise<messages.CreateResponse> {
    const type = this.type(request.getUrn());
    const marked = decode(request.getProperties());
    const response = new messages.CreateResponse();
    if (request.getPreview()) {
      response.setProperties(
        encode(this.outputs(type, marked, previewOfCreate(type, reveal(marked) as ValueMap))),
      );
      return response;
    }
    const operation = this.operation(request.getUrn(), '', marked, {});
    const inputs = operation.inputs;
    try {
      const { id, state } = await type.create(operation);
      response.setId(id);
      response.setProperties(
        encode(this.outputs(type, marked, { ...storedInputs(type, inputs), ...state } as ValueMap)),
      );
      return response;
    } catch (error) {
      throw this.unfinished(error, type, marked, inputs);
    }
  }

  private async update(request: messages.UpdateRequest): Promise<messages.UpdateResponse> {
    const type = this.type(request.getUrn());
    const marked = decode(request.getNews());
    const markedState = decode(request.getOlds());
    const state = reveal(markedState) as ValueMap;
    const changes = compare(type.inputs, state, reveal(marked) as ValueMap, request.getIgnorechangesList());
    const changed = new Set(changes.map((change) => change.property));
    const response = new messages.UpdateResponse();
    // Ignored inputs keep their old value in the new inputs; the state may know better.
    const kept = (inputs: ValueMap): ValueMap => ({
      ...outputsOnly(type, state),
      ...computedInputs(type, state, inputs),
      ...storedInputs(type, inputs),
    });
    if (request.getPreview()) {
      const preview = kept(reveal(marked) as ValueMap);
      for (const [key, property] of Object.entries(type.outputs)) {
        if (property.fromAllInputs) preview[key] = UNKNOWN;
      }
      response.setProperties(encode(this.outputs(type, marked, preview)));
      return response;
    }
    const operation = this.operation(request.getUrn(), request.getId(), marked, markedState);
    if (!type.update) throw new Error(`${typeIn(request.getUrn())} cannot be changed in place`);
    try {
      const updated = await type.update({ ...operation, changed });
      response.setProperties(
        encode(this.outputs(type, marked, { ...kept(operation.inputs), ...updated } as ValueMap)),
      );
      return response;
    } catch (error) {
      throw this.unfinished(error, type, marked, operation.inputs);
    }
  }

  private async read(request: messages.ReadRequest): Promise<messages.ReadResponse> {
    const type = this.type(request.getUrn());
    const markedState = decode(request.getProperties());
    const marked = decode(request.getInputs());
    const state = reveal(markedState) as ValueMap;
    const imported = Object.keys(marked).length === 0 && Object.keys(state).length === 0;
    const response = new messages.ReadResponse();
    if (!type.read) {
      if (imported)
        throw new Error(`${typeIn(request.getUrn())} cannot be imported: there is nothing to read it from`);
      response.setId(request.getId());
      response.setProperties(request.getProperties());
      response.setInputs(request.getInputs());
      return response;
    }
    const operation = this.operation(request.getUrn(), request.getId(), marked, markedState);
    const found = await type.read(operation);
    if (!found) return response; // an empty id says that it is gone
    const fresh = { ...state, ...found.state } as ValueMap;
    const inputs = imported ? importedInputs(type, fresh) : refreshedInputs(type, operation.inputs, fresh);
    response.setId(found.id ?? request.getId());
    response.setProperties(
      encode(copySecretMarks(this.outputs(type, marked, fresh), markedState) as ValueMap),
    );
    if (marked[defaultsKey]) inputs[defaultsKey] = marked[defaultsKey];
    response.setInputs(encode(copySecretMarks(inputs, marked) as ValueMap));
    return response;
  }

  private async delete(request: messages.DeleteRequest): Promise<Empty> {
    const type = this.type(request.getUrn());
    const operation = this.operation(
      request.getUrn(),
      request.getId(),
      decode(request.getOldInputs()),
      decode(request.getProperties()),
    );
    await type.delete?.(operation);
    return new Empty();
  }

  private type(urn: string): AnyResourceType<Client> {
    const type = this.provider.resources[typeIn(urn)];
    if (!type) {
      throw new StatusError(
        grpc.status.UNIMPLEMENTED,
        `${typeIn(urn)} is not simulated by the local stand-in provider; simulated are ${Object.keys(this.provider.resources).join(', ')}`,
      );
    }
    return type;
  }

  private client(): Client {
    if (this.#client === undefined) throw new Error(`the ${this.provider.name} provider was not configured`);
    return this.#client;
  }

  private operation(
    urn: string,
    id: string,
    marked: ValueMap,
    markedState: ValueMap,
  ): Operation<Client, ValueMap, ValueMap> {
    const inputs = reveal(marked) as ValueMap;
    if (containsUnknown(inputs)) throw new Error('an input is not known yet, although this is no preview');
    delete inputs[defaultsKey];
    const secrets = new Set([...secretProperties(marked), ...secretProperties(markedState)]);
    const log = (severity: Severity) => (message: string) => void this.#log?.write(severity, urn, message);
    return {
      client: this.client(),
      name: nameIn(urn),
      inputs,
      state: reveal(markedState) as ValueMap,
      id,
      log: { info: log('info'), warn: log('warning') },
      signal: this.#cancelled.signal,
      isSecret: (property) => secrets.has(property),
    };
  }

  /** Marks outputs as secret: where the inputs are, where the table says so, and what was made of all inputs. */
  private outputs(type: AnyResourceType<Client>, markedInputs: ValueMap, state: ValueMap): ValueMap {
    const outputs = copySecretMarks(state, markedInputs) as ValueMap;
    delete outputs[defaultsKey];
    const tainted = containsSecret(markedInputs);
    for (const [key, property] of Object.entries<Property>({ ...type.outputs, ...type.inputs })) {
      const value = outputs[key];
      if (value === undefined || value instanceof Secret) continue;
      if (property.secret || (property.fromAllInputs && tainted)) outputs[key] = new Secret(value);
    }
    return outputs;
  }

  private unfinished(
    error: unknown,
    type: AnyResourceType<Client>,
    markedInputs: ValueMap,
    inputs: ValueMap,
  ): unknown {
    if (!(error instanceof Unfinished)) return error;
    const state = this.outputs(type, markedInputs, { ...storedInputs(type, inputs), ...error.state });
    return new UnfinishedResource(error.id, encode(state), encode(markedInputs), error.message);
  }
}

function propertyDiff(change: PropertyChange): messages.PropertyDiff {
  const kinds = {
    add: [changeKinds.ADD, changeKinds.ADD_REPLACE],
    delete: [changeKinds.DELETE, changeKinds.DELETE_REPLACE],
    update: [changeKinds.UPDATE, changeKinds.UPDATE_REPLACE],
  } as const;
  const diff = new messages.PropertyDiff();
  diff.setKind(kinds[change.kind][change.replaces ? 1 : 0]);
  return diff;
}

/** Runs a provider plugin until its engine goes. */
export async function runProvider<Client>(provider: Provider<Client>, version: string): Promise<void> {
  const server = new ProviderServer(provider, version);
  // The engine passes its own address as the last argument; the handshake repeats it.
  const address = process.argv.slice(2).at(-1);
  if (address && /:\d+$/.test(address)) server.attachLog(address);
  await servePlugin(ResourceProviderService, server.implementation, () => server.cancel());
}
