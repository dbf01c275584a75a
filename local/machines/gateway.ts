import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { join, normalize } from 'node:path';
import { forward } from './forward';
import { metadataText, type Metadata } from './metadata';
import { metadataAddress, repositoryPort, routerAddress } from './network';

/**
 * What the machines and the operator's programs reach in the gateway's network namespace: the local cloud's API at the
 * address that it has outside, the package cache, the service's metadata, and the stack's own package repository.
 * Network namespaces do not part Unix sockets: the way out is by them.
 *
 * usage (in the namespace): gateway.ts '{"run": FOLDER, "apiPort": N, "repository": FOLDER | null}'
 */
export interface GatewayOptions {
  /** Folder with `api.sock`, `packages.sock` and `metadata/ADDRESS.json`. */
  run: string;
  apiPort: number;
  repository: string | null;
}

/** Where machines reach the package cache, an HTTP proxy; the image's apt is told so. */
const packageCachePort = 3142;

async function answerMetadata(
  run: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const address = request.socket.remoteAddress ?? '';
  let text: string | Buffer | undefined;
  try {
    const metadata = JSON.parse(await readFile(join(run, 'metadata', `${address}.json`), 'utf8')) as Metadata;
    text =
      request.url === '/hetzner/v1/userdata'
        ? await readFile(metadata.userDataFile)
        : metadataText(metadata, request.url ?? '');
  } catch {
    text = undefined;
  }
  response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(text ?? 'not found\n');
}

async function answerRepository(
  folder: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://repository').pathname));
  const file = join(folder, path);
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-length': found.size, 'last-modified': found.mtime.toUTCString() });
  if (request.method === 'HEAD') response.end();
  else createReadStream(file).pipe(response);
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}

async function main(): Promise<void> {
  const { run, apiPort, repository } = JSON.parse(process.argv[2] ?? '') as GatewayOptions;
  await forward({ port: apiPort, host: '127.0.0.1' }, { path: join(run, 'api.sock') });
  await forward({ port: packageCachePort, host: routerAddress }, { path: join(run, 'packages.sock') });
  const metadata = createServer((request, response) => void answerMetadata(run, request, response));
  await listen(metadata, 80, metadataAddress);
  if (repository !== null) {
    const server = createServer((request, response) => {
      answerRepository(repository, request, response).catch(() => response.destroy());
    });
    await listen(server, repositoryPort, routerAddress);
  }
  process.stdout.write('ready\n');
}

if (require.main === module) {
  main().catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  });
}
