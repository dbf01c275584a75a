import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { get } from 'node:http';
import { expect, it } from 'vitest';
import { Client, Refused } from '../../local/join/client';
import { onBoth } from './both';
import type { Lab } from './lab';
import { CONFERENCE, DOMAIN, SECRET } from './school';
import { claims, hs256, mutated, now, seeded, token, type Claims } from './tokens';
import { post, type Kind } from '../../local/join/wires';

/** How far a token gets somebody: the refusal with its step and error, or the standing in the room. */
async function outcome(lab: Lab, room: string, text: string | undefined, kind: Kind): Promise<string> {
  let client: Client;
  try {
    client = lab.keep(await Client.login({ site: lab.site, kind, token: text }));
  } catch (error) {
    if (error instanceof Refused) return `login: ${error.condition}: ${error.text}`;
    const { cause } = error as Error;
    if (!(cause instanceof Error)) throw error;
    return `login: ${cause.message}`;
  }
  const joined = await lab.enter(client, room, 'somebody');
  return joined.error ? `join: ${joined.error}` : `${joined.affiliation}/${joined.role}`;
}

/**
 * What becomes of a login that the server may never answer: Jitsi's modules raise an error on some tokens. It is looked
 * at when somebody else, who began later and has more to do, is in a room.
 */
async function meanwhile(lab: Lab, text: string, kind: Kind): Promise<string> {
  let ended = 'no answer';
  const login = Client.login({ site: lab.site, kind, token: text }).then(
    (client) => {
      client.close();
      ended = 'let in';
    },
    () => (ended = 'refused'),
  );
  const room = lab.room();
  expect(await outcome(lab, room, signed({})(room), kind)).toBe(pupil);
  // Nothing is waited for: it ends by itself, at the latest with the lab.
  void login;
  return ended;
}

/** A request that does not get as far as TLS; it may be answered by nothing. */
async function plainHttp(port: number, host: string, path: string): Promise<void> {
  const request = get({ host: '127.0.0.1', port, path, headers: { Host: host }, agent: false });
  await Promise.race([once(request, 'response'), once(request, 'close')]).catch(() => undefined);
  request.destroy();
}

const label = (room: string): string => room.split('@')[0] as string;
const hour = 3600;
const signed = (changes: Claims) => (room: string) => token(claims(label(room), changes), SECRET);
const pupil = 'none/participant';

interface Row {
  what: string;
  token: (room: string) => string | undefined;
  ends: string;
  /** The room's name, when it is not the usual one. */
  room?: string;
}

const rows: Row[] = [
  { what: 'a right one', token: signed({}), ends: pupil },
  { what: "a moderator's", token: signed({ moderator: true }), ends: 'owner/moderator' },
  { what: 'none', token: () => undefined, ends: 'login: not-allowed: token required' },
  { what: 'an empty one', token: () => '', ends: 'login: not-allowed' },
  { what: 'garbage', token: () => 'garbage', ends: 'login: not-allowed: Invalid token' },
  { what: 'garbage in three parts', token: () => 'a.b.c', ends: 'login: not-allowed: Invalid json' },
  {
    what: 'alg none',
    token: (room) => token(claims(label(room), { moderator: true }), '', { alg: 'none' }),
    ends: 'login: not-allowed: Invalid',
  },
  {
    what: 'alg none with a signature',
    token: (room) => {
      const parts = token(claims(label(room)), SECRET).split('.');
      return [Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url'), parts[1], parts[2]].join('.');
    },
    ends: 'login: not-allowed: Invalid or incorrect alg',
  },
  {
    what: 'a right header and claims without a signature',
    token: (room) =>
      `${token(claims(label(room)), SECRET)
        .split('.')
        .slice(0, 2)
        .join('.')}.`,
    ends: 'login: not-allowed: Invalid',
  },
  {
    what: 'a wrong secret',
    token: (room) => token(claims(label(room)), `${SECRET}x`),
    ends: 'login: not-allowed: Invalid signature',
  },
  {
    what: 'claims of another token under its signature',
    token: (room) => {
      const [weak, strong] = [{}, { moderator: true }].map((more) =>
        token(claims(label(room), more), SECRET).split('.'),
      );
      return [weak?.[0], strong?.[1], weak?.[2]].join('.');
    },
    ends: 'login: not-allowed: Invalid signature',
  },
  {
    what: 'HS384 with the right secret',
    token: (room) => token(claims(label(room)), SECRET, { alg: 'HS384' }),
    ends: 'login: not-allowed: Invalid or incorrect alg',
  },
  {
    what: 'a key id',
    token: (room) => token(claims(label(room)), SECRET, { kid: 'key-1' }),
    ends: "login: not-allowed: 'kid' claim",
  },
  {
    what: 'RS256 where a secret is expected',
    token: (room) => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      return token(claims(label(room)), pem, { alg: 'RS256' });
    },
    ends: 'login: not-allowed: Invalid or incorrect alg',
  },
  { what: 'expired', token: signed({ exp: now() - 1 }), ends: 'login: not-allowed: Not acceptable by exp' },
  {
    what: 'not yet valid',
    token: signed({ nbf: now() + hour }),
    ends: 'login: not-allowed: Not acceptable by nbf',
  },
  { what: 'exp as a text', token: signed({ exp: String(now() + hour) }), ends: 'login: not-allowed: exp' },
  { what: 'another issuer', token: signed({ iss: 'others' }), ends: 'login: not-allowed: Invalid issuer' },
  { what: 'no issuer', token: signed({ iss: undefined }), ends: 'login: not-allowed: Invalid issuer' },
  {
    what: 'another audience',
    token: signed({ aud: 'others' }),
    ends: 'login: not-allowed: Invalid audience',
  },
  { what: 'no audience', token: signed({ aud: undefined }), ends: 'login: not-allowed: Invalid audience' },
  {
    what: 'a list of audiences',
    token: signed({ aud: ['jitsi'] }),
    ends: 'login: not-allowed: Invalid audience',
  },
  { what: 'audience *', token: signed({ aud: '*' }), ends: 'login: not-allowed: Invalid audience' },
  { what: 'issuer *', token: signed({ iss: '*' }), ends: 'login: not-allowed: Invalid issuer' },
  { what: 'another subject', token: signed({ sub: 'meet.example.com' }), ends: 'join: not-allowed' },
  {
    what: "another shard's subject",
    token: signed({ sub: 'meet-2.example.org' }),
    ends: 'join: not-allowed',
  },
  { what: 'no subject', token: signed({ sub: undefined }), ends: 'join: not-allowed' },
  { what: 'a subject in upper case', token: signed({ sub: DOMAIN.toUpperCase() }), ends: pupil },
  { what: 'another room', token: signed({ room: 'another' }), ends: 'join: not-allowed' },
  {
    what: 'a part of the room',
    token: (room) => signed({ room: label(room).slice(0, -1) })(room),
    ends: 'join: not-allowed',
  },
  { what: 'the room with its component', token: (room) => signed({ room })(room), ends: 'join: not-allowed' },
  { what: 'room *', token: signed({ room: '*', moderator: true }), ends: 'owner/moderator' },
  { what: 'room **', token: signed({ room: '**' }), ends: 'join: not-allowed' },
  { what: 'room .*', token: signed({ room: '.*' }), ends: 'join: not-allowed' },
  {
    what: 'the room in upper case',
    token: (room) => signed({ room: label(room).toUpperCase() })(room),
    ends: pupil,
  },
  { what: 'a room with Cyrillic letters', room: 'урок-7', token: signed({}), ends: pupil },
  // Younger than the Unicode of room addresses.
  { what: 'a room with an emoji', room: 'lesson-🎓', token: signed({}), ends: 'join: jid-malformed' },
  {
    what: 'another spelling of such a room',
    room: 'урок-8',
    token: signed({ room: 'урoк-8' }),
    ends: 'join: not-allowed',
  },
  // Only ASCII is put into lower case there: the app writes such names in lower case.
  {
    what: 'Cyrillic letters in upper case',
    room: 'урок-9',
    token: signed({ room: 'УРОК-9' }),
    ends: 'join: not-allowed',
  },
  { what: 'no time limits', token: signed({ nbf: undefined, exp: undefined }), ends: pupil },
  { what: 'no context', token: signed({ context: undefined }), ends: pupil },
  { what: 'an empty context', token: signed({ context: {} }), ends: pupil },
  { what: 'a text for a context', token: signed({ context: 'x' }), ends: pupil },
  { what: 'claims of 5 kB', token: signed({ padding: 'x'.repeat(5000) }), ends: pupil },
];

onBoth('tokens', { hostModule: 'token_verdicts' }, (place) => {
  it.each(rows)('$what: $ends', async ({ token: make, ends, room: name }) => {
    const { lab } = place;
    for (const kind of ['websocket', 'bosh'] as const) {
      const room = name ? `${name}@${CONFERENCE}` : lab.room();
      const got = await outcome(lab, room, make(room), kind);
      expect({ kind, got: got.slice(0, ends.length) }).toEqual({ kind, got: ends });
      lab.leaveAll();
    }
  });

  it.each<[string, (room: string) => string]>([
    ['no room', signed({ room: undefined })],
    ['a number for a room', signed({ room: 7 })],
    ['a list for a room', signed({ room: ['a'] })],
    ['avatar: null', signed({ context: { user: { id: 'u', name: 'N', avatar: null } } })],
    ['claims that are no object', () => token([1] as unknown as Claims, SECRET)],
  ])('%s: whoever comes with it is not let in', async (_, make) => {
    const { lab } = place;
    for (const kind of ['websocket', 'bosh'] as const) {
      expect(await meanwhile(lab, make(lab.room()), kind)).not.toBe('let in');
    }
  });

  it.each([7_000, 20_000, 1_000_000])(
    '%d bytes of claims are more than nginx takes in a URL',
    async (size) => {
      const { lab } = place;
      const room = lab.room();
      const huge = token(claims(label(room), { padding: 'x'.repeat(size) }), SECRET);
      for (const kind of ['websocket', 'bosh'] as const) {
        const got = await outcome(lab, room, huge, kind);
        // It does not read on, so a client may still write when it closes.
        if (size < 100_000) expect(got).toBe('login: HTTP 414');
        else expect(got).toMatch(/^login: (HTTP 414|(read|write) E\w+|the connection was closed)/);
      }
      expect(await outcome(lab, room, signed({})(room), 'websocket')).toBe(pupil);
    },
  );

  it('a room asked for in upper case is the one of the token in lower case', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const client = await lab.pupil(room);
    client.enter(room.toUpperCase(), 'somebody');
    await client.wait((stanza) => stanza.attrs.from === `${room}/somebody`);
    expect(client.standing(room, 'somebody')).toBe(pupil);
    expect(client.standing(room, 'teacher')).toBe('owner/moderator');
  });

  it('what comes to the wrong door with a token leaves no trace of it', async () => {
    const { lab } = place;
    const text = lab.token(lab.room(), { moderator: true });
    const { domain } = lab.site;
    // Plain HTTP, another name, a page that is not there, a page by its own name.
    for (const [host, path] of [
      [domain, '/lesson'],
      ['another.example.net', '/lesson'],
      [domain, '/.well-known/acme-challenge/none'],
    ] as const) {
      await plainHttp(lab.web!.http, host, `${path}?jwt=${text}`);
    }
    await expect(
      post({ ...lab.site, domain: 'another.example.net' }, `/x?jwt=${text}`, ''),
    ).rejects.toThrow();
    await expect(post(lab.site, `/static/none?jwt=${text}`, '')).rejects.toThrow('HTTP 404');
  });

  it('a refused join is logged without the token, also after a reload', async () => {
    const { lab } = place;
    for (const prepare of [() => Promise.resolve(), () => lab.reload()]) {
      await prepare();
      const room = lab.room();
      await outcome(lab, room, signed({ room: 'elsewhere' })(room), 'websocket');
      await lab.logged(`Token [token] not allowed to join: ${room}`);
    }
  });

  it('a session keeps the token of its login: one in a later BOSH request does nothing', async () => {
    const { lab } = place;
    const room = lab.room();
    const login = lab.login(room, { kind: 'bosh' });
    const client = lab.keep(await Client.login(login));
    login.token = lab.token(room, { moderator: true });
    expect(await lab.enter(client, room, 'pupil')).toMatchObject({
      affiliation: 'none',
      role: 'participant',
    });
  });

  it('of 10 000 mutations of a token none is let in that says anything else', async () => {
    const { lab } = place;
    const random = seeded(20_261_124);
    const original = lab.token(lab.room());
    const tokens = [original, ...Array.from({ length: 10_000 }, () => mutated(original, random))];
    const verdicts = await lab.verdicts(tokens);
    expect(verdicts).toHaveLength(10_001);
    expect(verdicts[0]).toBe(true);
    const letIn = tokens.filter((_, at) => verdicts[at]);
    // Base64 of a signature has spare bits, so it may be written differently; what it signs may not.
    const says = (text: string) => text.slice(0, text.lastIndexOf('.'));
    expect(letIn.filter((text) => says(text) !== says(original))).toEqual([]);
    expect(letIn.length).toBeLessThan(100);
    // Some of them by the way that browsers take.
    for (const [at, text] of tokens.slice(0, 300).entries()) {
      const verdict = await Client.attempt({
        site: lab.site,
        kind: at % 2 ? 'bosh' : 'websocket',
        token: text,
      });
      expect(verdict).toBe(verdicts[at] ? 'success' : 'not-allowed');
    }
  }, 240_000);
});

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

onBoth(
  'tokens of a key pair',
  {
    files: { '/etc/prosody/token-key.pem': publicKey },
    config: [
      [
        '    allow_empty_token = false',
        '    allow_empty_token = false\n    asap_key_file = "{root}/etc/prosody/token-key.pem"',
      ],
    ],
  },
  (place) => {
    it.each<[string, (room: string) => string, string]>([
      [
        'the right key',
        (room) => token(claims(label(room), { moderator: true }), privateKey, { alg: 'RS256' }),
        'owner/moderator',
      ],
      [
        'the public key taken for a secret',
        (room) => hs256(claims(label(room), { moderator: true }), publicKey),
        'login: not-allowed: Invalid or incorrect alg',
      ],
      [
        "the shared secret's HS256",
        (room) => token(claims(label(room)), SECRET),
        'login: not-allowed: Invalid or incorrect alg',
      ],
      [
        'another key',
        (room) => {
          const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
          return token(claims(label(room)), other.export({ type: 'pkcs8', format: 'pem' }).toString(), {
            alg: 'RS256',
          });
        },
        'login: not-allowed: Invalid signature',
      ],
    ])('%s', async (_, make, ends) => {
      const { lab } = place;
      const room = lab.room();
      const got = await outcome(lab, room, make(room), 'websocket');
      expect(got.slice(0, ends.length)).toBe(ends);
    });
  },
);
