import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Cloud } from './cloud';
import { RemoteCommands } from './commands';
import { ApiError } from './errors';
import { setStock } from './hetzner/catalogue-routes';
import { parseBody } from './input';
import type { RequestLog } from './request-log';

const stock = z.strictObject({ serverType: z.string(), location: z.string(), available: z.boolean() });

/**
 * What no real cloud has, under `/local`: status, request log, faults, stock, remote commands, shutdown. It asks for
 * no token, but takes no request that a web page could send.
 */
export function sideDoor(app: FastifyInstance, cloud: Cloud, log: RequestLog, shutdown: () => void): void {
  const startedAt = new Date().toISOString();
  const { faults, store } = cloud;
  const commands = new RemoteCommands(cloud);

  void app.register(
    (scope, _options, done) => {
      scope.addHook('onRequest', async (request, reply) => {
        const host = request.hostname;
        if (request.headers.origin !== undefined || !['127.0.0.1', 'localhost'].includes(host)) {
          await refuse(reply, new ApiError('forbidden', 'not for web pages'));
        }
      });
      scope.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
        if (error instanceof ApiError) return refuse(reply, error);
        const status = error.statusCode ?? 500;
        return reply
          .code(status)
          .send({ error: { code: 'server_error', message: error.message, details: null } });
      });

      scope.get('/status', () => ({
        pid: process.pid,
        startedAt,
        machines: cloud.driver.boots,
        servers: store.state.servers.size,
      }));
      scope.get<{ Querystring: { since?: string } }>('/requests', ({ query }) =>
        log.list(Number(query.since ?? 0)),
      );

      scope.get('/faults', () => faults.list());
      scope.post('/faults', async ({ body }, reply) => reply.code(201).send(faults.add(body)));
      scope.delete('/faults', async (_request, reply) => {
        faults.clear();
        return reply.code(204).send();
      });

      scope.post('/stock', async ({ body }) => {
        const given = parseBody(stock, body);
        setStock(store.state, given.serverType, given.location, given.available);
        store.touch();
        await store.durable();
        return { soldOut: store.state.soldOut };
      });

      scope.get('/commands', () => commands.list());
      scope.post('/commands', ({ body }) => commands.run(body));

      scope.post('/shutdown', async (_request, reply) => {
        await reply.code(202).send({ pid: process.pid });
        shutdown();
      });
      done();
    },
    { prefix: '/local' },
  );
}

function refuse(reply: FastifyReply, { status, code, message, details }: ApiError): FastifyReply {
  return reply.code(status).send({ error: { code, message, details } });
}
