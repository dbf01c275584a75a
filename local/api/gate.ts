import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Outcome } from './actions';
import type { Cloud } from './cloud';
import { ApiError } from './errors';
import type { RequestOutcome } from './faults';
import type { RequestLog } from './request-log';
import type { Answer, Call, Handler, Routes } from './routes';

/** What a request is answered, with the error's code for the log. */
interface Verdict {
  status: number;
  code?: string;
  body?: object;
}

/** One of the two APIs: where it is, who may use it, and how it says no. */
export interface Dialect {
  prefix: string;
  /** Bearer tokens that it takes. */
  tokens: string[];
  renderError(status: number, code: string | number, message: string, details: unknown): object;
  headers?(): Record<string, string>;
  routes: Routes;
}

/**
 * Serves one API. The way of each request: fault, token, handler (synchronous), state on the disk, answer, log.
 */
export function serve(app: FastifyInstance, cloud: Cloud, log: RequestLog, dialect: Dialect): void {
  const refusal = (
    status: number,
    code: string | number,
    message: string,
    details: unknown = null,
  ): Verdict => ({
    status,
    code: String(code),
    body: dialect.renderError(status, code, message, details),
  });
  const refuse = (error: unknown): Verdict => {
    if (error instanceof ApiError) return refusal(error.status, error.code, error.message, error.details);
    return refusal(
      500,
      'server_error',
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    );
  };

  const decide = (call: Call, fault: RequestOutcome | undefined, handler: Handler): Verdict => {
    try {
      if (fault && 'error' in fault)
        return refusal(fault.error.status, fault.error.code, fault.error.message);
      if (fault && 'rateLimit' in fault) {
        throw new ApiError('rate_limit_exceeded', 'limit of 3600 requests per hour reached');
      }
      if (!authorized(call.headers.authorization, dialect.tokens)) {
        throw new ApiError('unauthorized', 'the token you have provided is invalid');
      }
      const { status = 200, body } = cloud.actions.withOutcome(outcomeOf(fault), () => handler(call));
      if (call.method !== 'GET') cloud.store.touch();
      return { status, body };
    } catch (error) {
      return refuse(error);
    }
  };

  const guarded = (handler: Handler) => async (request: FastifyRequest, reply: FastifyReply) => {
    const url = new URL(request.url, 'http://local');
    const entry = log.begin(request.method, request.url);
    const fault = cloud.faults.forRequest(request.method, url.pathname);
    if (fault && 'breakConnection' in fault) {
      log.end(entry, 0, 'connection broken');
      return breakOff(request, reply);
    }

    const call: Call = {
      method: request.method,
      path: url.pathname,
      params: request.params as Record<string, string>,
      query: url.searchParams,
      headers: request.headers,
      body: request.body,
    };
    const decided = decide(call, fault, handler);
    const verdict = await cloud.store.durable().then(() => decided, refuse);

    if (fault && 'loseAnswer' in fault) {
      log.end(entry, 0, 'answer lost');
      return breakOff(request, reply);
    }
    log.end(entry, verdict.status, verdict.code);
    reply.code(verdict.status).headers(dialect.headers?.() ?? {});
    if (fault && 'rateLimit' in fault) reply.header('ratelimit-remaining', '0');
    return reply.send(verdict.body);
  };

  void app.register(
    (scope, _options, done) => {
      for (const { method, path, handler } of dialect.routes.list) {
        scope.route({ method, url: path, handler: guarded(handler) });
      }
      const nothingHere = ({ method, path }: Call): Answer => {
        throw new ApiError('not_found', `the local cloud does not serve ${method} ${path}`);
      };
      scope.setNotFoundHandler(guarded(nothingHere));
      scope.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
        const status = error.statusCode ?? 500;
        const code = status === 400 ? 'json_error' : 'server_error';
        log.end(log.begin(request.method, request.url), status, code);
        return reply.code(status).send(dialect.renderError(status, code, error.message, null));
      });
      done();
    },
    { prefix: dialect.prefix },
  );
}

function outcomeOf(fault: RequestOutcome | undefined): Outcome | undefined {
  if (fault && 'actionFails' in fault) return { failsWith: fault.actionFails, takesMs: fault.afterMs };
  if (fault && 'actionTakesMs' in fault) return { takesMs: fault.actionTakesMs };
  return undefined;
}

function breakOff(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack();
  request.raw.socket.destroy();
  return reply;
}

function authorized(header: string | string[] | undefined, tokens: string[]): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const given = digest(String(header ?? '').replace(/^Bearer /i, ''));
  return tokens.some((token) => timingSafeEqual(given, digest(token)));
}
