import type { Element } from 'ltx';
import { bosh, webSocket, type Login, type Wire } from './wires';

const MUC = 'http://jabber.org/protocol/muc';
const ERRORS = 'urn:ietf:params:xml:ns:xmpp-stanzas';
const SASL = 'urn:ietf:params:xml:ns:xmpp-sasl';
const SMACKS = 'urn:xmpp:sm:3';
const PATIENCE_MS = 15_000;

/** The server does not let somebody in. */
export class Refused extends Error {
  constructor(
    readonly condition: string,
    readonly text: string,
  ) {
    super(`refused at login: ${condition}: ${text}`);
  }
}

/** How somebody is in a room, as one presence says it. */
export interface Presence {
  nick: string;
  type: string;
  affiliation: string | undefined;
  role: string | undefined;
  jid: string | undefined;
  codes: string[];
  /** Condition of an error presence. */
  error: string | undefined;
  element: Element;
}

export function presenceOf(element: Element): Presence {
  const user = element.getChild('x', `${MUC}#user`);
  const item = user?.getChild('item');
  return {
    nick: String(element.attrs.from).split('/').slice(1).join('/'),
    type: (element.attrs.type as string | undefined) ?? 'available',
    affiliation: item?.attrs.affiliation as string | undefined,
    role: item?.attrs.role as string | undefined,
    jid: item?.attrs.jid as string | undefined,
    codes: user?.getChildren('status').map((status) => String(status.attrs.code)) ?? [],
    error: errorOf(element),
    element,
  };
}

/** Defined condition of an error stanza, or undefined. */
export function errorOf(stanza: Element): string | undefined {
  return stanza.getChild('error')?.children.find((child): child is Element => {
    return typeof child !== 'string' && child.getNS() === ERRORS && child.getName() !== 'text';
  })?.name;
}

/** A full JID without its resource. */
export const account = (jid: string): string => jid.split('/')[0] as string;

export function escape(text: string): string {
  return text.replace(/[&<>'"]/g, (each) => `&#${each.charCodeAt(0)};`);
}

/** A person's or a recorder's XMPP session, over what browsers use. */
export class Client {
  /** Every stanza that came, in order. */
  readonly stanzas: Element[] = [];
  jid = '';
  /** Resumption id of the stream, once asked for. */
  resumption = '';
  private readonly wire: Wire;
  private readonly watchers = new Set<() => void>();
  private ended: Error | undefined;
  private ids = 0;

  private constructor(private readonly login: Login) {
    const received = (element: Element): void => {
      if (element.is('r', SMACKS)) {
        this.wire.send(`<a xmlns='${SMACKS}' h='${this.counted}'/>`);
        return;
      }
      if (['message', 'presence', 'iq'].includes(element.getName())) this.counted += 1;
      this.stanzas.push(element);
      this.wake();
    };
    const ended = (why: Error): void => {
      this.ended ??= why;
      this.wake();
    };
    this.wire =
      (login.kind ?? 'websocket') === 'bosh'
        ? bosh(login, received, ended)
        : webSocket(login, received, ended);
  }

  private counted = 0;

  private wake(): void {
    for (const watcher of [...this.watchers]) watcher();
  }

  /** Logs in and binds a resource. @throws Refused when the server says no, Error when the link ends */
  static async login(login: Login): Promise<Client> {
    const client = await Client.authenticate(login);
    const answer = await client.iq('set', undefined, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>");
    client.jid = answer.getChild('bind')?.getChildText('jid') ?? '';
    return client;
  }

  /** Only whether a token would be let in: `success`, or the condition of the refusal. */
  static async attempt(login: Login): Promise<string> {
    const client = new Client(login);
    try {
      await client.features();
      client.send(`<auth xmlns='${SASL}' mechanism='ANONYMOUS'/>`);
      const answer = await client.wait((element) => element.getNS() === SASL);
      if (answer.getName() === 'success') return 'success';
      return (
        answer.children.find((child): child is Element => typeof child !== 'string' && child.name !== 'text')
          ?.name ?? ''
      );
    } finally {
      client.close();
    }
  }

  /** Logs in, and stops before a resource is bound. */
  static async authenticate(login: Login): Promise<Client> {
    const client = new Client(login);
    try {
      await client.features();
      const { account } = login;
      const secret = account && Buffer.from(`\0${account.user}\0${account.password}`).toString('base64');
      client.send(
        `<auth xmlns='${SASL}' mechanism='${account ? 'PLAIN' : 'ANONYMOUS'}'>${secret ?? ''}</auth>`,
      );
      const answer = await client.wait((element) => element.getNS() === SASL);
      if (answer.getName() !== 'success') {
        const condition = answer.children.find(
          (child): child is Element => typeof child !== 'string' && child.name !== 'text',
        );
        throw new Refused(condition?.name ?? '', answer.getChildText('text') ?? '');
      }
      const before = client.stanzas.length;
      client.wire.restart(account?.host ?? login.site.domain);
      await client.features(before);
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  private features(from = 0): Promise<Element> {
    return this.wait((element) => element.getName() === 'features', from);
  }

  send(xml: string): void {
    this.wire.send(xml);
  }

  /** The first stanza from `from` on that fits, now or later. */
  wait(fits: (element: Element) => boolean, from = 0, what = 'an answer'): Promise<Element> {
    return new Promise((resolve, reject) => {
      let seen = from;
      const settle = (action: () => void): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
        action();
      };
      const look = (): void => {
        for (; seen < this.stanzas.length; seen += 1) {
          const element = this.stanzas[seen] as Element;
          if (fits(element)) return settle(() => resolve(element));
        }
        const { ended } = this;
        if (ended) settle(() => reject(new Error(`no ${what}: ${ended.message}`, { cause: ended })));
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`no ${what} within ${PATIENCE_MS / 1000} s`))),
        PATIENCE_MS,
      );
      this.watchers.add(look);
      look();
    });
  }

  /** Sends an IQ and gives its answer, an error included. */
  iq(type: 'get' | 'set', to: string | undefined, content: string): Promise<Element> {
    const id = `iq-${(this.ids += 1)}`;
    const from = this.stanzas.length;
    this.send(
      `<iq xmlns='jabber:client' type='${type}' id='${id}'${to ? ` to='${escape(to)}'` : ''}>${content}</iq>`,
    );
    return this.wait(
      (element) => element.getName() === 'iq' && element.attrs.id === id,
      from,
      `answer to ${content}`,
    );
  }

  /** Once it is answered, whatever the server sent before is here. */
  async settled(): Promise<void> {
    await this.iq('get', this.login.account?.host ?? this.login.site.domain, "<ping xmlns='urn:xmpp:ping'/>");
  }

  /** Asks focus to be in a room, as the web client does before it joins. */
  conference(room: string): Promise<Element> {
    return this.iq(
      'set',
      `focus.${this.login.site.domain}`,
      `<conference xmlns='http://jitsi.org/protocol/focus' room='${escape(room)}' machine-uid='m'/>`,
    );
  }

  /** Sends the presence that joins; `more` goes into it. */
  enter(
    room: string,
    nick: string,
    { password, more = '' }: { password?: string; more?: string } = {},
  ): void {
    const secret = password === undefined ? '' : `<password>${escape(password)}</password>`;
    this.send(
      `<presence xmlns='jabber:client' to='${escape(`${room}/${nick}`)}'><x xmlns='${MUC}'>${secret}</x>${more}</presence>`,
    );
  }

  /** Joins; the answer is the own presence or the refusal. */
  async join(
    room: string,
    nick: string,
    options: { password?: string; more?: string } = {},
  ): Promise<Presence> {
    const from = this.stanzas.length;
    this.enter(room, nick, options);
    return presenceOf(
      await this.wait(
        (element) => {
          if (element.getName() !== 'presence' || !String(element.attrs.from).startsWith(room)) return false;
          const { codes, type } = presenceOf(element);
          return type === 'error' || (type === 'available' && codes.includes('110'));
        },
        from,
        `presence of ${nick} in ${room}`,
      ),
    );
  }

  /** Leaves a room, and is out when it returns. */
  async leave(room: string, nick: string): Promise<void> {
    this.send(`<presence xmlns='jabber:client' to='${escape(`${room}/${nick}`)}' type='unavailable'/>`);
    await this.settled();
  }

  /** Presences of a nick in a room, in order. */
  seen(room: string, nick: string, from = 0): Presence[] {
    return this.stanzas
      .slice(from)
      .filter((element) => element.getName() === 'presence' && element.attrs.from === `${room}/${nick}`)
      .map(presenceOf);
  }

  /** `affiliation/role` of a nick in a room as last told, or undefined. */
  standing(room: string, nick: string): string | undefined {
    const last = this.seen(room, nick).at(-1);
    return last && last.type === 'available' ? `${last.affiliation}/${last.role}` : undefined;
  }

  /** Asks for one change of affiliation or role; undefined when it was made, else the error's condition. */
  async admin(room: string, ...items: Record<string, string>[]): Promise<string | undefined> {
    const content = items
      .map(
        (item) =>
          `<item ${Object.entries(item)
            .map(([name, value]) => `${name}='${escape(value)}'`)
            .join(' ')}/>`,
      )
      .join('');
    return errorOf(await this.iq('set', room, `<query xmlns='${MUC}#admin'>${content}</query>`));
  }

  /** Submits the owner's form with some fields; undefined when it was taken, else the error's condition. */
  async configure(room: string, fields: Record<string, string> = {}): Promise<string | undefined> {
    const all = { FORM_TYPE: `${MUC}#roomconfig`, ...fields };
    const content = Object.entries(all)
      .map(([name, value]) => `<field var='${name}'><value>${escape(value)}</value></field>`)
      .join('');
    return errorOf(
      await this.iq(
        'set',
        room,
        `<query xmlns='${MUC}#owner'><x xmlns='jabber:x:data' type='submit'>${content}</x></query>`,
      ),
    );
  }

  /** Asks for stream management with resumption. */
  async resumable(): Promise<string> {
    const from = this.stanzas.length;
    this.send(`<enable xmlns='${SMACKS}' resume='true'/>`);
    const answer = await this.wait(
      (element) => element.is('enabled', SMACKS) || element.is('failed', SMACKS),
      from,
    );
    this.counted = 0;
    this.resumption = String(answer.attrs.id);
    return this.resumption;
  }

  /**
   * Takes up the stream of a client that lost its link, logged in anew with a token of its own; the session, its
   * address and its rooms are the old one's.
   */
  static async resume(lost: Client, login: Login): Promise<Client> {
    const client = await Client.authenticate({ ...login, previd: lost.resumption });
    const from = client.stanzas.length;
    client.send(`<resume xmlns='${SMACKS}' previd='${lost.resumption}' h='${lost.counted}'/>`);
    const answer = await client.wait(
      (element) => element.is('resumed', SMACKS) || element.is('failed', SMACKS),
      from,
    );
    if (!answer.is('resumed', SMACKS)) throw new Error('the stream could not be resumed');
    client.jid = lost.jid;
    client.resumption = lost.resumption;
    client.counted = lost.counted;
    return client;
  }

  /** Ends the session in order. */
  close(): void {
    this.wire.close(false);
  }

  /** Loses the link, as a laptop does that is closed. */
  drop(): void {
    this.wire.close(true);
  }
}
