/**
 * Pulumi's plugin protocol, as far as this folder uses it.
 *
 * The generated stubs are internal paths of `@pulumi/pulumi` and may move with any release, so they are imported
 * here and nowhere else, and that package's version is pinned.
 */
import * as grpc from '@grpc/grpc-js';
import { Any } from 'google-protobuf/google/protobuf/any_pb';
import { Empty } from 'google-protobuf/google/protobuf/empty_pb';
import { Struct } from 'google-protobuf/google/protobuf/struct_pb';
import { LogRequest, LogSeverity } from '@pulumi/pulumi/proto/engine_pb';
import { EngineClient } from '@pulumi/pulumi/proto/engine_grpc_pb';
import { ErrorResourceInitFailed } from '@pulumi/pulumi/proto/provider_pb';
import { Status } from '@pulumi/pulumi/proto/status_pb';

export * as providerMessages from '@pulumi/pulumi/proto/provider_pb';
export { ResourceProviderService } from '@pulumi/pulumi/proto/provider_grpc_pb';
export * as languageMessages from '@pulumi/pulumi/proto/language_pb';
export { LanguageRuntimeService } from '@pulumi/pulumi/proto/language_grpc_pb';
export { PluginInfo, PluginDependency } from '@pulumi/pulumi/proto/plugin_pb';
export { PackageDependency } from '@pulumi/pulumi/proto/plugin_pb';
export { Empty, Struct, grpc };

/** Whole host plans travel in one message, and user data in another: no limit of gRPC's own (4 MiB) applies. */
const messageSize = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

/** A resource exists under `id` although its creation or update did not finish; the engine keeps `state`. */
export class UnfinishedResource extends Error {
  constructor(
    readonly id: string,
    readonly state: Struct,
    readonly inputs: Struct,
    reason: string,
  ) {
    super(reason);
  }
}

/** What a handler throws to answer with a gRPC status other than UNKNOWN. */
export class StatusError extends Error {
  constructor(
    readonly code: grpc.status,
    message: string,
  ) {
    super(message);
  }
}

function toServiceError(error: unknown): Partial<grpc.ServiceError> {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof StatusError) {
    return { code: error.code, details: message };
  }
  if (!(error instanceof UnfinishedResource)) {
    return { code: grpc.status.UNKNOWN, details: message };
  }
  const detail = new ErrorResourceInitFailed();
  detail.setId(error.id);
  detail.setProperties(error.state);
  detail.setInputs(error.inputs);
  detail.setReasonsList([message]);
  const any = new Any();
  any.pack(detail.serializeBinary(), 'pulumirpc.ErrorResourceInitFailed');
  const status = new Status();
  status.setCode(grpc.status.UNKNOWN);
  status.setMessage(message);
  status.addDetails(any);
  const metadata = new grpc.Metadata();
  metadata.add('grpc-status-details-bin', Buffer.from(status.serializeBinary()));
  return { code: grpc.status.UNKNOWN, details: message, metadata };
}

/** Makes a gRPC handler of a function of the request; what it throws becomes the call's status. */
export function unary<Request, Response>(
  answer: (request: Request) => Response | Promise<Response>,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => answer(call.request))
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(toServiceError(error)),
      );
  };
}

/**
 * Serves one plugin on a free loopback port and prints the port, as the engine expects of a plugin it has started.
 *
 * @param onEnd called once when the engine is gone: it holds the plugin's standard input open while it lives, so
 *   its end is seen even when the engine was killed.
 */
export async function servePlugin(
  service: grpc.ServiceDefinition,
  implementation: grpc.UntypedServiceImplementation,
  onEnd: () => void,
): Promise<void> {
  const server = new grpc.Server(messageSize);
  server.addService(service, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    onEnd();
    server.forceShutdown();
    process.exit(0);
  };
  process.stdin.on('end', end).on('error', end).resume();
  // The engine ends a plugin by SIGINT to the plugin's own process group (CTRL_BREAK on Windows); a person's Ctrl-C
  // only reaches the engine, which then cancels by call and waits for what is under way.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGBREAK'] as const) process.on(signal, end);
  process.stdout.write(`${port}\n`);
}

export type Severity = 'debug' | 'info' | 'warning' | 'error';

/** Writes to the engine's log, shown on the user's screen beside the resource `urn`. */
export class EngineLog {
  readonly #client: EngineClient;

  constructor(address: string) {
    this.#client = new EngineClient(address, grpc.credentials.createInsecure(), messageSize);
  }

  write(severity: Severity, urn: string, message: string): Promise<void> {
    const request = new LogRequest();
    request.setSeverity(
      {
        debug: LogSeverity.DEBUG,
        info: LogSeverity.INFO,
        warning: LogSeverity.WARNING,
        error: LogSeverity.ERROR,
      }[severity],
    );
    request.setUrn(urn);
    request.setMessage(message);
    return new Promise((resolve) => {
      // The log is a courtesy: an engine that no longer listens is no reason to fail a resource.
      this.#client.log(request, () => resolve());
    });
  }
}
