import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, type Element } from 'ltx';
import { jitsiHostPlan } from '../../cloud-init/roles';
import { Client, type Presence } from '../../local/join/client';
import { post, type Kind, type Login, type Site } from '../../local/join/wires';
import { freePort } from '../host/prosody-host';
import { RenderedRole, run, type Ended } from '../host/rendered-role';
import { jitsiValues } from '../host/role-values';
import { App, type Pair } from './app';
import { end, reachable, until } from './processes';
import { runProsody, type Prosody } from './prosodies';
import {
  BREWERY,
  CONFERENCE,
  DOMAIN,
  FOCUS_PASSWORD,
  PREVIOUS_SECRET,
  RECORDER_PASSWORD,
  SECRET,
  WEBHOOK_SECRET,
} from './school';
import { claims, token, type Claims } from './tokens';
import { Web } from './web';

const STAND_INS = join(__dirname, '..', '..', 'local', 'stand-ins');
const config = `/etc/prosody/conf.avail/${DOMAIN}.cfg.lua`;

export interface Circumstances {
  /** Focus hands out ownership, as Jicofo does unless told otherwise. */
  autoOwner?: boolean;
  /** More options of the focus, e.g. `--pending-timeout 3`. */
  focus?: string[];
  /** Moderators may make others moderator; as in the program's values, true unless given. */
  moderatorsMayGrant?: boolean;
  /** More files on the host. */
  files?: Record<string, string>;
  /** Changes to the domain's Prosody file: text to be there, and what replaces it; {root} is the host's root. */
  config?: [string | RegExp, string][];
  /** What Prosody logs; a host has `info`. Default `debug`. */
  logLevel?: 'debug' | 'info';
  /** A module of this folder that is loaded on the domain's host as well. */
  hostModule?: string;
  /** More accounts: first label of the host, user, password. */
  accounts?: [string, string, string][];
  /** The previous secret of a rotation is there. */
  previousSecret?: boolean;
  /** The app takes events by HTTPS, with this certificate. */
  appPair?: Pair;
}

export interface Person {
  moderator?: boolean;
  kind?: Kind;
  claims?: Claims;
  secret?: string;
  previd?: string;
}

/** A key pair with a certificate for itself. */
export function selfSigned(...names: string[]): Pair {
  const folder = mkdtempSync(join(tmpdir(), 'lesson-platform-key-'));
  try {
    const made = spawnSync(
      'openssl',
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ${folder}/key -subj /CN=${names[0]} -addext subjectAltName=${names.map((name) => `DNS:${name}`).join()} -out ${folder}/crt`.split(
        ' ',
      ),
      { encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(made.stderr);
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    return { key: read('key'), certificate: read('crt') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let made: Pair | undefined;
/** For the web server, and the names that focus and recorder log in at. */
const pair = (): Pair => (made ??= selfSigned(`auth.${DOMAIN}`, DOMAIN, `recorder.${DOMAIN}`));

/**
 * One shard's signalling: a real Prosody and a real nginx with the host's own configuration and modules, stand-ins for
 * the modules that Jitsi's packages bring, and the stand-in focus.
 */
export class Lab {
  readonly role: RenderedRole;
  web: Web | undefined;
  private port = 0;
  /** Port for logins without a browser. */
  c2s = 0;
  private process: ChildProcess | undefined;
  private focus: ChildProcess | undefined;
  private said = '';
  /** What focus wrote. */
  focusLog = '';
  private rooms = 0;
  private people: Client[] = [];

  private constructor(
    private readonly prosody: Prosody,
    private readonly circumstances: Circumstances,
    /** The school's app, which is told what happens. */
    readonly app: App,
  ) {
    const { moderatorsMayGrant = true, previousSecret = false } = circumstances;
    const values = { ...jitsiValues, moderatorsMayGrant, webhookUrl: app.url };
    this.role = new RenderedRole(jitsiHostPlan(values), {
      'webhook-secret': WEBHOOK_SECRET,
      'jwt-secret': SECRET,
      'jwt-secret-previous': previousSecret ? PREVIOUS_SECRET : '',
      'xmpp-certificate': pair().certificate,
      'xmpp-key': pair().key,
    });
  }

  static async start(prosody: Prosody, circumstances: Circumstances = {}): Promise<Lab> {
    const lab = new Lab(prosody, circumstances, await App.start(WEBHOOK_SECRET, circumstances.appPair));
    try {
      await lab.write();
      await lab.startProsody();
      lab.web = await Web.start(lab.role, { domain: DOMAIN, prosody: lab.port, ...pair() });
      await lab.startFocus(circumstances.autoOwner ?? false);
    } catch (error) {
      await lab.stop();
      throw error;
    }
    return lab;
  }

  private async write(): Promise<void> {
    const { role } = this;
    const { logLevel = 'debug' } = this.circumstances;
    this.port = await freePort();
    this.c2s = await freePort();
    const standIns = role.path('/usr/share/jitsi-meet/prosody-plugins/');
    cpSync(join(STAND_INS, 'prosody-plugins'), standIns, { recursive: true });
    for (const folder of ['/var/lib/prosody', '/etc/prosody/certs'])
      mkdirSync(role.path(folder), { recursive: true });
    role.adapt('/etc/prosody/prosody.cfg.lua', [
      ['"/usr/local/lib/prosody/platform/"', `"${role.path('/usr/local/lib/prosody/platform/')}"`],
      ['"/usr/share/jitsi-meet/prosody-plugins/"', `"${standIns}"`],
      ['c2s_ports = { 5222 }', `c2s_ports = { ${this.c2s} }\nc2s_interfaces = { "127.0.0.1" }`],
      ['http_ports = { 5280 }', `http_ports = { ${this.port} }`],
      ['"127.0.0.1", "::1" }\nhttps', '"127.0.0.1" }\nhttps'],
      [
        'pidfile = "/run/prosody/prosody.pid"',
        `pidfile = "${role.path('/prosody.pid')}"\ndata_path = "${role.path('/var/lib/prosody')}"`,
      ],
      // More than on a host: what no line may hold, no line of any level may.
      [/log = \{[^]*?\n\}\n/, `log = { ${logLevel} = "${role.path('/prosody.log')}" }\n`],
      // One machine logs in thousands of times here.
      ['rate = "512kb/s"', 'rate = "100mb/s"'],
    ]);
    role.adapt(config, [
      ['"/etc/prosody/secrets/', `"${role.path('/etc/prosody/secrets/')}`],
      ['"/etc/prosody/certs/', `"${role.path('/etc/prosody/certs/')}`],
      ...(this.circumstances.config ?? []).map(([from, to]): [string | RegExp, string] => [
        from,
        to.replace('{root}', role.root),
      ]),
    ]);
    for (const [kind, content] of [
      ['crt', pair().certificate],
      ['key', pair().key],
    ] as const) {
      role.write(`/etc/prosody/certs/${DOMAIN}.${kind}`, content, 0o640);
    }
    const { hostModule } = this.circumstances;
    if (hostModule) {
      cpSync(join(__dirname, `mod_${hostModule}.lua`), join(standIns, `mod_${hostModule}.lua`));
      role.adapt(config, [
        ['        "token_rotation";\n', `        "token_rotation";\n        "${hostModule}";\n`],
      ]);
    }
    this.account('auth', 'focus', FOCUS_PASSWORD);
    this.account('recorder', 'recorder', RECORDER_PASSWORD);
    for (const account of this.circumstances.accounts ?? []) this.account(...account);
    for (const [path, content] of Object.entries(this.circumstances.files ?? {})) role.write(path, content);
    role.write('/focus-password', FOCUS_PASSWORD, 0o600);
    if (process.getuid?.() === 0) spawnSync('chown', ['-R', 'prosody:prosody', role.root]);
  }

  /** An account in Prosody's own storage; the password is hashed at the first login. */
  private account(label: string, user: string, password: string): void {
    const folder = `${label}.${DOMAIN}`.replaceAll('.', '%2e');
    this.role.write(
      `/var/lib/prosody/${folder}/accounts/${user}.dat`,
      `return { ["password"] = "${password}"; };\n`,
    );
  }

  private async startProsody(): Promise<void> {
    this.process = runProsody(this.prosody, this.role.path('/etc/prosody/prosody.cfg.lua'));
    this.process.stderr?.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    await until('Prosody listens', async () => {
      if (this.process?.exitCode !== null)
        throw new Error(`Prosody did not start: ${this.said}${this.tail()}`);
      return (await reachable(this.port)) && (await reachable(this.c2s));
    });
  }

  private async startFocus(autoOwner: boolean): Promise<void> {
    this.focus = spawn('/usr/bin/python3', [
      join(STAND_INS, 'focus', 'focus.py'),
      '--domain',
      DOMAIN,
      '--port',
      String(this.c2s),
      '--password-file',
      this.role.path('/focus-password'),
      '--jibri-brewery',
      BREWERY,
      ...(autoOwner ? ['--auto-owner'] : []),
      // As the host's own settings say.
      ...(/enable-moderator-checks = false/.test(this.role.read('/etc/jitsi/jicofo/jicofo.conf'))
        ? ['--no-moderator-checks']
        : []),
      ...(this.circumstances.focus ?? []),
    ]);
    let ready = false;
    this.focus.stdout?.on('data', () => (ready = true));
    this.focus.stderr?.on('data', (chunk: Buffer) => (this.focusLog += chunk.toString()));
    await until('focus is logged in', () => {
      if (this.focus?.exitCode !== null) throw new Error(`focus did not start: ${this.focusLog}`);
      return ready;
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.focusLog}${this.tail()}`);
    });
  }

  /** Prosody ends, in order or killed, and `meanwhile` it is down. Rooms and sessions are gone. */
  async restartProsody(signal: NodeJS.Signals, meanwhile: () => void = () => undefined): Promise<void> {
    await end(this.process, signal);
    this.leaveAll();
    await end(this.focus);
    meanwhile();
    await this.startProsody();
    await this.startFocus(this.circumstances.autoOwner ?? false);
  }

  /** Focus ends and logs in again. */
  async restartFocus(): Promise<void> {
    await end(this.focus);
    await this.startFocus(this.circumstances.autoOwner ?? false);
  }

  /** Prosody reads its configuration anew and opens its logs again. */
  async reload(): Promise<void> {
    this.process?.kill('SIGHUP');
    await this.logged('Reloading configuration');
  }

  /** Prosody's own HTTP server, for what only this host may ask. */
  private get prosodySite(): Site {
    return { domain: DOMAIN, url: `http://127.0.0.1:${this.port}` };
  }

  /** Prosody's own counters, as this host alone may ask for them. */
  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.port}/metrics`)).text();
  }

  /** Everything that Prosody logged, at level debug. */
  log(): string {
    return this.role.exists('/prosody.log') ? this.role.read('/prosody.log') : '';
  }

  /** What Prosody, nginx and focus logged. */
  allLogs(): string {
    return this.log() + (this.web?.log() ?? '') + this.focusLog;
  }

  private tail(): string {
    return this.log().split('\n').slice(-40).join('\n');
  }

  async logged(text: string | RegExp, what = 'log'): Promise<void> {
    const has = (all: string) => (typeof text === 'string' ? all.includes(text) : text.test(all));
    await until(`${what} says ${String(text)}`, () => has(what === 'focus' ? this.focusLog : this.log()));
  }

  /** Replaces a secret's file as converge does, and says when it was written. */
  secret(name: string, value: string, writtenHoursAgo = 0): void {
    const path = `/etc/prosody/secrets/${name}`;
    this.role.write(`${path}.new`, value);
    const at = Date.now() / 1000 - writtenHoursAgo * 3600;
    utimesSync(this.role.path(`${path}.new`), at, at);
    renameSync(this.role.path(`${path}.new`), this.role.path(path));
  }

  /** A room's address that no other test has. */
  room(): string {
    return `lesson-${(this.rooms += 1)}@${CONFERENCE}`;
  }

  /** A token for a room. */
  token(room: string, { moderator = false, claims: changes = {}, secret = SECRET }: Person = {}): string {
    const features = { recording: moderator, livestreaming: false };
    const context = { user: { id: moderator ? 'teacher-1' : 'pupil-1', name: 'Ada' }, features };
    return token(claims(room.split('@')[0] as string, { moderator, context, ...changes }), secret);
  }

  /** Where people log in. */
  get site(): Site {
    if (!this.web) throw new Error('the lab has no web server yet');
    return this.web.site;
  }

  login(room: string, person: Person = {}): Login {
    return {
      site: this.site,
      kind: person.kind ?? 'websocket',
      token: this.token(room, person),
      previd: person.previd,
    };
  }

  /** Somebody with a token for the room, logged in and not in the room yet. */
  async person(room: string, person: Person = {}): Promise<Client> {
    return this.keep(await Client.login(this.login(room, person)));
  }

  keep(client: Client): Client {
    this.people.push(client);
    return client;
  }

  teacher(room: string, person: Person = {}): Promise<Client> {
    return this.person(room, { ...person, moderator: true });
  }

  pupil(room: string, person: Person = {}): Promise<Client> {
    return this.person(room, person);
  }

  /** Whether each of these tokens would be let in, by the host's own login, without a stream for each. */
  async verdicts(tokens: string[]): Promise<boolean[]> {
    const body = tokens.map((each) => `${each}\n`).join('');
    return [...(await post(this.prosodySite, '/token_verdicts/', body))].map((verdict) => verdict === '1');
  }

  /** What the host's own command says of its token login. */
  tokenCheck(): Ended {
    this.role.write('/etc/platform/secrets/jwt-secret', SECRET, 0o600);
    return run(this.role.path('/usr/local/sbin/platform-token-check'), [], {
      env: { PLATFORM_ROOT: this.role.root, PLATFORM_BOSH: `127.0.0.1:${this.port}` },
    });
  }

  /** Loads or unloads a module on a host of the running Prosody; needs the host module `switch_modules`. */
  async module(action: 'load' | 'unload', host: string, module: string): Promise<void> {
    const said = await post(this.prosodySite, '/switch_modules/', `${action} ${host} ${module}`);
    if (said !== 'done') throw new Error(said);
  }

  /** Processor time that Prosody has used so far, in seconds. */
  processorTime(): number {
    const stat = readFileSync(`/proc/${this.process!.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // utime and stime, in ticks of 10 ms: proc(5)
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Sends a stanza as the server itself, from any address; the answer to an IQ. For a lab with `from_inside`. */
  async fromInside(stanza: string): Promise<Element | undefined> {
    const answer = await post(this.prosodySite, '/from_inside/', stanza);
    return answer === '' ? undefined : parse(answer);
  }

  /** Asks for the conference and joins it. */
  async enter(client: Client, room: string, nick: string, password?: string): Promise<Presence> {
    await client.conference(room);
    return client.join(room, nick, { password });
  }

  /** The recorder, with its own account and no token. */
  async recorder(): Promise<Client> {
    const account = { host: `recorder.${DOMAIN}`, user: 'recorder', password: RECORDER_PASSWORD };
    return this.keep(await Client.login({ site: this.site, account }));
  }

  /** Ends all sessions of people: rooms of one test end with it. */
  leaveAll(): void {
    for (const client of this.people) client.close();
    this.people = [];
  }

  async stop(): Promise<void> {
    this.leaveAll();
    await end(this.focus);
    await this.web?.stop();
    await end(this.process);
    await this.app.stop();
    this.role.remove();
  }
}
