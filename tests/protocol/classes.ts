import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parse, type Element } from 'ltx';

const POM = join(__dirname, 'pom.xml');

/** Where Maven put the classes and what they need; asked of it once for each `pom.xml`, then kept in the user's cache. */
function classPath(): string {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'lesson-platform');
  const digest = createHash('sha256').update(readFileSync(POM)).digest('hex').slice(0, 12);
  const kept = join(cache, `protocol-${digest}.classpath`);
  const whole = (path: string) => path !== '' && path.split(delimiter).every((jar) => existsSync(jar));
  const known = existsSync(kept) ? readFileSync(kept, 'utf8') : '';
  if (whole(known)) return known;
  mkdirSync(cache, { recursive: true });
  const fresh = `${kept}.${process.pid}`;
  process.stdout.write("Fetching Jitsi's protocol classes with Maven, once: about half a minute\n");
  for (let attempt = 1; ; attempt += 1) {
    const args = ['-B', '-q', '-f', POM, 'dependency:build-classpath', `-Dmdep.outputFile=${fresh}`];
    const ended = spawnSync('mvn', args, { encoding: 'utf8' });
    if (ended.status === 0) break;
    if (attempt === 3) throw new Error(`Maven failed three times: ${ended.stdout}${ended.stderr}`);
  }
  renameSync(fresh, kept);
  return readFileSync(kept, 'utf8');
}

/** How a stanza looks to the classes. */
export interface Reading {
  /** Simple names of the classes of its payload, e.g. `JibriIq`. */
  classes: string[];
  /** Parts that no class was registered for, as `{namespace}name`. */
  unknown: string[];
  /** The stanza as the classes write it: what they did not understand is missing. */
  xml: string;
}

/** A stanza to be made. */
export interface Making {
  /** Class below `org.jitsi.xmpp.extensions`, of an IQ or of an extension in a presence, e.g. `jibri.JibriIq`. */
  make: string;
  /** Properties by name; for an enum the constant's name, for an extension in it an object. */
  with: Record<string, unknown>;
  type?: 'get' | 'set' | 'result';
  from?: string;
  to?: string;
  id?: string;
}

/** Jitsi's own protocol classes in a Java process of their own; requests are answered in order. */
export class JitsiClasses {
  private readonly java: ChildProcessWithoutNullStreams;
  private readonly waiting: { done: (line: string) => void; failed: (error: Error) => void }[] = [];
  private said = '';

  constructor() {
    this.java = spawn('java', ['-cp', classPath(), join(__dirname, 'Stanzas.java')]);
    this.java.stderr.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    createInterface(this.java.stdout).on('line', (line) => this.waiting.shift()?.done(line));
    this.java.on('close', () => {
      for (const { failed } of this.waiting.splice(0)) failed(new Error(`Java ended: ${this.said}`));
    });
  }

  /** @throws Error with the classes' reason when they do not take the stanza */
  async read(xml: string): Promise<Reading> {
    return (await this.ask({ parse: xml })) as unknown as Reading;
  }

  /** XML of a stanza that the classes write. @throws Error when the class has no such property or value */
  async make(stanza: Making): Promise<string> {
    return String((await this.ask({ ...stanza, make: `org.jitsi.xmpp.extensions.${stanza.make}` })).xml);
  }

  private async ask(request: object): Promise<Record<string, unknown>> {
    const line = await new Promise<string>((done, failed) => {
      this.waiting.push({ done, failed });
      this.java.stdin.write(`${JSON.stringify(request)}\n`);
    });
    const answer = JSON.parse(line) as Record<string, unknown> & { error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  stop(): void {
    this.java.stdin.end();
  }
}

/** Name, namespace, attributes, text and children of an element, to be compared: order of attributes does not count. */
export function shape(given: string | Element): unknown {
  const element = typeof given === 'string' ? parse(given) : given;
  const attributes = Object.entries(element.attrs as Record<string, unknown>)
    .filter(([name]) => name !== 'xmlns' && !name.startsWith('xmlns:') && name !== 'xml:lang')
    .map(([name, value]) => [name, String(value)] as const)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    name: `{${element.getNS() ?? ''}}${element.getName()}`,
    ...Object.fromEntries(attributes),
    text: element.getText(),
    children: element.children.filter((child): child is Element => typeof child !== 'string').map(shape),
  };
}
