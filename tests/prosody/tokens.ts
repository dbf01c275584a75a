import { createHmac } from 'node:crypto';
import jwt, { type JwtHeader } from 'jsonwebtoken';
import { APP_ID, DOMAIN } from './school';

/** Claims of a lesson's token, as the school's app makes them; what is undefined is left out. */
export interface Claims {
  aud?: unknown;
  iss?: unknown;
  sub?: unknown;
  room?: unknown;
  nbf?: unknown;
  exp?: unknown;
  moderator?: unknown;
  context?: unknown;
  [more: string]: unknown;
}

export const now = (): number => Math.floor(Date.now() / 1000);

/** A right token's claims for a room; `changes` replaces some, undefined removes. */
export function claims(room: string, changes: Claims = {}): Claims {
  const all: Claims = {
    aud: 'jitsi',
    iss: APP_ID,
    sub: DOMAIN,
    room,
    nbf: now() - 30,
    exp: now() + 600,
    moderator: false,
    context: {
      user: { id: 'user-1', name: 'Ada' },
      features: { recording: false, livestreaming: false },
    },
    ...changes,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** A token as the app signs it: HS256, type JWT. Claims are not checked here: wrong ones must get to the server. */
export function token(content: Claims, secret: string, header: Partial<JwtHeader> = {}): string {
  return sign({ alg: 'HS256', typ: 'JWT', ...header }, content, secret);
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function sign(header: JwtHeader, content: Claims, secret: string): string {
  if (header.alg === 'none') return `${part(header)}.${part(content)}.`;
  // The library takes no empty secret; somebody who tries one does not use it.
  if (secret === '') return hs256(content, secret);
  return jwt.sign(JSON.stringify(content), secret, { header, algorithm: header.alg as 'HS256' });
}

/** HS256 with any text for a key, also one that a library would not take for a secret. */
export function hs256(content: Claims, key: string): string {
  const data = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(content)}`;
  return `${data}.${createHmac('sha256', key).update(data).digest('base64url')}`;
}

/** A token with one character of it replaced, left out, doubled or moved; never the same text. */
export function mutated(original: string, random: () => number): string {
  const at = Math.floor(random() * original.length);
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=';
  const letter = letters[Math.floor(random() * letters.length)] ?? 'A';
  const ways = [
    () => original.slice(0, at) + letter + original.slice(at + 1),
    () => original.slice(0, at) + original.slice(at + 1),
    () => original.slice(0, at) + letter + original.slice(at),
    () => original.slice(at),
    () => original.slice(0, at),
    () => original.slice(0, at) + original.slice(at).split('').reverse().join(''),
  ];
  const changed = (ways[Math.floor(random() * ways.length)] as () => string)();
  return changed === original ? `${original}A` : changed;
}

/** Numbers in [0, 1) from a seed, the same ones every time (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
