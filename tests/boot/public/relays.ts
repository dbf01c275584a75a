import { createHmac } from 'node:crypto';
import { spawn } from 'node:child_process';
import { inNamespace } from '../../../local/machines/place';
import { startService } from '../../../local/machines/services';
import { ran } from '../booted-cloud';
import type { Lesson } from '../lesson';
import type { Booted } from './booted';

/** Somebody outside to whom things are relayed; coturn takes no other public addresses of a rehearsal. */
export const peerAddress = '198.18.250.1';
const peerPort = 3490;

/** Puts a peer outside that sends back what it gets; it goes with its place. */
export async function startPeer({ jitsi: { place } }: Booted): Promise<void> {
  await ran(['ip', '-n', place.gateway, 'addr', 'add', `${peerAddress}/32`, 'dev', 'lo']);
  const echo = ['turnutils_peer', '-L', peerAddress, '-p', String(peerPort)];
  startService(place, 'peer', inNamespace(place.gateway, echo));
}

export interface Credentials {
  username: string;
  password: string;
}

/** As Prosody gives them to somebody in a lesson. */
export async function credentials({ domain }: Booted, lesson: Lesson): Promise<Credentials> {
  const turn = (await lesson.services()).find(({ type, host }) => type === 'turn' && host === domain);
  return { username: turn!.username!, password: turn!.password! };
}

/** As Prosody makes them from the secret that it shares with coturn. @param seconds until they end; negative: long ago */
export async function madeCredentials(
  { jitsi }: Booted,
  name: string,
  seconds: number,
): Promise<Credentials> {
  const secret = await jitsi.run('cat /etc/platform/secrets/turn-secret');
  const username = `${Math.floor(Date.now() / 1000) + seconds}:${name}`;
  return { username, password: createHmac('sha1', secret).update(username).digest('base64') };
}

export interface RelayOptions extends Credentials {
  peer: string;
  peerPort?: number;
  /** Default 3; one each 20 ms. */
  messages?: number;
  /** Default: UDP on 3478. */
  over?: 'tls' | { plainTcpTo: string; port: number };
  /** Default 1. */
  clients?: number;
  /** Default: the host's. */
  server?: string;
}

/** A TURN client outside. `outcome` is what it prints, in the end or when it has waited 40 s for answers. */
export function relay(
  { jitsi }: Booted,
  options: RelayOptions,
): { running(): boolean; outcome: Promise<string> } {
  const { username, password, peer, messages = 3, over, clients = 1 } = options;
  const way =
    over === undefined ? [] : over === 'tls' ? ['-t', '-S', '-p', '5349'] : ['-t', '-p', String(over.port)];
  const server = typeof over === 'object' ? over.plainTcpTo : jitsi.address;
  const command = [
    ...[
      'timeout',
      '60',
      'turnutils_uclient',
      '-c',
      '-s',
      '-u',
      username,
      '-w',
      password,
      '-m',
      String(clients),
    ],
    ...[
      '-n',
      String(messages),
      '-z',
      '20',
      '-e',
      peer,
      '-r',
      String(options.peerPort ?? peerPort),
      ...way,
      server,
    ],
  ];
  const [program, ...args] = inNamespace(jitsi.place.gateway, command);
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  return {
    running: () => child.exitCode === null,
    outcome: new Promise((resolve) => child.on('close', () => resolve(said))),
  };
}
