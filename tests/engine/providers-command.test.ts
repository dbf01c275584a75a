import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FixtureStack, kinds, summary } from './fixture-stack';

const secret = 'the-secret-of-the-lessons';

interface Recorded {
  host: string;
  phase: string;
  command: string;
  stdin: string | null;
  exitCode: number;
}

describe('commands on this machine', { timeout: 60_000 }, () => {
  let stack: FixtureStack;
  let log: string;

  beforeAll(async () => {
    stack = await FixtureStack.start('command');
    log = path.join(stack.folder, 'deleted');
    stack.configure({ log });
  }, 60_000);
  afterAll(() => stack.close());

  it('run at up only, with their environment and input', async () => {
    const preview = await stack.run('preview');
    expect(preview.text).toContain('stdout: [unknown]');
    await stack.up();
    expect((await stack.outputs()).stdout).toBe('made with care\nplain input');
    expect(await stack.plan()).toEqual([]);
  });

  it('run their update when an input changes, with the last output at hand', async () => {
    stack.configure({ greeting: 'haste' });
    const steps = await stack.plan();
    expect(summary(steps)).toEqual(['update local']);
    expect(kinds(steps, 'local')).toEqual({ 'environment.GREETING': 'update' });
    await stack.up();
    expect((await stack.outputs()).stdout).toBe('changed, was: made with care\nplain input');
  });

  it('are replaced by a trigger: created anew, then the old one deleted', async () => {
    stack.configure({ trigger: '2' });
    const steps = await stack.plan();
    expect(summary(steps)).toContain('replace local');
    expect(kinds(steps, 'local')).toEqual({ 'triggers[0]': 'update-replace' });
    await stack.up();
    expect((await stack.outputs()).stdout).toBe('made with haste\nplain input');
    expect(readFileSync(log, 'utf8')).toBe('gone\n');
  });

  it('that fail are told with what they printed, but not with their input', async () => {
    stack.configure({ create: 'cat; echo broken >&2; exit 3', stdin: secret, trigger: '3' });
    const ran = await stack.failing('up', '--yes', '--skip-preview');
    expect(ran.text).toContain('exit status 3: running "cat; echo broken >&2; exit 3"');
    expect(ran.text).toContain('broken');
    expect(ran.text).not.toContain(secret);
    expect(await stack.exported()).not.toContain(secret);
  });
});

describe('commands on hosts while no machines boot', { timeout: 60_000 }, () => {
  let stack: FixtureStack;
  const commands = () => stack.call<Recorded[]>('GET', '/local/commands');

  beforeAll(async () => {
    stack = await FixtureStack.start('command');
    const { server } = await stack.call<{ server: { public_net: { ipv4: { ip: string } } } }>(
      'POST',
      '/v1/servers',
      {
        name: 'recorder-1',
        server_type: 'cx23',
        image: 'debian-12',
        location: 'fsn1',
      },
    );
    // Up when its creation's action has ended.
    await sleep(500);
    stack.configure({ log: path.join(stack.folder, 'deleted'), host: server.public_net.ipv4.ip });
  }, 60_000);
  afterAll(() => stack.close());

  it('are recorded, without a secret input', async () => {
    const ran = await stack.up();
    const recorded = await commands();
    expect(recorded).toHaveLength(3);
    expect(recorded).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          phase: 'create',
          command: 'platform-secrets',
          stdin: '[secret]',
          exitCode: 0,
        }),
        expect.objectContaining({
          phase: 'create',
          command: 'platform-converge',
          stdin: 'a host plan',
          exitCode: 0,
        }),
        expect.objectContaining({
          command: expect.stringMatching(/^copy .*Pulumi\.yaml \/tmp\/copied$/) as string,
        }),
      ]),
    );
    expect(ran.text).not.toContain(secret);
    expect(await stack.exported()).not.toContain(secret);
    expect(await stack.plan()).toEqual([]);
  });

  it('refuse variables that an SSH server would not take', async () => {
    stack.configure({ variable: 'x' });
    const ran = await stack.failing('up', '--yes', '--skip-preview');
    expect(ran.text).toContain('cannot set VARIABLE on the host');
    stack.configure({ variable: undefined });
    await stack.up();
  });

  it('that fail are told with what they printed', async () => {
    await stack.call('POST', '/local/faults', {
      onCommand: { command: 'platform-converge' },
      then: { exitCode: 1, stderr: 'nginx: configuration file test failed\n' },
    });
    stack.configure({ plan: 'another host plan' });
    const ran = await stack.failing('up', '--yes', '--skip-preview');
    expect(ran.text).toContain('exit status 1: running "platform-converge"');
    expect(ran.text).toContain('configuration file test failed');
    await stack.call('DELETE', '/local/faults');
    await stack.up();
  });

  it('are deleted over their old connection, and a host that is gone fails as SSH does', async () => {
    const { servers } = await stack.call<{ servers: { id: number }[] }>('GET', '/v1/servers');
    await stack.call('POST', `/v1/servers/${servers[0]?.id}/actions/poweroff`);
    await sleep(500);
    const ran = await stack.failing('destroy', '--yes', '--skip-preview');
    expect(ran.text).toMatch(/exit status 255/);
    await stack.call('POST', `/v1/servers/${servers[0]?.id}/actions/poweron`);
    await sleep(500);
    await stack.destroy();
    expect((await commands()).at(-1)).toMatchObject({
      phase: 'delete',
      command: 'platform-drain recorder-1',
    });
  });
});

const sshd = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find(existsSync);

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

describe.skipIf(!sshd)('commands over SSH (needs openssh-server)', { timeout: 60_000 }, () => {
  let stack: FixtureStack;
  let daemon: ChildProcess;
  let hostKey: string;

  const file = (name: string): string => path.join(stack.folder, name);

  function newKey(name: string): string {
    const { status, stderr } = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
    if (status !== 0) throw new Error(String(stderr));
    return readFileSync(file(`${name}.pub`), 'utf8').trim();
  }

  beforeAll(async () => {
    // No local cloud: commands go over SSH.
    stack = await FixtureStack.start('command', { LOCAL_CLOUD: '' });
    hostKey = newKey('host_key').split(' ').slice(0, 2).join(' ');
    writeFileSync(file('authorized_keys'), `${newKey('user_key')}\n`);
    const port = await freePort();
    writeFileSync(
      file('sshd_config'),
      [
        `ListenAddress 127.0.0.1:${port}`,
        `HostKey ${file('host_key')}`,
        `AuthorizedKeysFile ${file('authorized_keys')}`,
        'StrictModes no',
        'UsePAM no',
        'PasswordAuthentication no',
        'PermitRootLogin prohibit-password',
        'AcceptEnv ALLOWED',
        'Subsystem sftp internal-sftp',
        `PidFile ${file('sshd.pid')}`,
      ].join('\n'),
    );
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
    daemon = spawn(sshd ?? '', ['-D', '-e', '-f', file('sshd_config')], { stdio: 'ignore' });
    stack.configure({
      log: file('deleted'),
      host: '127.0.0.1',
      port: String(port),
      user: userInfo().username,
      hostKey,
      privateKey: readFileSync(file('user_key'), 'utf8'),
      remoteCreate: `cat > ${file('delivered')}; echo stored; echo noise >&2`,
      remoteDelete: `rm ${file('delivered')}`,
      plainCreate: 'wc -c',
      remotePath: file('copied'),
    });
  }, 60_000);
  afterAll(async () => {
    daemon.kill();
    await stack.close();
  });

  it('deliver their input, give their output, and copy a file', async () => {
    const ran = await stack.up();
    expect(readFileSync(file('delivered'), 'utf8')).toBe(secret);
    expect((await stack.outputs()).remote).toEqual({ remoteStdout: 'stored', plainStdout: '11' });
    expect(readFileSync(file('copied'), 'utf8')).toContain('name: fixture-command');
    expect(ran.text).not.toContain(secret);
    expect(await stack.plan()).toEqual([]);
  });

  it('fail with what the host printed', async () => {
    stack.configure({ plainCreate: 'echo no such unit >&2; exit 4' });
    const ran = await stack.failing('up', '--yes', '--skip-preview');
    expect(ran.text).toContain('exit status 4');
    expect(ran.text).toContain('no such unit');
    stack.configure({ plainCreate: 'wc -c' });
  });

  it('never speak to a host with another key', async () => {
    stack.configure({ hostKey: newKey('other_key').split(' ').slice(0, 2).join(' '), plan: 'changed' });
    const ran = await stack.failing('up', '--yes', '--skip-preview');
    expect(ran.text).toContain('does not have the pinned host key');
    stack.configure({ hostKey });
  });

  it('are told of a variable that the host refuses', async () => {
    stack.configure({ variable: 'x' });
    const ran = await stack.failing('up', '--yes', '--skip-preview');
    expect(ran.text).toContain('cannot set VARIABLE on the host');
    stack.configure({ variable: undefined });
  });

  it('delete over the connection in the state', async () => {
    await stack.up();
    await stack.destroy();
    expect(existsSync(file('delivered'))).toBe(false);
  });
});
