import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { projectRoot } from '../../local/command/paths';
import { inNamespace } from '../../local/machines/place';
import type { School } from '../engine/school';
import type { BootedHost } from './booted-host';

interface Event {
  event: 'joined' | 'alive' | 'services' | 'focus' | 'ended';
  focus?: string;
  affiliation?: string;
  error?: string;
  answer?: string;
  why?: string;
  services?: Service[];
}

/** A STUN or TURN server as Prosody tells a participant of it. */
export interface Service {
  type: string;
  host: string;
  port: string;
  transport?: string;
  username?: string;
  password?: string;
  expires?: string;
}

/** What somebody needs to know to come in. */
export interface Entrance {
  domain: string;
  /** Of the shard's Jitsi host. */
  address: string;
  /** Authority that the site's certificate must be signed by, PEM. */
  ca: string;
  /** Network namespace of those outside. */
  namespace: string;
  /** Of the school's tokens. */
  audience: string;
  issuer: string;
  secret: string;
}

/** What a token says of its bearer. */
interface Claims {
  moderator: boolean;
  /** Id of a lesson that is to be recorded. */
  lesson?: string;
}

/**
 * The way into the lessons of a shard.
 *
 * @param authority certificate, PEM, that the site's must be signed by; default: the stack's own authority's
 */
export async function entranceOf(school: School, host: BootedHost, authority?: string): Promise<Entrance> {
  const outputs = await school.outputs(true);
  return {
    domain: (outputs['shards'] as { domain: string }[])[0]!.domain,
    address: host.address,
    ca: authority ?? (await host.run('cat /etc/platform/secrets/ca-certificate')),
    namespace: host.place.gateway,
    audience: outputs['jwtAudience'] as string,
    issuer: outputs['jwtIssuer'] as string,
    secret: outputs['jwtSecret'] as string,
  };
}

/** A lesson that one person is in, from outside and over nginx. */
export class Lesson {
  private readonly events: Event[] = [];
  private wake: () => void = () => undefined;

  private constructor(
    private readonly child: ChildProcess,
    readonly room: string,
  ) {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.events.push(JSON.parse(line) as Event);
      this.wake();
    });
  }

  /**
   * Joins a lesson with a token of the school's, which asks for no recording.
   *
   * @param authority certificate, PEM, that the site's must be signed by; default: the stack's own authority's
   * @throws when it is refused, or focus does not come
   */
  static async begin(
    school: School,
    host: BootedHost,
    room: string,
    moderator: boolean,
    authority?: string,
  ): Promise<Lesson> {
    return Lesson.enter(await entranceOf(school, host, authority), room, { moderator });
  }

  /** The same for whoever joins many. */
  static async enter(entrance: Entrance, room: string, { moderator, lesson }: Claims): Promise<Lesson> {
    const { domain, address, ca, namespace, audience, issuer, secret } = entrance;
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      ...{ aud: audience, iss: issuer, sub: domain, room, moderator },
      ...{ nbf: now - 60, exp: now + 3600 },
      context: { user: { id: 'u1', name: 'Anna' }, features: { recording: false, livestreaming: false } },
      ...(lesson && { lesson: { id: lesson, recording: true } }),
    };
    const nick = moderator ? 'anna' : 'boris';
    const order = { domain, address, room, nick, ca, token: jwt.sign(claims, secret) };
    const loader = join(projectRoot, 'node_modules/tsx/dist/loader.mjs');
    const command = [process.execPath, '--import', loader, join(__dirname, 'participant.ts')];
    const [program, ...args] = inNamespace(namespace, command);
    const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.on('error', () => undefined);
    child.stdin.write(`${JSON.stringify(order)}\n`);
    const joins = new Lesson(child, room);
    const joined = await joins.next();
    const wanted: Event = { event: 'joined', focus: 'result', affiliation: moderator ? 'owner' : 'none' };
    if (JSON.stringify(joined) !== JSON.stringify(wanted)) {
      child.kill();
      throw new Error(`${room} could not be joined: ${JSON.stringify(joined)}`);
    }
    return joins;
  }

  /** Whether its connection has lived through all until now: it is in the room, and the server answers. */
  async isAlive(): Promise<boolean> {
    this.child.stdin!.write('?\n');
    const { event, answer } = await this.next();
    return event === 'alive' && answer === 'result';
  }

  /** STUN and TURN servers, with credentials that Prosody makes for whoever asks. */
  async services(): Promise<Service[]> {
    this.child.stdin!.write('services\n');
    return (await this.next()).services ?? [];
  }

  /** Asks for the focus again, as a web page does whose focus has left; whether it comes. */
  async callFocus(): Promise<boolean> {
    this.child.stdin!.write('focus\n');
    return (await this.next()).answer === 'result';
  }

  /** Ends the lesson for all, as its moderator may, and leaves. */
  async endForAll(): Promise<void> {
    this.child.stdin!.write('end\n');
    await this.end();
  }

  /** Leaves. */
  async end(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin!.end();
    await gone;
  }

  private async next(): Promise<Event> {
    const deadline = Date.now() + 60_000;
    while (this.events.length === 0) {
      if (Date.now() > deadline) throw new Error(`${this.room}: no answer within 60 s`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.events.shift()!;
  }
}
