import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { run, type RenderedRole } from './rendered-role';

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * A real Prosody with the host's own configuration, in a scratch folder and on ports of its own. Jitsi's modules
 * are not there: what Prosody cannot load it says and leaves out; the token login comes from `tests/host/prosody`.
 */
export class ProsodyHost {
  readonly config: string;
  bosh = 0;
  private process: ChildProcess | undefined;

  constructor(private readonly role: RenderedRole) {
    this.config = role.path('/etc/prosody/prosody.cfg.lua');
  }

  async start(domain: string): Promise<void> {
    const { role } = this;
    this.bosh = await freePort();
    const c2s = await freePort();
    const plugins = role.path('/usr/local/lib/prosody/platform/');
    mkdirSync(plugins, { recursive: true });
    cpSync(join(__dirname, 'prosody'), plugins, { recursive: true });
    mkdirSync(role.path('/var/lib/prosody'), { recursive: true });
    mkdirSync(role.path('/etc/prosody/certs'), { recursive: true });
    role.adapt('/etc/prosody/prosody.cfg.lua', [
      ['"/usr/local/lib/prosody/platform/"', `"${plugins}"`],
      ['c2s_ports = { 5222 }', `c2s_ports = { ${c2s} }\nc2s_interfaces = { "127.0.0.1" }`],
      ['http_ports = { 5280 }', `http_ports = { ${this.bosh} }`],
      [
        'pidfile = "/run/prosody/prosody.pid"',
        `pidfile = "${role.path('/prosody.pid')}"\ndata_path = "${role.path('/var/lib/prosody')}"`,
      ],
      [/log = \{[^]*?\n\}\n/, `log = { info = "${role.path('/prosody.log')}" }\n`],
    ]);
    role.adapt(`/etc/prosody/conf.avail/${domain}.cfg.lua`, [
      ['"/etc/prosody/secrets/"', `"${role.path('/etc/prosody/secrets/')}"`],
      [`Component "focus.${domain}" "client_proxy"`, `Component "focus.${domain}" "test_room"`],
      // Without Jitsi's modules nobody but focus could create rooms.
      ['restrict_room_creation = true', 'restrict_room_creation = false'],
    ]);
    // prosodyctl takes the system's configuration unless told otherwise.
    role.write(
      '/bin/prosodyctl',
      `#!/bin/sh\nexec /usr/bin/prosodyctl --config '${this.config}' "$@"\n`,
      0o755,
    );
    role.write('/bin/systemctl', '#!/bin/sh\nexit 0\n', 0o755);
    run('chown', ['-R', 'prosody:prosody', role.root]);
    this.process = spawn('runuser', ['-u', 'prosody', '--', 'prosody', '-F', '--config', this.config], {
      stdio: 'ignore',
    });
    const end = Date.now() + 20_000;
    for (;;) {
      try {
        // 404, as no host of this name is there: it answers.
        await fetch(`http://127.0.0.1:${this.bosh}/http-bind`);
        return;
      } catch {
        // not listening yet
      }
      if (Date.now() > end)
        throw new Error(`Prosody did not start: ${role.read('/prosody.log').slice(-2000)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Environment for the host's commands. */
  env(): Record<string, string> {
    return {
      PATH: `${this.role.path('/bin')}:${process.env.PATH}`,
      PLATFORM_ROOT: this.role.root,
      PLATFORM_BOSH: `127.0.0.1:${this.bosh}`,
    };
  }

  async stop(): Promise<void> {
    if (!this.process) return;
    const ended = once(this.process, 'exit');
    this.process.kill();
    this.process = undefined;
    await ended;
  }
}
