import { setTimeout as sleep } from 'node:timers/promises';
import { Client, errorOf } from './client';
import { refuse, step, tokenFor, type TokenSettings } from './probe';
import type { Site } from './wires';

/** How long the server has to begin the recording, in milliseconds. */
const START_MS = 60_000;

/** How a lesson was recorded. */
export interface Taught {
  /** Session of the recording, part of its objects' names. */
  session: string;
  /** From the moderator's entrance until the room said that it is recorded, in milliseconds. */
  waitedMs: number;
}

/**
 * A moderator enters a lesson whose token asks for recording and presses nothing; ends it for all once the room has said
 * for some seconds that it is recorded.
 *
 * @param lesson its id, and the name of its room
 * @throws with the step and the reason
 */
export async function teachRecorded(
  site: Site,
  settings: TokenSettings,
  lesson: string,
  seconds: number,
): Promise<Taught> {
  const room = `${lesson}@conference.${site.domain}`;
  const token = tokenFor(lesson, 'moderator', site.domain, settings, lesson);
  const client = await step('the moderator logs in', () => Client.login({ site, room: lesson, token }));
  try {
    await step('focus opens the room', async () => refuse(errorOf(await client.conference(room))));
    await step('the moderator joins', async () => refuse((await client.join(room, 'moderator')).error));
    const joined = Date.now();
    let session: string | undefined;
    while ((session = recordedAs(client, room)) === undefined) {
      if (Date.now() - joined > START_MS) throw new Error(`not recorded within ${START_MS / 1000} s`);
      await sleep(100);
    }
    const waitedMs = Date.now() - joined;
    await sleep(seconds * 1000);
    if (recordedAs(client, room) !== session) throw new Error(`the recording ended within ${seconds} s`);
    client.send(
      `<message xmlns='jabber:client' to='endconference.${site.domain}'><end_conference/></message>`,
    );
    await client.settled();
    return { session, waitedMs };
  } finally {
    client.close();
  }
}

/** Session of the recording that focus shows in a room, while it is on. */
function recordedAs(client: Client, room: string): string | undefined {
  const said = client
    .seen(room, 'focus')
    .map(({ element }) => element.getChild('jibri-recording-status', 'http://jitsi.org/protocol/jibri'))
    .findLast((status) => status !== undefined);
  return said?.attrs.status === 'on' ? String(said.attrs.session_id) : undefined;
}
