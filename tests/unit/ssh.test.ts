import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Server, utils } from 'ssh2';
import { runOverSsh, type SshTarget } from '../../operations/ssh';

const deploy = utils.generateKeyPairSync('ed25519');
const stranger = utils.generateKeyPairSync('ed25519');
const accepted = utils.parseKey(deploy.public);
if (accepted instanceof Error) throw accepted;
const blob = accepted.getPublicSSH();

/** An SSH server that takes the deploy key; a command is answered with itself and its input, `hang` never. */
async function sshServer(): Promise<{ server: Server; port: number; hostKey: string; reached: string[] }> {
  const own = utils.generateKeyPairSync('ed25519');
  const reached: string[] = [];
  const server = new Server({ hostKeys: [own.private] }, (client) => {
    client.on('error', () => undefined);
    client.on('authentication', (context) => {
      if (context.method === 'publickey' && context.key.data.equals(blob)) context.accept();
      else context.reject(['publickey']);
    });
    client.on('session', (accept) =>
      accept().on('exec', (take, _refuse, { command }) => {
        const channel = take();
        if (command === 'hang') return;
        let input = '';
        channel.on('data', (text: Buffer) => (input += text.toString()));
        channel.on('end', () => {
          channel.write(`${command}<${input}`);
          channel.stderr.write('told\n');
          channel.exit(command === 'fail' ? 3 : 0);
          channel.end();
        });
      }),
    );
    client.on('tcpip', (accept, _refuse, { destIP, destPort }) => {
      reached.push(`${destIP}:${destPort}`);
      const channel = accept();
      const onward = connect(destPort, destIP);
      channel.pipe(onward).pipe(channel);
      onward.on('error', () => channel.end());
      channel.on('error', () => onward.destroy());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port, hostKey: own.public, reached };
}

describe('a command over SSH', () => {
  let host: Awaited<ReturnType<typeof sshServer>>;
  let bastion: Awaited<ReturnType<typeof sshServer>>;
  const target = (more: Partial<SshTarget> = {}): SshTarget => ({
    host: '127.0.0.1',
    port: host.port,
    user: 'root',
    privateKey: deploy.private,
    hostKey: host.hostKey,
    ...more,
  });
  beforeAll(async () => {
    [host, bastion] = [await sshServer(), await sshServer()];
  });
  afterAll(() => {
    host.server.close();
    bastion.server.close();
  });

  test('gives output, exit status and takes input', async () => {
    expect(await runOverSsh(target(), 'fail', { stdin: 'in' })).toEqual({
      code: 3,
      stdout: 'fail<in',
      stderr: 'told\n',
    });
  });

  test('goes over the bastion, whose key is another', async () => {
    const way = { ...target(), port: bastion.port, hostKey: bastion.hostKey };
    expect(await runOverSsh(target({ bastion: way }), 'ls')).toMatchObject({ code: 0, stdout: 'ls<' });
    expect(bastion.reached).toEqual([`127.0.0.1:${host.port}`]);
    await expect(runOverSsh(target({ bastion: { ...way, hostKey: host.hostKey } }), 'ls')).rejects.toThrow(
      /does not show the host key/,
    );
  });

  test('is not given to a host with another key than the pinned one', async () => {
    await expect(runOverSsh(target({ hostKey: bastion.hostKey }), 'ls')).rejects.toThrow(
      /does not show the host key of the stack/,
    );
  });

  test('says that the deploy key is not taken', async () => {
    await expect(runOverSsh(target({ privateKey: stranger.private }), 'ls')).rejects.toThrow(
      /does not take the deploy key/,
    );
  });

  test('says that nothing listens, and does not quote a key that cannot be read', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await expect(runOverSsh(target({ port }), 'ls')).rejects.toThrow(/cannot be reached: .*ECONNREFUSED/);
    await expect(runOverSsh(target({ privateKey: 'SECRET' }), 'ls')).rejects.toThrow(/^(?!.*SECRET)/);
  });

  test('ends in time: a host that is silent, a command that hangs, somebody who has seen enough', async () => {
    const held: Socket[] = [];
    const silent = createServer((socket) => held.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    await expect(runOverSsh(target({ port }), 'ls', { connectSeconds: 0.2 })).rejects.toThrow(
      /cannot be reached: Timed out/,
    );
    held.forEach((socket) => socket.destroy());
    silent.close();
    await expect(runOverSsh(target(), 'hang', { seconds: 0.5 })).rejects.toThrow('no answer within 0.5 s');
    const ending = new AbortController();
    const running = runOverSsh(target(), 'hang', { signal: ending.signal });
    ending.abort();
    await expect(running).rejects.toThrow('ended');
  });
});
