import { mkdirSync } from 'node:fs';
import { utils } from 'ssh2';
import type { HostPlan } from '../../../cloud-init/host-plan';
import { recorderHostPlan } from '../../../cloud-init/roles';
import { userData } from '../../../cloud-init/user-data';
import { inMachine } from '../../../local/machines/inside';
import { packageRepositoryUri } from '../../../local/machines/network';
import { rootFileSystem } from '../../../local/machines/root-file-system';
import { standInRepository } from '../../../local/stand-ins/build';
import { act, booted, BootedCloud, leftovers, ran, until, type Ran } from '../booted-cloud';
import { BootedHost } from '../booted-host';

/** Domain of the shard whose lessons it would record; its Jitsi host is not there. */
export const domain = 'meet.school.example';
const privateAddress = '10.10.12.1';

/** The plan of a recorder as the program makes it, which is ready without a Jitsi host. */
function planOf(instances: number, jitsiKey: string): HostPlan {
  const source = (suite: string) => ({ uri: packageRepositoryUri, suite, components: '', key: jitsiKey });
  const plan = recorderHostPlan({
    adminCidrs: ['198.51.100.0/24'],
    adminSshKeys: [],
    networkCidr: '10.10.0.0/16',
    packageSources: { prosody: source('prosody/'), jitsi: source('stable/') },
    shards: [{ domain, jitsiAddress: '10.10.1.1' }],
    instances,
    store: { endpoint: 'https://s3.school.example', region: 'eu', bucket: 'recordings', prefix: '' },
    webhookUrl: 'https://app.school.example/webhooks/platform',
    drainWaitMinutes: 120,
  });
  return { ...plan, ready: 'true' };
}

/** A recorder host that boots by itself, with its generated units and Debian's own browser; Jibri is the stand-in. */
export class LoneRecorder {
  private constructor(
    private readonly cloud: BootedCloud,
    readonly host: BootedHost,
  ) {}

  /**
   * Boots it and waits until it has converged.
   *
   * @param folder an empty folder of its own
   * @param instances recorder instances, 1 to 32
   * @param authority certificate of the stack's authority, PEM
   */
  static async boot(folder: string, instances: number, authority: string): Promise<LoneRecorder> {
    await rootFileSystem('debian-13', () => undefined);
    const repository = await standInRepository(() => undefined);
    mkdirSync(folder, { recursive: true });
    const cloud = await BootedCloud.start(folder, ['--packages', repository.folder]);
    try {
      const plan = planOf(instances, repository.key);
      const name = 'recorder-1';
      const { network } = await cloud.api<{ network: { id: number } }>('POST', '/v1/networks', {
        name: 'network',
        ip_range: '10.10.0.0/16',
        subnets: [{ type: 'cloud', network_zone: 'eu-central', ip_range: '10.10.0.0/16' }],
      });
      const hostKey = utils.generateKeyPairSync('ed25519');
      const server = await cloud.server({
        name,
        user_data: userData(
          plan,
          { name, role: 'recorder', privateAddress, domain, image: 'debian-13' },
          {
            hostKeyPrivate: hostKey.private,
            hostKeyPublic: hostKey.public,
            authorizedKeys: [hostKey.public],
          },
        ),
      });
      await act(cloud.api, server.id, 'attach_to_network', { network: network.id, ip: privateAddress });
      const address = server.public_net.ipv4!.ip;
      const recorder = new LoneRecorder(
        cloud,
        new BootedHost(cloud.place, name, server.id, address, privateAddress),
      );
      await booted(cloud.place, server.id);
      const secrets = Object.fromEntries(plan.secrets.map((secret) => [secret, `${secret}-0123456789`]));
      await recorder.given(
        'platform-secrets',
        JSON.stringify({ ...secrets, 'ca-certificate': authority, 'deploy-keys': hostKey.public }),
      );
      await recorder.given('platform-apply', JSON.stringify(plan));
      return recorder;
    } catch (error) {
      await cloud.end('SIGTERM');
      throw error;
    }
  }

  /** What a command prints that is given a text. @throws when it fails */
  async given(command: string, input: string): Promise<string> {
    const { code, stdout, stderr }: Ran = await ran(
      inMachine(this.host.place, this.host.id, ['sh', '-c', command]),
      input,
    );
    if (code !== 0) throw new Error(`${command}: status ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Writes a file. */
  async write(path: string, content: string, mode = '0644'): Promise<void> {
    await this.given(`mkdir -p "$(dirname ${path})" && cat >${path} && chmod ${mode} ${path}`, content);
  }

  /** Pulls the plug; answers what is left of it on this machine after half a minute, which should be nothing. */
  async down(): Promise<string[]> {
    await this.cloud.end('SIGTERM');
    const left = () => Promise.resolve(leftovers(this.cloud.place));
    // What was killed may be about to end.
    await until('all is gone', left, ({ length }) => length === 0).catch(() => undefined);
    return left();
  }
}
