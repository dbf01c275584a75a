import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { freePort } from '../host/prosody-host';

export interface Event {
  type: string;
  timestamp: string;
  data: Record<string, unknown> & { meta?: Record<string, unknown> & { part: string } };
}

/** The app's end of the webhooks: checks each signature, and keeps one recording for each part. */
export class LessonApp {
  static readonly secret = 'a webhook secret of this test, 123';
  readonly catalogue = new Map<string, Event>();
  readonly events: { id: string; event: Event }[] = [];
  /** Status of the answers. */
  answers = 204;
  private server: Server | undefined;

  private constructor(readonly port: number) {}

  static async start(): Promise<LessonApp> {
    const app = new LessonApp(await freePort());
    await app.open();
    return app;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/webhooks/platform`;
  }

  async open(): Promise<void> {
    this.server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const body = Buffer.concat(pieces).toString();
        const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = request.headers;
        const wanted = createHmac('sha256', LessonApp.secret)
          .update(`${String(id)}.${String(at)}.${body}`)
          .digest('base64');
        const late = Math.abs(Date.now() / 1000 - Number(at)) > 300;
        if (signature !== `v1,${wanted}` || late || request.method !== 'POST') {
          response.writeHead(401).end();
          return;
        }
        if (this.answers < 300) {
          const event = JSON.parse(body) as Event;
          this.events.push({ id: String(id), event });
          if (event.data.meta) this.catalogue.set(event.data.meta.part, event);
        }
        response.writeHead(this.answers).end();
      });
    });
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  close(): void {
    this.server?.close();
    this.server?.closeAllConnections();
  }
}
