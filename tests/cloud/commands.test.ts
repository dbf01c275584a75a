import { expect, test } from 'vitest';
import {
  ended,
  runningServer,
  serverOrder,
  startedCloud,
  type ErrorAnswer,
  type ServerAnswer,
} from './local-cloud';

interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

const command = (host: string, more: object = {}) => ({
  host,
  port: 22,
  user: 'root',
  phase: 'create',
  command: 'platform-converge',
  stdinSecret: false,
  ...more,
});

test('they reach running servers by public and private address, and are recorded in order', async () => {
  const { hetzner, local } = await startedCloud();
  const { body } = await hetzner<{ network: { id: number } }>('POST', '/networks', {
    name: 'n',
    ip_range: '10.10.0.0/16',
    subnets: [{ type: 'cloud', ip_range: '10.10.0.0/16', network_zone: 'eu-central' }],
  });
  const server = await runningServer(hetzner, 'jitsi-1', { networks: [body.network.id] });
  const ipv4 = server.public_net.ipv4!.ip;

  const first = await local<CommandResult>('POST', '/commands', command(ipv4, { stdinSecret: true }));
  expect(first.body).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  await local('POST', '/commands', command('10.10.0.2', { phase: 'update', stdin: 'plan' }));
  const nobody = await local<CommandResult>('POST', '/commands', command('198.18.77.7'));
  expect(nobody.body).toMatchObject({
    exitCode: 255,
    stderr: expect.stringContaining('No route to host') as string,
  });

  const { body: recorded } = await local<object[]>('GET', '/commands');
  expect(recorded).toMatchObject([
    { n: 1, server: 'jitsi-1', phase: 'create', stdin: '[secret]', exitCode: 0 },
    { n: 2, server: 'jitsi-1', host: '10.10.0.2', phase: 'update', stdin: 'plan' },
    { n: 3, server: null, host: '198.18.77.7', stdin: null, exitCode: 255 },
  ]);
});

test('a server that is off is not reached, one that is being made refuses', async () => {
  const { hetzner, local } = await startedCloud();
  const server = await runningServer(hetzner, 'off-soon');
  const host = server.public_net.ipv4!.ip;
  const { body } = await hetzner<ServerAnswer>('POST', `/servers/${server.id}/actions/poweroff`);
  await ended(hetzner, body.action.id);
  const off = await local<CommandResult>('POST', '/commands', command(host));
  expect(off.body).toMatchObject({ exitCode: 255, stderr: expect.stringContaining('No route') as string });

  await local('POST', '/faults', { on: { path: '^/v1/servers$' }, then: { actionTakesMs: 3_600_000 } });
  const made = (await hetzner<ServerAnswer>('POST', '/servers', serverOrder('new'))).body.server;
  const early = await local<CommandResult>('POST', '/commands', command(made.public_net.ipv4!.ip));
  expect(early.body).toMatchObject({
    exitCode: 255,
    stderr: expect.stringContaining('Connection refused') as string,
  });
});

test('a fault decides how one ends', async () => {
  const { hetzner, local } = await startedCloud();
  const server = await runningServer(hetzner, 'recorder-7');
  const host = server.public_net.ipv4!.ip;
  await local('POST', '/faults', {
    onCommand: { server: '^recorder-', phase: 'delete', command: 'drain' },
    then: { exitCode: 75, stderr: 'lesson 9b still runs', takesMs: 20 },
  });
  const drain = command(host, { phase: 'delete', command: 'platform-drain recorder-7' });
  expect((await local<CommandResult>('POST', '/commands', command(host))).body.exitCode).toBe(0);
  const failed = await local<CommandResult>('POST', '/commands', drain);
  expect(failed.body).toEqual({ exitCode: 75, stdout: '', stderr: 'lesson 9b still runs' });
  expect((await local<CommandResult>('POST', '/commands', drain)).body.exitCode).toBe(0);
});

test('a secret that is sent all the same is refused and not kept', async () => {
  const { local } = await startedCloud();
  const sent = await local<ErrorAnswer>(
    'POST',
    '/commands',
    command('10.0.0.9', { stdin: 'hunter2', stdinSecret: true }),
  );
  expect(sent.status).toBe(422);
  expect(JSON.stringify(sent.body) + JSON.stringify((await local('GET', '/commands')).body)).not.toContain(
    'hunter2',
  );
});
