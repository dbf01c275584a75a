import { randomBytes } from 'node:crypto';
import { sign } from 'jsonwebtoken';
import { Client, errorOf } from './client';
import type { Site } from './wires';

/** What tokens are made with, as the stack's outputs tell it. */
export interface TokenSettings {
  appId: string;
  audience: string;
  secret: string;
}

/** How the server treats somebody in a room. */
export interface Standing {
  affiliation: string;
  role: string;
}

/** In the order in which they join. */
export const people = ['participant', 'moderator'] as const;
export type Joined = Record<(typeof people)[number], Standing>;

/**
 * A lesson's token for one room, for the next five minutes.
 *
 * @param lesson id of a lesson that is to be recorded; default: none is
 */
export function tokenFor(
  room: string,
  who: keyof Joined,
  domain: string,
  settings: TokenSettings,
  lesson?: string,
): string {
  const claims = {
    ...(lesson !== undefined && { lesson: { id: lesson, recording: true } }),
    room,
    moderator: who === 'moderator',
    nbf: Math.floor(Date.now() / 1000) - 60,
    context: {
      user: { id: 'platform-check', name: 'Platform check' },
      features: { recording: false, livestreaming: false },
    },
  };
  return sign(claims, settings.secret, {
    expiresIn: 300,
    noTimestamp: true,
    audience: settings.audience,
    issuer: settings.appId,
    subject: domain,
  });
}

/**
 * Joins a participant and then a moderator to a room of their own, over WebSocket as the web client does. The
 * participant comes first: on a server that makes the first one moderator it shows.
 *
 * @returns how the participant sees both once both are there
 * @throws with the step and the reason when one of them is not let in
 */
export async function joinRoom(site: Site, settings: TokenSettings): Promise<Joined> {
  // A name that the hosts' own checks have as well: no lesson has it, and nothing is recorded in it.
  const name = `platform-check-${randomBytes(4).toString('hex')}`;
  const room = `${name}@conference.${site.domain}`;
  const clients: Partial<Record<keyof Joined, Client>> = {};
  try {
    for (const who of people) {
      const client = await step(`the ${who} logs in`, () =>
        Client.login({ site, room: name, token: tokenFor(name, who, site.domain, settings) }),
      );
      clients[who] = client;
      await step('focus opens the room', async () => refuse(errorOf(await client.conference(room))));
      await step(`the ${who} joins`, async () => refuse((await client.join(room, who)).error));
    }
    const { participant } = clients as Record<keyof Joined, Client>;
    const seen = async (who: keyof Joined): Promise<Standing> => {
      await participant.wait(({ attrs }) => attrs.from === `${room}/${who}`, 0, `presence of the ${who}`);
      const { affiliation = 'none', role = 'none' } = participant.seen(room, who).at(-1)!;
      return { affiliation, role };
    };
    return { participant: await seen('participant'), moderator: await seen('moderator') };
  } finally {
    for (const client of Object.values(clients)) client.close();
  }
}

/** Does something; its failure says what was done. */
export async function step<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** @throws when there is a condition of an error */
export function refuse(condition: string | undefined): void {
  if (condition !== undefined) throw new Error(`refused: ${condition}`);
}

/** Whether the server treats somebody as the token says. */
export const hasRightRole = (who: keyof Joined, { affiliation, role }: Standing): boolean =>
  who === 'moderator'
    ? affiliation === 'owner' && role === 'moderator'
    : !['owner', 'admin'].includes(affiliation) && role === 'participant';
