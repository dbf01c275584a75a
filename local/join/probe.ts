import { randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { Client, errorOf } from './client';
import type { Site } from './wires';

/** What an app has to make tokens for a domain. */
export interface TokenIssuer {
  appId: string;
  secret: string;
}

/** How the server treats somebody in a room. */
export interface Standing {
  affiliation: string;
  role: string;
}

const people = ['participant', 'moderator'] as const;
export type Joined = Record<(typeof people)[number], Standing>;

/** A lesson's token for one room, for the next five minutes. */
function tokenFor(room: string, who: keyof Joined, site: Site, { appId, secret }: TokenIssuer): string {
  const now = Math.floor(Date.now() / 1000);
  const moderator = who === 'moderator';
  return jwt.sign(
    {
      aud: 'jitsi',
      iss: appId,
      sub: site.domain,
      room,
      nbf: now - 60,
      exp: now + 300,
      moderator,
      context: {
        user: { id: `probe-${who}`, name: `Probe, ${who}` },
        features: { recording: false, livestreaming: false },
      },
    },
    secret,
    { algorithm: 'HS256', noTimestamp: true },
  );
}

/**
 * Joins a participant and then a moderator to a room of their own, over WebSocket as the web client does. The
 * participant comes first: on a server that makes the first one moderator it shows.
 *
 * @returns how the participant sees both once both are there
 * @throws with the step and the reason when one of them is not let in
 */
export async function joinRoom(site: Site, issuer: TokenIssuer): Promise<Joined> {
  // A name that the hosts' own checks have as well: no lesson has it, and nothing is recorded in it.
  const name = `platform-check-${randomBytes(4).toString('hex')}`;
  const room = `${name}@conference.${site.domain}`;
  const clients: Partial<Record<keyof Joined, Client>> = {};
  try {
    for (const who of people) {
      const client = await step(`the ${who} logs in`, () =>
        Client.login({ site, room: name, token: tokenFor(name, who, site, issuer) }),
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

async function step<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function refuse(condition: string | undefined): void {
  if (condition !== undefined) throw new Error(`refused: ${condition}`);
}

/** What is wrong with the roles that two tokens got; undefined when they are the expected ones. */
export function wrongRoles({ participant, moderator }: Joined): string | undefined {
  if (moderator.role !== 'moderator') return `the moderator's token made a ${moderator.role}`;
  if (participant.role !== 'participant' || ['owner', 'admin'].includes(participant.affiliation)) {
    return `the participant's token made a ${participant.role} with affiliation ${participant.affiliation}`;
  }
  return undefined;
}
