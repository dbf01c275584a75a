import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { request } from 'node:https';
import { connect as connectTcp, isIPv6 } from 'node:net';
import { randomBytes } from 'node:crypto';
import { connect as connectTls, rootCertificates, type PeerCertificate } from 'node:tls';
import type { StackHost } from '../stack';
import type { Finding, State } from './findings';

/** A shard as people reach it from where this program runs. */
export interface Site {
  domain: string;
  host: StackHost;
  /** Certificate of the stack's own authority, PEM. */
  authority: string;
  /** Name server to ask instead of this machine's. */
  nameServer?: string;
}

const milliseconds = 10_000;

const messageOf = (error: unknown): string =>
  error instanceof Error ? (error as NodeJS.ErrnoException).code || error.message : String(error);

const finding =
  (host: string, check: string) =>
  (state: State, says: string, remedy = ''): Finding => ({ host, check, state, says, do: remedy });

/** Whether the domain leads to the host's addresses. */
export async function checkDns({ domain, host, nameServer }: Site): Promise<Finding[]> {
  const resolver = new Resolver({ timeout: 3000, tries: 2 });
  if (nameServer !== undefined) resolver.setServers([nameServer]);
  const one = async (type: 'A' | 'AAAA', wanted: string): Promise<Finding> => {
    const says = finding(domain, `dns ${type}`);
    const remedy = `make the ${type} record ${domain} ${wanted}; with dnsProvider none by hand, else run pulumi up`;
    try {
      const found = await (type === 'A' ? resolver.resolve4(domain) : resolver.resolve6(domain));
      const right = found.some((each) => canonical(each) === canonical(wanted));
      if (right && found.length === 1) return says('ok', `leads to ${wanted}`);
      if (right) return says('failure', `leads to other addresses as well: ${found.join(', ')}`, remedy);
      return says('failure', `leads to ${found.join(', ')}, not to ${wanted}`, remedy);
    } catch (error) {
      const code = messageOf(error);
      if (code === 'ENODATA' || code === 'ENOTFOUND') return says('failure', 'there is no record', remedy);
      return says('unchecked', `no name server answers (${code})`, 'look at the network of this machine');
    }
  };
  return Promise.all([one('A', host.publicAddress), one('AAAA', host.publicAddress6)]);
}

/** The one way to write an address, so that two can be compared. */
const canonical = (address: string): string =>
  isIPv6(address) ? new URL(`http://[${address}]`).hostname : address;

/** What each public port is for, for the remedy. */
const tcpPorts: [port: number, unit: string][] = [
  [80, 'nginx'],
  [443, 'nginx'],
  [5349, 'coturn'],
];

/** Whether the public ports can be reached. */
export async function checkPorts({ domain, host }: Site): Promise<Finding[]> {
  const tcp = tcpPorts.map(async ([port, unit]): Promise<Finding> => {
    const says = finding(domain, `port ${port}/tcp`);
    const reason = await tcpObstacle(host.publicAddress, port);
    if (reason === undefined) return says('ok', 'open');
    const closed = reason === 'ECONNREFUSED';
    return says(
      'failure',
      closed ? 'refused: nothing listens there' : `cannot be reached (${reason})`,
      closed
        ? `restart ${unit} on ${host.name}, see npm run logs -- ${host.name} ${unit}`
        : `is ${host.name} on? do the cloud firewall and nftables open it? does this network let it out?`,
    );
  });
  return Promise.all([...tcp, checkStun(domain, host), checkMedia(domain, host)]);
}

function tcpObstacle(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: address, port });
    const end = (reason?: string) => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(milliseconds, () => end('no answer'));
    socket.once('connect', () => end());
    socket.once('error', (error) => end(messageOf(error)));
  });
}

/** A STUN binding request (RFC 8489), which any STUN server answers. */
const bindingRequest = (): Buffer => Buffer.concat([Buffer.from('000100002112a442', 'hex'), randomBytes(12)]);

type Heard = 'answer' | 'refused' | 'silence';

function sendUdp(address: string, port: number, message: Buffer): Promise<Heard> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const timers: NodeJS.Timeout[] = [];
    const end = (heard: Heard) => {
      timers.forEach(clearTimeout);
      socket.removeAllListeners();
      // An error that comes late is of no more interest.
      socket.on('error', () => undefined);
      socket.close();
      resolve(heard);
    };
    socket.once('message', () => end('answer'));
    socket.once('error', () => end('refused'));
    socket.connect(port, address, () => {
      // A datagram may be lost; a refusal shows when the next one is sent.
      for (const wait of [0, 500, 1500]) timers.push(setTimeout(() => socket.send(message), wait));
      timers.push(setTimeout(() => end('silence'), 3000));
    });
  });
}

async function checkStun(domain: string, host: StackHost): Promise<Finding> {
  const says = finding(domain, 'port 3478/udp');
  const heard = await sendUdp(host.publicAddress, 3478, bindingRequest());
  if (heard === 'answer') return says('ok', 'STUN answers');
  return says(
    'failure',
    heard === 'refused' ? 'refused: nothing listens there' : 'STUN does not answer',
    `restart coturn on ${host.name}, see npm run logs -- ${host.name} coturn; do the firewalls open it, does this network let UDP out?`,
  );
}

async function checkMedia(domain: string, host: StackHost): Promise<Finding> {
  const says = finding(domain, 'port 10000/udp');
  const heard = await sendUdp(host.publicAddress, 10_000, bindingRequest());
  if (heard === 'answer') return says('ok', 'answers');
  if (heard === 'refused') {
    return says('failure', 'refused: nothing listens there', `restart jitsi-videobridge2 on ${host.name}`);
  }
  return says('unchecked', 'not refused; a bridge answers only those who are in a lesson with it');
}

/** Certificates that a client may trust: this machine's, and the stack's own. */
export const trusted = (authority: string): string[] => [...rootCertificates, authority];

interface Shown {
  certificate: PeerCertificate;
  /** Why it is not good with the usual authorities; undefined when it is. */
  obstacle?: string;
}

function shownCertificate(site: Site, port: number, ca?: string[]): Promise<Shown> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host: site.host.publicAddress,
      port,
      servername: site.domain,
      rejectUnauthorized: false,
      ...(ca && { ca }),
    });
    socket.setTimeout(milliseconds, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerCertificate();
      const { authorizationError } = socket as { authorizationError?: unknown };
      socket.end();
      resolve({ certificate, ...(!socket.authorized && { obstacle: messageOf(authorizationError) }) });
    });
  });
}

/** Name, chain and time of the certificate on a port that speaks TLS. */
export async function checkCertificate(site: Site, port: 443 | 5349): Promise<Finding> {
  const says = finding(site.domain, `certificate ${port}`);
  const { name } = site.host;
  const logs = `npm run logs -- ${name} certificate`;
  try {
    const { certificate, obstacle } = await shownCertificate(site, port);
    const end = new Date(certificate.valid_to);
    const days = Math.floor((end.getTime() - Date.now()) / 86_400_000);
    const until = `until ${end.toISOString().slice(0, 10)}, ${days} days left`;
    if (days < 0) {
      return says(
        'failure',
        `run out ${-days} days ago`,
        `on ${name}: platform-certificate request --now; ${logs}`,
      );
    }
    if (obstacle === undefined) {
      if (days >= 20) return says('ok', `for ${site.domain}, ${until}`);
      return says(
        days < 7 ? 'failure' : 'warning',
        `it should have been renewed: ${until}`,
        `on ${name}: certbot renew --dry-run; ${logs}`,
      );
    }
    const own = await shownCertificate(site, port, trusted(site.authority));
    if (own.obstacle === undefined) {
      return says(
        'warning',
        `of the stack's own authority, which no browser trusts; ${until}`,
        `Let's Encrypt has given none yet: look at dns and port 80 above, then on ${name}: platform-certificate request --now; ${logs}`,
      );
    }
    return says(
      'failure',
      `nobody trusts it (${obstacle}), ${until}`,
      `is this really ${name}? there: platform-certificate install; ${logs}`,
    );
  } catch (error) {
    return says(
      'failure',
      `no TLS (${messageOf(error)})`,
      port === 443
        ? `on ${name}: nginx -t`
        : `can coturn read its key? on ${name}: platform-certificate install`,
    );
  }
}

/** Whether the web client is served. */
export function checkWeb(site: Site): Promise<Finding> {
  const says = finding(site.domain, 'web client');
  const logs = `see npm run logs -- ${site.host.name} nginx`;
  return new Promise((resolve) => {
    const call = request(
      {
        host: site.host.publicAddress,
        servername: site.domain,
        path: '/external_api.js',
        headers: { Host: site.domain },
        ca: trusted(site.authority),
        timeout: milliseconds,
        agent: false,
      },
      (answer) => {
        answer.resume();
        const { statusCode } = answer;
        if (statusCode === 200) resolve(says('ok', 'external_api.js is served'));
        else resolve(says('failure', `external_api.js is answered with ${statusCode}`, logs));
      },
    );
    call.once('timeout', () => call.destroy(new Error('no answer')));
    call.once('error', (error) =>
      resolve(says('failure', `external_api.js cannot be had (${messageOf(error)})`, logs)),
    );
    call.end();
  });
}
