import type { Element } from 'ltx';
import { afterEach } from 'vitest';
import { Client, errorOf, escape } from '../../local/join/client';
import type { Place } from './both';
import type { Lab } from './lab';
import { BREWERY, DOMAIN, JIBRI_PASSWORD } from './school';

const JIBRI = 'http://jitsi.org/protocol/jibri';
const HEALTH = 'http://jitsi.org/protocol/health';

/** What focus asked of a recorder. */
export interface Asked {
  action: string;
  session: string;
  /** The IQ. */
  element: Element;
}

/** An answer to a start: attributes of the result, an error's condition, or silence. */
export type Answer = Record<string, string> | { error: string } | 'silence';

export const pending: Answer = { status: 'pending' };
export const busy: Answer = { status: 'off', failure_reason: 'busy', should_retry: 'true' };

let count = 0;

/** A recorder in its brewery that answers just what a test says; it records nothing. */
export class ScriptedRecorder {
  readonly asked: Asked[] = [];
  private joined = false;
  private readonly watchers = new Set<() => void>();

  private constructor(
    private readonly client: Client,
    readonly nick: string,
    /** To starts; stops are answered `off` unless told otherwise. */
    public answer: Answer,
  ) {}

  /** Logs in, and is idle and healthy. */
  static async join(lab: Lab, answer: Answer = pending): Promise<ScriptedRecorder> {
    const account = { host: `auth.${DOMAIN}`, user: 'jibri', password: JIBRI_PASSWORD };
    const client = lab.keep(await Client.login({ site: lab.site, account }));
    const recorder = new ScriptedRecorder(client, `recorder-${(count += 1)}`, answer);
    void recorder.serve();
    await recorder.say('idle');
    return recorder;
  }

  get occupant(): string {
    return `${BREWERY}/${this.nick}`;
  }

  /** Starts that focus asked for. */
  get starts(): Asked[] {
    return this.asked.filter(({ action }) => action === 'start');
  }

  get stops(): Asked[] {
    return this.asked.filter(({ action }) => action === 'stop');
  }

  /** Says in the brewery how it is, and knows that focus heard it; undefined leaves a part out. */
  async say(busyStatus: string | undefined, health: string | undefined = 'healthy'): Promise<void> {
    const parts = [
      busyStatus && `<busy-status xmlns='${JIBRI}' status='${busyStatus}'/>`,
      health && `<health-status xmlns='${HEALTH}' status='${health}'/>`,
    ];
    await this.present(`<jibri-status xmlns='${JIBRI}'>${parts.filter(Boolean).join('')}</jibri-status>`);
  }

  /** A presence in the brewery with this in it. */
  async present(content: string): Promise<void> {
    const joining = this.joined ? '' : "<x xmlns='http://jabber.org/protocol/muc'/>";
    this.joined = true;
    this.client.send(`<presence xmlns='jabber:client' to='${this.occupant}'>${joining}${content}</presence>`);
    // What focus is sent later it takes later; this changes nothing.
    await this.tell({});
  }

  /** Says a status of its own accord; the condition of focus's refusal, or undefined. */
  async tell(attributes: Record<string, string>): Promise<string | undefined> {
    return errorOf(await this.client.iq('set', `${BREWERY}/focus`, jibri(attributes)));
  }

  /** The start that comes next, or the given one. */
  started(number = 1): Promise<Asked> {
    return this.has(() => this.starts[number - 1], `start ${number} of ${this.nick}`);
  }

  stopped(number = 1): Promise<Asked> {
    return this.has(() => this.stops[number - 1], `stop ${number} of ${this.nick}`);
  }

  private has(look: () => Asked | undefined, what: string): Promise<Asked> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.watchers.delete(see);
        reject(new Error(`not within 45 s: ${what}`));
      }, 45_000);
      const see = (): void => {
        const found = look();
        if (!found) return;
        clearTimeout(timer);
        this.watchers.delete(see);
        resolve(found);
      };
      this.watchers.add(see);
      see();
    });
  }

  /** Takes requests until the session ends. */
  private async serve(): Promise<void> {
    for (let seen = 0; ;) {
      let request: Element;
      try {
        request = await this.client.wait(({ name, attrs }) => name === 'iq' && attrs.type === 'set', seen);
      } catch (error) {
        // It waits for 15 s at a time.
        if ((error as Error).cause) return;
        continue;
      }
      seen = this.client.stanzas.indexOf(request, seen) + 1;
      const content = request.getChild('jibri', JIBRI);
      if (!content) continue;
      const action = String(content.attrs.action);
      const to = request.attrs.from as string;
      const id = request.attrs.id as string;
      const answer = action === 'stop' ? { status: 'off' } : this.answer;
      this.asked.push({ action, session: String(content.attrs.session_id), element: request });
      for (const watcher of [...this.watchers]) watcher();
      if (answer === 'silence') continue;
      const body =
        'error' in answer
          ? `<error type='cancel'><${answer.error} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
          : jibri(answer);
      const type = 'error' in answer ? 'error' : 'result';
      this.client.send(`<iq xmlns='jabber:client' type='${type}' id='${id}' to='${to}'>${body}</iq>`);
    }
  }

  /** Leaves the brewery, its session ended in order. */
  close(): void {
    this.client.close();
  }

  /** The link is gone, and nothing was said. */
  drop(): void {
    this.client.drop();
  }
}

export function jibri(attributes: Record<string, string>): string {
  const all = Object.entries(attributes).map(([name, value]) => ` ${name}='${escape(value)}'`);
  return `<jibri xmlns='${JIBRI}'${all.join('')}/>`;
}

/** Has recorders join in the tests that follow; they have left, as focus knows, before the next test begins. */
export function recorders(place: Place): (answer?: Answer) => Promise<ScriptedRecorder> {
  let here: ScriptedRecorder[] = [];
  afterEach(async () => {
    const left = here;
    here = [];
    for (const recorder of left) recorder.close();
    for (const { occupant } of left) await place.lab.logged(`recorder gone: ${occupant}`, 'focus');
  });
  return async (answer) => {
    const recorder = await ScriptedRecorder.join(place.lab, answer);
    here.push(recorder);
    return recorder;
  };
}
