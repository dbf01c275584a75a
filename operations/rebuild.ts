import { setTimeout as sleep } from 'node:timers/promises';
import { bootGeneration, userData } from '../cloud-init/user-data';
import { Hetzner } from './hetzner';
import { runOverSsh, type SshResult, type SshRun, type SshTarget } from './ssh';
import { StackState } from './stack-state';
import { OperationError, readStack, sshTarget, type StackHost, type StackOutputs } from './stack';

const help = `usage: npm run rebuild -- HOST [--stack STACK] [--wait MINUTES] [--force HOST]

Gives a host a fresh disk of the configured image, with the boot that the program would make now: the same server,
addresses and SSH key. Its lessons are waited for first; a Jitsi host's certificates are carried over. Run again, it
goes on where it was broken off.

  --stack   default: the selected one
  --wait    how long a Jitsi host's lessons are waited for, in minutes, 0 or more; default 120. A recorder or a bridge
            is waited for as long as recorderDrainWait says
  --force   the host's name once more: do not wait; what it carries is lost

Needs what pulumi up needs: login, passphrase, HCLOUD_TOKEN or hcloud:token, and SSH from here.
exit status: 0 rebuilt; 1 not, with the reason; 2 usage`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

interface Order {
  host: string;
  stack: string | undefined;
  waitMinutes: number;
  force: boolean;
}

/** @throws Error that names the argument, what was given and what is expected */
function orderOf(args: string[]): Order {
  const [host, ...rest] = args;
  if (host === undefined || host.startsWith('-')) throw new OperationError('which host? e.g. jitsi-1');
  const order: Order = { host, stack: undefined, waitMinutes: 120, force: false };
  for (let at = 0; at < rest.length; at += 2) {
    const [option, value] = [rest[at]!, rest[at + 1]];
    if (value === undefined) throw new OperationError(`${option} needs a value`);
    if (option === '--stack') order.stack = value;
    else if (option === '--wait') order.waitMinutes = Number(value);
    else if (option === '--force') {
      if (value !== host)
        throw new OperationError(`--force ${value}: to lose what ${host} carries, name it: --force ${host}`);
      order.force = true;
    } else throw new OperationError(`unknown option ${option}`);
  }
  if (!(order.waitMinutes >= 0))
    throw new OperationError(
      `--wait ${rest[rest.indexOf('--wait') + 1]}: expected minutes, 0 or more, e.g. 120`,
    );
  return order;
}

/** One host that is being rebuilt. */
class Rebuild {
  private constructor(
    private readonly order: Order,
    private readonly outputs: StackOutputs,
    private readonly state: StackState,
    private readonly host: StackHost,
    private readonly hetzner: Hetzner,
    private readonly target: SshTarget,
  ) {}

  static async prepare(order: Order): Promise<Rebuild> {
    const outputs = await readStack(order.stack);
    // It names the hosts that there are.
    const target = sshTarget(outputs, order.host);
    const host = outputs.hosts.find(({ name }) => name === order.host)!;
    const state = await StackState.read(order.stack);
    const token = process.env['HCLOUD_TOKEN'] ?? (await state.config('hcloud:token'));
    if (!token)
      throw new OperationError('no API token: set HCLOUD_TOKEN, or pulumi config set --secret hcloud:token');
    const hetzner = new Hetzner(token, process.env['HCLOUD_ENDPOINT']);
    return new Rebuild(order, outputs, state, host, hetzner, target);
  }

  async run(): Promise<void> {
    const { host, state, hetzner } = this;
    const server = state.server(host.name);
    // What this finds missing at the end must be the rebuilt host's alone.
    if (!(await state.isUpToDate()))
      throw new OperationError(
        'pulumi up has something to change: run it first. It also ends a rebuild that was broken off',
      );
    // The project file has its default.
    const image = (await state.config('hostImage'))!;

    let certificates: string | undefined;
    if (await this.isFresh()) say(`${host.name} has a fresh disk already: going on`);
    else {
      await this.empty(server.id);
      try {
        if (host.role === 'jitsi') certificates = await this.certificates();
        if ((await hetzner.server(server.id)).protection.rebuild) {
          say('lifting the protection');
          await hetzner.protect(server.id, false);
        }
      } catch (error) {
        await this.reopen(server.id).catch(() => undefined);
        throw error;
      }
      say(`rebuilding ${host.name} with ${image}`);
      await hetzner.rebuild(server.id, image, this.userData(image));
    }
    if (server.protected) await hetzner.protect(server.id, true);
    await this.untilBooted();
    if (certificates) await this.restoreCertificates(certificates);
    await this.label(server.id, image);
    say('bringing its secrets and its host plan');
    await state.run(['refresh', '--yes', '--skip-preview', '--target', server.urn]);
    await state.run(['up', '--yes', '--skip-preview']);
    say(`${host.name} is rebuilt`);
  }

  /** Whether a rebuild has been broken off after its disk was made: converge has not been here yet. */
  private async isFresh(): Promise<boolean> {
    try {
      const { code } = await this.onHost('test -e /var/lib/platform/host-plan.json');
      return code === 1;
    } catch (error) {
      if (this.order.force) return false;
      throw new OperationError(
        `${this.host.name} cannot be reached: ${reason(error)}; if it is dead, add --force ${this.host.name}`,
        { cause: error },
      );
    }
  }

  /** Waits until nothing is lost with the host. */
  private async empty(serverId: string): Promise<void> {
    const { host, order } = this;
    if (order.force) return say(`what ${host.name} carries is not waited for`);
    if (host.role === 'jitsi') return this.emptyJitsi(serverId);
    say(`draining ${host.name}`);
    const drained = await runOverSsh(this.keeper(), `platform-drain ${host.name} ${serverId}`, {
      onOutput: (_stream, text) => process.stdout.write(text),
    });
    if (drained.code === 0) return;
    await this.reopen(serverId);
    throw new OperationError(
      `${host.name} is not rebuilt, and takes lessons again; see above, or add --force ${host.name}`,
    );
  }

  /** A Jitsi host cannot refuse lessons one by one: when it is empty it is closed, and looked at once more. */
  private async emptyJitsi(serverId: string): Promise<void> {
    const deadline = Date.now() + this.order.waitMinutes * 60_000;
    for (let told = ''; ;) {
      let rooms = await this.rooms();
      if (rooms.length === 0) {
        await this.must('systemctl stop nginx');
        rooms = await this.rooms();
        if (rooms.length === 0) return;
        await this.reopen(serverId);
      }
      const names = rooms.join(', ');
      if (Date.now() >= deadline) {
        throw new OperationError(
          `lessons still run on ${this.host.name} after ${this.order.waitMinutes} min: ${names}; nothing was changed. ` +
            `Try again later, or add --force ${this.host.name}, which ends them`,
        );
      }
      if (names !== told) say(`waiting for the lessons ${names}`);
      told = names;
      await sleep(5000);
    }
  }

  /** Lets it take lessons again. */
  private async reopen(serverId: string): Promise<void> {
    const { name, role } = this.host;
    if (role === 'jitsi') await this.must('systemctl start nginx');
    else await runOverSsh(this.keeper(), `platform-drain --resume ${name} ${serverId}`, { seconds: 60 });
  }

  private async rooms(): Promise<string[]> {
    const { stdout } = await this.must('platform-lessons --json');
    return (JSON.parse(stdout) as { rooms: string[] }).rooms;
  }

  /** The Jitsi host that drains this recorder or bridge. */
  private keeper(): SshTarget {
    return sshTarget(this.outputs, `jitsi-${this.shard()}`);
  }

  /** Recorders, and the app, belong to the first. */
  private shard(): string {
    const { role, name } = this.host;
    return role === 'jitsi' || role === 'bridge' ? name.split('-')[1]! : '1';
  }

  /**
   * Let's Encrypt's certificates with their account and renewal, undefined when there are none. They are kept in memory
   * alone: a rebuild that is broken off asks for new ones, which the authority gives five times a week.
   */
  private async certificates(): Promise<string | undefined> {
    try {
      const archive = 'test -d /etc/letsencrypt/live && tar -c -z -C /etc letsencrypt | base64';
      const { code, stdout } = await this.onHost(archive);
      if (code !== 0) return undefined;
      say('its certificates are carried over');
      return stdout;
    } catch (error) {
      if (!this.order.force) throw error;
      return undefined;
    }
  }

  private async restoreCertificates(certificates: string): Promise<void> {
    const { code, stderr } = await this.onHost('base64 -d | tar -x -z -C /etc', { stdin: certificates });
    if (code !== 0)
      say(`its certificates could not be restored, new ones will be asked for: ${stderr.trim()}`);
  }

  private userData(image: string): string {
    const { state, host, outputs } = this;
    const { domain } = outputs.shards.find(({ name }) => name === `shard-${this.shard()}`)!;
    return userData(
      { role: host.role, format: 1 },
      { ...host, domain, image },
      {
        hostKeyPrivate: state.hostKey(this.target.hostKey),
        hostKeyPublic: this.target.hostKey,
        authorizedKeys: state.deployKeys(),
      },
    );
  }

  /** Says of the server what boot it had, and when: by that the stack knows that it has to converge it anew. */
  private async label(serverId: string, image: string): Promise<void> {
    const { labels } = await this.hetzner.server(serverId);
    const time = new Date().toISOString().replace(/\.\d+|[-:]/g, '');
    const generation = bootGeneration({ format: 1 }, image);
    await this.hetzner.setLabels(serverId, { ...labels, 'boot-generation': `${generation}.${time}` });
  }

  private async untilBooted(): Promise<void> {
    say('waiting for its first boot');
    for (const deadline = Date.now() + 10 * 60_000; ;) {
      try {
        // It answers before it is done; what it did not take of the user data is its own matter.
        await this.onHost('cloud-init status --wait');
        return;
      } catch (error) {
        if (Date.now() > deadline)
          throw new OperationError(
            `${this.host.name} does not answer ten minutes after its rebuild: ${reason(error)}`,
            {
              cause: error,
            },
          );
        await sleep(2000);
      }
    }
  }

  /** A command that is done within two minutes. */
  private onHost(command: string, how: SshRun = {}): Promise<SshResult> {
    return runOverSsh(this.target, command, { seconds: 120, ...how });
  }

  private async must(command: string): Promise<SshResult> {
    const ran = await this.onHost(command);
    if (ran.code !== 0)
      throw new OperationError(`${this.host.name}: ${command}: status ${ran.code}: ${ran.stderr.trim()}`);
    return ran;
  }
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function main(args: string[]): Promise<number> {
  if (args.includes('--help')) {
    say(help);
    return 0;
  }
  let order: Order;
  try {
    order = orderOf(args);
  } catch (error) {
    process.stderr.write(`${reason(error)}\n\n${help}\n`);
    return 2;
  }
  try {
    await (await Rebuild.prepare(order)).run();
    return 0;
  } catch (error) {
    process.stderr.write(`${reason(error)}\n`);
    return 1;
  }
}

void main(process.argv.slice(2)).then((code) => (process.exitCode = code));
