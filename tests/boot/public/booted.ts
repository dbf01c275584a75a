import { join } from 'node:path';
import type { School } from '../../engine/school';
import { outside, type Ran } from '../booted-cloud';
import type { BootedHost } from '../booted-host';
import type { Pebble } from '../pebble/pebble';

/** What the suites of a Jitsi host's public side share; filled when it has booted. */
export interface Booted {
  school: School;
  /** Domain of its shard. */
  domain: string;
  jitsi: BootedHost;
  pebble: Pebble;
  /** File with the root that browsers trust: Pebble's, once it has given a certificate. */
  rootFile: string;
}

/** Where TURN is told from the web on port 443. */
export const turnName = (domain: string): string => `turn.${domain}`;

/** File of the stack's own authority, for programs outside. */
export const stackAuthorityFile = ({ school }: Booted): string => join(school.paths.root, 'stack-ca.pem');

/** curl from outside, without asking for the address of the domain. */
export function curl({ jitsi, domain, rootFile }: Booted, ...args: string[]): Promise<Ran> {
  const addresses = [80, 443].flatMap((port) => ['--resolve', `${domain}:${port}:${jitsi.address}`]);
  const command = ['curl', '-sS', '--max-time', '20', '--cacert', rootFile, ...addresses, ...args];
  return outside(jitsi.place, command);
}

/** What a TLS client sees of a certificate: its issuer, names and serial number, or why it refuses it. */
export interface Shown {
  issuer?: string;
  names?: string[];
  serial?: string;
  refused?: string;
}

const shown = (said: string): Shown => ({
  // Newer versions of openssl leave out the blanks.
  issuer: (/^issuer=(.*)$/m.exec(said)?.[1] ?? '').replaceAll(' = ', '='),
  names: [...said.matchAll(/DNS:([^,\s]+)/g)].map(([, name]) => name!).sort(),
  serial: /^serial=(.*)$/m.exec(said)?.[1] ?? '',
});

const handshake = (address: string, name: string, authority: string, more: string): string =>
  `openssl s_client -connect ${address} ${more} -servername ${name} -verify_hostname ${name} ` +
  `-verify_return_error -CAfile ${authority} </dev/null >/tmp/shown-$$ 2>&1 || { cat /tmp/shown-$$; rm /tmp/shown-$$; exit 1; }; ` +
  `openssl x509 -in /tmp/shown-$$ -noout -issuer -serial -ext subjectAltName; rm /tmp/shown-$$`;

const seen = ({ code, stdout, stderr }: Ran): Shown =>
  code === 0
    ? shown(stdout)
    : { refused: /verify error:.*|alert .*|errno=.*/.exec(stdout + stderr)?.[0] ?? stdout };

/** A certificate as a TLS client outside is shown it, whose chain must end at an authority. */
export async function shownOutside(
  booted: Booted,
  port: number,
  name: string,
  authority: string,
): Promise<Shown> {
  const script = handshake(`${booted.jitsi.address}:${port}`, name, authority, '');
  return seen(await outside(booted.jitsi.place, ['sh', '-c', script]));
}

/** Prosody's certificate for one of its names, as a client on the host is shown it. */
export async function shownByProsody(booted: Booted, name: string, authority: string): Promise<Shown> {
  const script = handshake('127.0.0.1:5222', name, authority, `-starttls xmpp -xmpphost ${name}`);
  return seen(await booted.jitsi.attempt(script));
}

/** What tells whether a unit was restarted: its main process, and since when it runs. */
export const running = (booted: Booted, ...units: string[]): Promise<string> =>
  booted.jitsi.run(`systemctl show -p Id -p MainPID -p ActiveEnterTimestamp ${units.join(' ')}`);
