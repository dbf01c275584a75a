import { spawn, type ChildProcess } from 'node:child_process';
import { freePort } from '../host/prosody-host';
import type { RenderedRole } from '../host/rendered-role';
import { end, reachable, until } from './processes';
import type { Site } from '../../local/join/wires';

const LOGS = ['/nginx-access.log', '/nginx-error.log', '/nginx-site-error.log'];

/** The host's nginx with its generated site, in front of the Prosody of a lab: the only way in that browsers have. */
export class Web {
  /** Where HTTPS is, as browsers see it. */
  readonly site: Site;
  private process: ChildProcess | undefined;
  private said = '';

  private constructor(
    private readonly role: RenderedRole,
    domain: string,
    certificate: string,
    private readonly https: number,
    /** Where plain HTTP is. */
    readonly http: number,
  ) {
    this.site = {
      domain,
      url: `https://${domain}:${https}`,
      address: '127.0.0.1',
      authorities: [certificate],
    };
  }

  /** @param prosody port of Prosody's HTTP server on loopback; `key` is the domain's, with its certificate */
  static async start(
    role: RenderedRole,
    {
      domain,
      prosody,
      key,
      certificate,
    }: Record<'domain' | 'key' | 'certificate', string> & { prosody: number },
  ): Promise<Web> {
    const web = new Web(role, domain, certificate, await freePort(), await freePort());
    web.write(prosody, key, certificate);
    try {
      await web.run();
    } catch (error) {
      await web.stop();
      throw error;
    }
    return web;
  }

  private write(prosody: number, key: string, certificate: string): void {
    const { role } = this;
    role.write('/etc/ssl/platform/public.key', key, 0o600);
    role.write('/etc/ssl/platform/public.crt', certificate);
    const https = ['listen 443 ssl http2', `listen 127.0.0.1:${this.https} ssl http2`];
    role.adapt(`/etc/nginx/sites-available/${this.site.domain}.conf`, [
      ['listen 80;\n    listen [::]:80;', `listen 127.0.0.1:${this.http};`],
      [`${https[0]};\n    listen [::]:443 ssl http2;`, `${https[1]};`],
      ['server 127.0.0.1:5280', `server 127.0.0.1:${prosody}`],
      ['/etc/ssl/platform/', role.path('/etc/ssl/platform/')],
      ['/var/log/nginx/error.log', role.path('/nginx-site-error.log')],
    ]);
    role.adapt('/etc/nginx/conf.d/unknown-names.conf', [
      [
        'listen 80 default_server;\n    listen [::]:80 default_server;',
        `listen 127.0.0.1:${this.http} default_server;`,
      ],
      [
        `${https[0]} default_server;\n    listen [::]:443 ssl http2 default_server;`,
        `${https[1]} default_server;`,
      ],
    ]);
    // As Debian's, which a host keeps: with an access log, unless a site says otherwise.
    role.write(
      '/etc/nginx/nginx.conf',
      `${process.getuid?.() === 0 ? 'user www-data;\n' : ''}worker_processes auto;
daemon off;
pid ${role.path('/nginx.pid')};
error_log ${role.path('/nginx-error.log')};
events { worker_connections 768; }
http {
  access_log ${role.path('/nginx-access.log')};
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `  ${each}_temp_path ${role.path(`/nginx-${each}`)};\n`).join('')}
  include ${role.path('/etc/nginx/conf.d/*.conf')};
  include ${role.path('/etc/nginx/sites-enabled/*')};
}
`,
    );
  }

  private async run(): Promise<void> {
    const { role } = this;
    this.process = spawn('nginx', [
      ...['-c', role.path('/etc/nginx/nginx.conf'), '-p', role.path('/etc/nginx')],
      ...['-e', role.path('/nginx-error.log')],
    ]);
    this.process.stderr?.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    await until('nginx listens', () => {
      if (this.process?.exitCode !== null) throw new Error(`nginx did not start: ${this.said}${this.log()}`);
      return reachable(this.https);
    });
  }

  /** Everything that nginx logged. */
  log(): string {
    return LOGS.filter((path) => this.role.exists(path))
      .map((path) => this.role.read(path))
      .join('');
  }

  stop(): Promise<void> {
    return end(this.process);
  }
}
