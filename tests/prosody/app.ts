import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A private key and its certificate, PEM. */
export interface Pair {
  key: string;
  certificate: string;
}

/** One event, as the app took it. */
export interface Told {
  id: string;
  type: string;
  timestamp: string;
  data: { [more: string]: unknown; sequence: number; room: string };
}

/** What the app answers: a status, `never` for no answer at all, `cut` for a closed connection. */
export type Answer = number | 'never' | 'cut';

/** The school's app, as far as the platform's signed events reach it. */
export class App {
  /** Every event that was answered with 2xx, in order, repeated ones too. */
  readonly told: Told[] = [];
  /** How many requests came, whatever was answered. */
  requests = 0;
  /** Signatures that did not fit. */
  readonly forged: string[] = [];
  private answers: Answer[] = [];
  private standing: Answer = 204;
  private readonly server: Server;

  private constructor(
    /** The key that it knows. */
    public secret: string,
    private readonly pair: Pair | undefined,
  ) {
    const take = (request: IncomingMessage, response: ServerResponse) => void this.take(request, response);
    this.server = pair
      ? createTlsServer({ key: pair.key, cert: pair.certificate }, take)
      : createServer(take);
  }

  /** With a key pair it is reached by HTTPS; at a socket's path instead of a port, when one is given. */
  static async start(secret: string, pair?: Pair, path?: string): Promise<App> {
    const app = new App(secret, pair);
    if (path === undefined) app.server.listen(0, '127.0.0.1');
    else app.server.listen(path);
    await once(app.server, 'listening');
    return app;
  }

  get url(): string {
    const scheme = this.pair ? 'https' : 'http';
    return `${scheme}://127.0.0.1:${(this.server.address() as AddressInfo).port}/webhooks/platform`;
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    request.setEncoding('utf8');
    for await (const chunk of request) body += chunk as string;
    this.requests += 1;
    const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = request.headers;
    const right = `v1,${createHmac('sha256', this.secret)
      .update(`${String(id)}.${String(at)}.${body}`)
      .digest('base64')}`;
    const given = Buffer.from(String(signature));
    const fits = given.length === right.length && timingSafeEqual(given, Buffer.from(right));
    if (!fits || Math.abs(Date.now() / 1000 - Number(at)) > 300) this.forged.push(String(signature));
    const answer = this.answers.shift() ?? this.standing;
    if (answer === 'never') return;
    if (answer === 'cut') return void request.socket.destroy();
    if (answer >= 200 && answer < 300) {
      this.told.push({ id: String(id), ...(JSON.parse(body) as Omit<Told, 'id'>) });
    }
    response.writeHead(answer).end();
  }

  /** What it answers from now on, after these. */
  answer(standing: Answer, ...first: Answer[]): void {
    this.standing = standing;
    this.answers = first;
  }

  /** What was told of a room, in order. */
  of(room: string): Told[] {
    return this.told.filter(({ data }) => data.room === room.split('@')[0]);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
