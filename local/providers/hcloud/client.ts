/** The Hetzner Cloud API as the provider uses it: requests, actions that are waited for, lists in pages. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, loopbackUrl, send, type HttpApi } from '../http';

export interface Action {
  id: number;
  command: string;
  status: 'running' | 'success' | 'error';
  error: { code: string; message: string } | null;
}

/** `next_actions` only comes with a new server. */
interface WithActions {
  action?: Action | null;
  actions?: Action[];
  next_actions?: Action[];
}

/** Longest pause between two looks at an action; the first ones come sooner (hcloud-go: 500 ms always). */
const slowestPoll = 500;

interface ErrorBody {
  error?: {
    code?: string;
    message?: string;
    details?: { fields?: { name: string; messages?: string[] }[] } | null;
  };
}

export class HetznerClient {
  readonly #api: HttpApi;

  constructor(
    endpoint: string,
    token: string,
    private readonly signal: AbortSignal,
    private readonly poll = slowestPoll,
  ) {
    this.#api = {
      baseUrl: endpoint,
      token,
      retryCodes: new Set(['conflict', 'rate_limit_exceeded', 'timeout']),
      errorOf(status, body) {
        const error = (body as ErrorBody | undefined)?.error;
        if (!error?.code) return undefined;
        const fields = error.details?.fields ?? [];
        const detail = fields
          .map((field) => `${field.name}: ${(field.messages ?? []).join(', ')}`)
          .join('; ');
        // The service's own message first, then its code: people search for both.
        return new ApiError(
          status,
          error.code,
          `${error.message} (${error.code})${detail ? `: ${detail}` : ''}`,
        );
      },
    };
  }

  /**
   * @param retry further codes of the service after which the request is repeated.
   * @throws {@link ApiError}
   */
  async request<T>(method: string, path: string, body?: object, retry: readonly string[] = []): Promise<T> {
    return (await send(this.#api, method, path, body, this.signal, { retryCodes: retry })) as T;
  }

  get<T>(path: string): Promise<T> {
    return this.request<T>('GET', path);
  }

  /** Like {@link get}, but undefined for what does not exist. */
  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'not_found') return undefined;
      throw error;
    }
  }

  /** All pages of a list; `kind` is the key of the items in the answer. */
  async list<T>(path: string, kind: string, query: Record<string, string> = {}): Promise<T[]> {
    const items: T[] = [];
    for (let page: number | null = 1; page !== null;) {
      const search = new URLSearchParams({ ...query, page: String(page), per_page: '50' }).toString();
      const answer: Record<string, unknown> = await this.get(`${path}?${search}`);
      items.push(...(answer[kind] as T[]));
      page = (answer.meta as { pagination: { next_page: number | null } }).pagination.next_page;
    }
    return items;
  }

  /** Sends a request and waits for what it set in motion. */
  async act(method: string, path: string, body?: object, retry: readonly string[] = []): Promise<void> {
    const answer = await this.request<WithActions | undefined>(method, path, body, retry);
    await this.finish(answer);
  }

  /**
   * Waits for the actions that an answer names.
   *
   * @throws the service's error of the first action that failed.
   */
  async finish(answer: WithActions | undefined): Promise<void> {
    const actions = [answer?.action, ...(answer?.actions ?? []), ...(answer?.next_actions ?? [])];
    let running = actions.filter((action): action is Action => Boolean(action));
    for (let pause = 60; ; pause = Math.min(pause * 2, this.poll)) {
      const failed = running.find((action) => action.status === 'error');
      if (failed) {
        const { code, message } = failed.error ?? { code: 'action_failed', message: 'no reason given' };
        throw new ApiError(0, code, `${failed.command} failed: ${message} (${code})`);
      }
      running = running.filter((action) => action.status === 'running');
      if (running.length === 0) return;
      await sleep(pause, undefined, { signal: this.signal });
      const query = running.map((action) => `id=${action.id}`).join('&');
      running = (await this.get<{ actions: Action[] }>(`/actions?${query}`)).actions;
    }
  }

  /** Deletes; that it is already gone is as good. */
  async remove(path: string, retry: readonly string[] = []): Promise<void> {
    try {
      await this.act('DELETE', path, undefined, retry);
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'not_found')) throw error;
    }
  }
}

/** Reads `token`, `endpoint`, `pollInterval` from the configuration, the first two else from the environment. */
export function connect(config: Record<string, string | undefined>, cancelled: AbortSignal): HetznerClient {
  const endpoint = loopbackUrl(
    'hcloud:endpoint (or HCLOUD_ENDPOINT)',
    config.endpoint ?? process.env.HCLOUD_ENDPOINT,
    'http://127.0.0.1:8080/v1',
  );
  const token = config.token ?? process.env.HCLOUD_TOKEN;
  if (!token || token.length !== 64) {
    throw new Error(
      `hcloud:token (or HCLOUD_TOKEN) ${token ? `has ${token.length} characters` : 'is not set'}: the service's tokens have 64`,
    );
  }
  const interval = /^(\d+)ms$/.exec(config.pollInterval ?? '')?.[1];
  return new HetznerClient(endpoint, token, cancelled, interval ? Number(interval) : slowestPoll);
}
