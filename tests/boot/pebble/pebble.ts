import { spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findGo } from '../../../local/command/go-program';
import { cacheFolder } from '../../../local/command/paths';
import { routerAddress } from '../../../local/machines/network';
import { inNamespace, type Place } from '../../../local/machines/place';
import { startService } from '../../../local/machines/services';
import { outside, until } from '../booted-cloud';

/** Let's Encrypt's ACME server for tests, as pinned in `go.mod`; built once (15 s). */
function program(): string {
  const path = join(cacheFolder, 'pebble-2.10.1');
  if (existsSync(path)) return path;
  const go = findGo();
  if (go === undefined) throw new Error('Pebble needs Go 1.21 or newer, such as the one of Debian 13');
  const made = `${path}.${process.pid}`;
  mkdirSync(cacheFolder, { recursive: true });
  const { status, stderr } = spawnSync(
    go,
    ['build', '-mod=readonly', '-o', made, 'github.com/letsencrypt/pebble/v2/cmd/pebble'],
    { cwd: __dirname, encoding: 'utf8', env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' } },
  );
  if (status !== 0) throw new Error(`Pebble could not be built:\n${stderr}`);
  renameSync(made, path);
  return path;
}

/** A certificate authority at the router of a place, which looks names up and asks hosts as Let's Encrypt would. */
export class Pebble {
  static readonly directory = `https://${routerAddress}:14000/dir`;
  /** Certificate of its HTTPS server, self-signed: what its clients must trust. */
  readonly caCertificate: string;
  private readonly program = program();
  private readonly log: string;
  private child: ChildProcess | undefined;

  /** @param folder for its key and settings */
  constructor(
    private readonly place: Place,
    private readonly folder: string,
  ) {
    this.log = join(place.run, 'pebble.log');
    const [key, certificate] = [join(folder, 'pebble.key'), join(folder, 'pebble.crt')];
    const { status, stderr } = spawnSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-subj', '/CN=ACME server', '-addext', `subjectAltName=IP:${routerAddress}`],
        ...['-keyout', key, '-out', certificate],
      ],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(stderr);
    this.caCertificate = readFileSync(certificate, 'utf8');
    const pebble = {
      listenAddress: `${routerAddress}:14000`,
      managementListenAddress: `${routerAddress}:15000`,
      certificate,
      privateKey: key,
      httpPort: 80,
      tlsPort: 443,
      retryAfter: { authz: 1, order: 1 },
      keyAlgorithm: 'ecdsa',
      profiles: { default: { description: 'as long as is usual', validityPeriod: 90 * 24 * 3600 } },
    };
    writeFileSync(join(folder, 'pebble.json'), JSON.stringify({ pebble }));
  }

  /** Starts it with a new root; it is ended with its place. */
  async start(): Promise<void> {
    const settings = [
      'PEBBLE_VA_NOSLEEP=1',
      // Asks anew each time, and takes every nonce: what is under test is the host, not its client's patience.
      'PEBBLE_AUTHZREUSE=0',
      'PEBBLE_WFE_NONCEREJECT=0',
    ];
    const config = join(this.folder, 'pebble.json');
    const command = [
      'env',
      ...settings,
      this.program,
      '-config',
      config,
      '-dnsserver',
      `${routerAddress}:53`,
    ];
    this.child = startService(this.place, 'pebble', inNamespace(this.place.gateway, command));
    await until(
      'Pebble answers',
      () => this.get(Pebble.directory),
      ({ code }) => code === 0,
    );
  }

  async stop(): Promise<void> {
    this.child?.kill('SIGKILL');
    while (this.child?.exitCode === null && this.child.signalCode === null) await sleep(20);
  }

  /** Orders that it has got since its start. */
  orders(): number {
    return readFileSync(this.log, 'utf8').split('POST /order-plz').length - 1;
  }

  /** Its root certificate, which browsers would have to trust. */
  async root(): Promise<string> {
    const { stdout } = await this.get(`https://${routerAddress}:15000/roots/0`);
    return stdout;
  }

  private get = (url: string) =>
    outside(this.place, ['curl', '-sSf', '--cacert', join(this.folder, 'pebble.crt'), url]);
}
