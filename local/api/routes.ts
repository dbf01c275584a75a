/** What a handler gets of a request. */
export interface Call {
  method: string;
  /** Without the query. */
  path: string;
  params: Record<string, string>;
  query: URLSearchParams;
  headers: Record<string, string | string[] | undefined>;
  /** Parsed JSON, undefined for an empty body. */
  body: unknown;
}

export interface Answer {
  /** 200 unless said otherwise. */
  status?: number;
  /** Left out for an empty answer. */
  body?: object;
}

/**
 * Answers a request in one go: all checks first, then all changes, nothing awaited. So no other request and no
 * write of the state ever sees half of it.
 */
export type Handler = (call: Call) => Answer;

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Route {
  method: Method;
  /** In Fastify's notation, below the API's prefix, e.g. `/servers/:id`. */
  path: string;
  handler: Handler;
}

/** Collects the routes of one API. */
export class Routes {
  readonly list: Route[] = [];

  get = (path: string, handler: Handler) => this.add('GET', path, handler);
  post = (path: string, handler: Handler) => this.add('POST', path, handler);
  put = (path: string, handler: Handler) => this.add('PUT', path, handler);
  patch = (path: string, handler: Handler) => this.add('PATCH', path, handler);
  delete = (path: string, handler: Handler) => this.add('DELETE', path, handler);

  private add(method: Method, path: string, handler: Handler): void {
    this.list.push({ method, path, handler });
  }
}
