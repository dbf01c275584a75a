/** JSON over HTTP with the retries of the official clients, for the plugins that speak to an API. */
import { setTimeout as sleep } from 'node:timers/promises';

/** An answer that says no. `code` is the service's own, such as `uniqueness_error`. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface HttpApi {
  baseUrl: string;
  token: string;
  /** Takes the service's error out of an answer's body; undefined when the body holds none. */
  errorOf(status: number, body: unknown): ApiError | undefined;
  /** Codes after which the same request is sent again. */
  retryCodes: ReadonlySet<string>;
}

/** As hcloud-go: five retries, waiting 1, 2, 4, 8, 16 s in production; a local cloud does not need such pauses. */
const retries = 5;
const firstPause = 250;
const timeout = 60_000;

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

/** "fetch failed" says nothing; the cause does (`ECONNREFUSED`, `other side closed`). */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : error;
  const code = (cause as NodeJS.ErrnoException).code;
  return cause.message || code || error.message;
}

/**
 * Sends one request and returns the answer's body (undefined when it has none).
 *
 * Conflicts, rate limits, gateway errors and time-outs are retried with growing pauses. A connection that breaks is
 * not: whether the service did the work is then unknown. For the same reason cancelling only ends the pauses.
 *
 * @throws {@link ApiError} for an answer that says no; Error when there was no answer.
 */
export async function send(
  api: HttpApi,
  method: string,
  path: string,
  body: unknown,
  signal: AbortSignal,
  more: { retryCodes?: readonly string[]; headers?: Record<string, string> } = {},
): Promise<unknown> {
  for (let attempt = 0; ; attempt++) {
    const last = attempt === retries;
    let failure: Error;
    try {
      const response = await fetch(`${api.baseUrl}${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${api.token}`,
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
          ...more.headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeout),
      });
      const text = await response.text();
      let parsed: unknown;
      try {
        parsed = text === '' ? undefined : JSON.parse(text);
      } catch {
        parsed = undefined;
      }
      if (response.ok) return parsed;
      const error =
        api.errorOf(response.status, parsed) ??
        new ApiError(
          response.status,
          `http_${response.status}`,
          `${method} ${path} answered ${response.status}`,
        );
      const again =
        response.status === 502 ||
        response.status === 504 ||
        api.retryCodes.has(error.code) ||
        more.retryCodes?.includes(error.code);
      if (!again) throw error;
      failure = error;
    } catch (error) {
      if (error instanceof ApiError) throw error;
      failure = new Error(`${method} ${api.baseUrl}${path}: no answer: ${reasonOf(error)}`);
      if (!isTimeout(error)) throw failure;
    }
    if (last) throw failure;
    await sleep(firstPause * 2 ** attempt, undefined, { signal });
  }
}

/**
 * The address of a local API, from a plugin's configuration or environment.
 *
 * @throws when it is missing or not on this machine: a stand-in must never speak to a real account.
 */
export function loopbackUrl(setting: string, value: string | undefined, example: string): string {
  if (!value) {
    throw new Error(
      `${setting} is not set: the stand-in plugin works on a local cloud only; for example ${example}`,
    );
  }
  let host: string;
  try {
    host = new URL(value).hostname;
  } catch {
    throw new Error(`${setting}: ${JSON.stringify(value)} is not an address; for example ${example}`);
  }
  if (!['localhost', '[::1]'].includes(host) && !/^127\.\d+\.\d+\.\d+$/.test(host)) {
    throw new Error(
      `${setting}: ${JSON.stringify(value)} is not on this machine: the stand-in plugin works on a local cloud only; for example ${example}`,
    );
  }
  return value.replace(/\/+$/, '');
}
