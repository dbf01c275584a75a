import { setTimeout as sleep } from 'node:timers/promises';

/** The few calls to Hetzner Cloud that operations make beside `pulumi up`. */

export interface HetznerServer {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  protection: { delete: boolean; rebuild: boolean };
}

interface Action {
  id: number;
  status: 'running' | 'success' | 'error';
  error: { code: string; message: string } | null;
}

/** What passes by itself: an action still runs on the server, or the service asks for patience. */
const passing = new Set([
  ...['locked', 'conflict', 'rate_limit_exceeded', 'service_error', 'unavailable'],
  // Of what stands in front of the service; their answers are pages, not JSON.
  ...['502', '503', '504'],
]);

/** What the service says is wrong, or the bare status where something else answered. */
function refusal({ status, statusText }: Response, text: string): { code: string; message: string } {
  try {
    const { error } = JSON.parse(text) as { error?: { code: string; message: string } };
    if (error) return error;
  } catch {
    // Not the service's own answer.
  }
  return { code: String(status), message: statusText };
}

/** A client of the service, with retries of what passes by itself for up to five minutes. */
export class Hetzner {
  /**
   * @param token API token that may read and write
   * @param endpoint default: the service's own, `https://api.hetzner.cloud/v1`
   * @param patience how long what passes by itself is waited for, and how long between two tries, in milliseconds
   */
  constructor(
    private readonly token: string,
    private readonly endpoint = 'https://api.hetzner.cloud/v1',
    private readonly patience = { until: 5 * 60_000, between: 2000 },
  ) {}

  /** @throws Error with the service's code and message, e.g. `not_found: server not found` */
  async server(id: string): Promise<HetznerServer> {
    return (await this.call<{ server: HetznerServer }>('GET', `servers/${id}`)).server;
  }

  /** Replaces all labels of a server. */
  async setLabels(id: string, labels: Record<string, string>): Promise<void> {
    await this.call('PUT', `servers/${id}`, { labels });
  }

  /** Lifts or sets the protection against deletion and rebuild; the service takes only both together. */
  protect(id: string, on: boolean): Promise<void> {
    return this.act(id, 'change_protection', { delete: on, rebuild: on });
  }

  /** Gives a server a fresh disk of an image; id, addresses and networks stay. */
  rebuild(id: string, image: string, userData: string): Promise<void> {
    return this.act(id, 'rebuild', { image, user_data: userData });
  }

  private async act(id: string, name: string, body: object): Promise<void> {
    const begun = await this.call<{ action: Action }>('POST', `servers/${id}/actions/${name}`, body);
    let { action } = begun;
    for (const deadline = Date.now() + 15 * 60_000; action.status === 'running';) {
      if (Date.now() > deadline) throw new Error(`${name} of server ${id} has not ended within 15 minutes`);
      await sleep(1000);
      ({ action } = await this.call<{ action: Action }>('GET', `actions/${action.id}`));
    }
    if (action.status === 'error')
      throw new Error(`${name} of server ${id} failed: ${action.error?.code}: ${action.error?.message}`);
  }

  private async call<T>(method: string, path: string, body?: object): Promise<T> {
    for (const deadline = Date.now() + this.patience.until; ;) {
      const response = await fetch(`${this.endpoint}/${path}`, {
        method,
        headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
        signal: AbortSignal.timeout(30_000),
        ...(body && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as T;
      const { code, message } = refusal(response, text);
      if (!passing.has(code) || Date.now() > deadline) throw new Error(`${code}: ${message}`);
      await sleep(this.patience.between);
    }
  }
}
