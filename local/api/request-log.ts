export interface LoggedRequest {
  n: number;
  at: string;
  method: string;
  /** With its query; never a header or body. */
  path: string;
  /** 0 when the connection was broken off without an answer, null while it is being answered. */
  status: number | null;
  /** The error's code, or what a fault did. */
  code?: string;
}

const KEPT = 20_000;

/** The last requests to the APIs, without their bodies, tokens and answers. */
export class RequestLog {
  private readonly requests: LoggedRequest[] = [];
  private last = 0;

  /** @param print told each request when it is answered, as one line */
  constructor(private readonly print: (line: string) => void = () => undefined) {}

  begin(method: string, path: string): LoggedRequest {
    const entry = { n: ++this.last, at: new Date().toISOString(), method, path, status: null };
    this.requests.push(entry);
    if (this.requests.length > KEPT) this.requests.shift();
    return entry;
  }

  end(entry: LoggedRequest, status: number, code?: string): void {
    entry.status = status;
    if (code !== undefined) entry.code = code;
    this.print([entry.at, entry.method, entry.path, status, code ?? ''].join(' ').trimEnd());
  }

  /** @param since leaves out requests up to this number */
  list(since = 0): LoggedRequest[] {
    return this.requests.filter((entry) => entry.n > since);
  }
}
