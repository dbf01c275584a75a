import { Socket } from 'node:net';

/**
 * Prints the TCP ports that take a connection, as JSON. A port that answers with a refusal is closed, one that does not
 * answer within a second is filtered; both are left out.
 *
 * usage: port-scan.ts ADDRESS PORTS [SOURCE-ADDRESS]        PORTS: e.g. 1-1024,5222
 */
const [address = '', asked = '', localAddress] = process.argv.slice(2);

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = new Socket();
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    // On a busy machine the answer may be there and not looked at yet: one more turn of the event loop.
    socket.setTimeout(1000, () => setImmediate(() => setImmediate(() => end(false))));
    socket.once('error', () => end(false));
    socket.once('connect', () => end(true));
    socket.connect({ port, host: address, ...(localAddress !== undefined && { localAddress }) });
  });
}

async function main(): Promise<void> {
  const ports = asked.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  const open: number[] = [];
  while (ports.length > 0) {
    const some = ports.splice(0, 3000);
    const answers = await Promise.all(some.map(isOpen));
    open.push(...some.filter((_, index) => answers[index]));
  }
  process.stdout.write(JSON.stringify(open));
}

void main();
