import { Agent, request as httpRequest } from 'node:http';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';
import { isIPv6, type LookupFunction } from 'node:net';
import { parse, type Element } from 'ltx';
import { WebSocket } from 'ws';

/** The two ways by which browsers speak XMPP. */

const FRAMING = 'urn:ietf:params:xml:ns:xmpp-framing';
const BOSH = 'http://jabber.org/protocol/httpbind';

export type Kind = 'websocket' | 'bosh';

/** Where a domain's signalling is reached. */
export interface Site {
  domain: string;
  /** Of nginx or of Prosody's HTTP server, e.g. `https://meet.school.example` or `http://127.0.0.1:5280`. */
  url: string;
  /** Address to connect to instead of asking for that of the URL's name. */
  address?: string;
  /** Certificates that the server's may be signed by, PEM. Default: Node's own. */
  authorities?: string[];
}

export interface Login {
  site: Site;
  kind?: Kind;
  token?: string | undefined;
  /** The room in the URL; the server does not need it. */
  room?: string;
  /** Resumption id of a stream whose username is to be taken over. */
  previd?: string;
  /** The host to log in at, with a password instead of a token. */
  account?: { host: string; user: string; password: string };
}

/** An XMPP stream over one of them. */
export interface Wire {
  send(xml: string): void;
  /** Opens the stream anew, after the login. */
  restart(host: string): void;
  /** Ends it as a closed browser tab would, or as a lost link when `rudely`. */
  close(rudely: boolean): void;
}

/** RFC 7395. */
export function webSocket(
  login: Login,
  received: (element: Element) => void,
  ended: (why: Error) => void,
): Wire {
  const { site } = login;
  const url = `${site.url.replace(/^http/, 'ws')}/xmpp-websocket${query(login)}`;
  const socket = new WebSocket(url, 'xmpp', { headers: { Host: site.domain }, ...connection(site) });
  const open = (host: string): string => `<open xmlns='${FRAMING}' to='${host}' version='1.0'/>`;
  socket.on('open', () => socket.send(open(login.account?.host ?? site.domain)));
  socket.on('message', (data: Buffer) => {
    const element = parse(data.toString());
    if (element.getNS() !== FRAMING) received(element);
  });
  socket.on('close', () => ended(new Error('the connection was closed')));
  socket.on('unexpected-response', (request, { statusCode }) => {
    request.destroy();
    ended(new Error(`HTTP ${statusCode}`));
  });
  socket.on('error', ended);
  return {
    send: (xml) => socket.send(xml),
    restart: (host) => socket.send(open(host)),
    close: (rudely) => {
      if (rudely) socket.terminate();
      else {
        if (socket.readyState === WebSocket.OPEN) socket.send(`<close xmlns='${FRAMING}'/>`);
        socket.close();
      }
    },
  };
}

/** How to get to a site: options that plain and TLS connections share. */
function connection({ address, authorities }: Site): { lookup?: LookupFunction; ca?: string[] } {
  const lookup: LookupFunction = (_name, options, answer) => {
    const family = isIPv6(address!) ? 6 : 4;
    if (options.all) answer(null, [{ address: address!, family }]);
    else answer(null, address!, family);
  };
  return { ...(address && { lookup }), ...(authorities && { ca: authorities }) };
}

function query(login: Login): string {
  const params = new URLSearchParams();
  if (login.room) params.set('room', login.room);
  if (login.token !== undefined) params.set('token', login.token);
  if (login.previd) params.set('previd', login.previd);
  return params.size > 0 ? `?${params.toString()}` : '';
}

const agents = { 'http:': new Agent({ keepAlive: true }), 'https:': new TlsAgent({ keepAlive: true }) };

/** POSTs to a path of a site. @throws Error `HTTP status` when that is not 200 */
export function post(site: Site, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      Host: site.domain,
      'Content-Type': 'text/xml; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
    };
    const url = new URL(path, site.url);
    const secure = url.protocol === 'https:';
    const options = {
      method: 'POST',
      headers,
      agent: agents[secure ? 'https:' : 'http:'],
      ...connection(site),
    };
    const request = (secure ? httpsRequest : httpRequest)(url, options, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(text);
        else reject(new Error(`HTTP ${answer.statusCode}`));
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** XEP-0124 and XEP-0206: at most one request waits at the server while another carries what is to be sent. */
export function bosh(login: Login, received: (element: Element) => void, ended: (why: Error) => void): Wire {
  const { site } = login;
  let rid = Math.floor(Math.random() * 1e9);
  let sid = '';
  let waiting = 0;
  let over = false;
  let queue: string[] = [];
  // Requests leave in order: the server holds one back until those before it are there.
  const request = async (attributes: Record<string, string>, content = ''): Promise<void> => {
    rid += 1;
    waiting += 1;
    const all = { rid: String(rid), xmlns: BOSH, ...(sid && { sid }), ...attributes };
    const body = `<body ${Object.entries(all)
      .map(([name, value]) => `${name}='${value}'`)
      .join(' ')}>${content}</body>`;
    try {
      const text = await post(site, `/http-bind${query(login)}`, body);
      waiting -= 1;
      const element = parse(text);
      sid ||= String(element.attrs.sid ?? '');
      for (const child of element.children) if (typeof child !== 'string') received(child);
      if (element.attrs.type === 'terminate') {
        over = true;
        ended(new Error(`the session was ended: ${String(element.attrs.condition ?? '')}`));
      }
      if (!over && (queue.length > 0 || waiting === 0)) flush();
    } catch (error) {
      if (!over) ended(error as Error);
      over = true;
    }
  };
  const flush = (): void => {
    const content = queue.join('');
    queue = [];
    void request({}, content);
  };
  const stream = { 'xml:lang': 'en', 'xmlns:xmpp': 'urn:xmpp:xbosh' };
  const host = login.account?.host ?? site.domain;
  void request({ to: host, ver: '1.6', wait: '20', hold: '1', 'xmpp:version': '1.0', ...stream });
  return {
    send: (xml) => {
      queue.push(xml);
      if (sid && waiting < 2) flush();
    },
    restart: (to) => void request({ to, 'xmpp:restart': 'true', ...stream }),
    close: (rudely) => {
      if (!over && !rudely) void request({ type: 'terminate' });
      over = true;
    },
  };
}
