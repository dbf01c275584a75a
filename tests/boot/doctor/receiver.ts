import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

/**
 * Takes what is posted to it, over TLS, and prints the path and the body of each as a line of JSON.
 *
 * usage: receiver.ts ADDRESS PORT KEY-FILE CERTIFICATE-FILE
 */
const [address, port, key, certificate] = process.argv.slice(2) as [string, string, string, string];

createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => (body += text));
  request.on('end', () => {
    process.stdout.write(`${JSON.stringify({ path: request.url, body: JSON.parse(body) as unknown })}\n`);
    response.end('ok');
  });
}).listen(Number(port), address);
