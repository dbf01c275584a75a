import { randomBytes } from 'node:crypto';
import { sign } from 'jsonwebtoken';
import { Client, errorOf, type Presence } from '../../local/join/client';
import { trusted, type Site } from './outside';
import type { Finding, State } from './findings';

/** What tokens are made with. */
export interface TokenSettings {
  appId: string;
  audience: string;
  secret: string;
}

/**
 * Joins a room of the shard as a lesson's page does, with a moderator's token and with a participant's, and tries a
 * token with a wrong signature. The room's name begins with platform-check, its tokens allow no recording, and it ends
 * with the check.
 */
export async function checkLesson(site: Site, settings: TokenSettings): Promise<Finding[]> {
  const { domain } = site;
  const room = `platform-check-${randomBytes(4).toString('hex')}`;
  const says = (check: string, state: State, text: string, remedy = ''): Finding => ({
    host: domain,
    check,
    state,
    says: text,
    do: remedy,
  });
  const logs = `npm run logs -- ${site.host.name} prosody jicofo`;
  const token = (moderator: boolean, secret = settings.secret): string =>
    sign(
      {
        room,
        moderator,
        nbf: Math.floor(Date.now() / 1000) - 60,
        context: {
          user: { id: 'platform-check', name: 'Platform check' },
          features: { recording: false, livestreaming: false },
        },
      },
      secret,
      {
        expiresIn: 120,
        noTimestamp: true,
        audience: settings.audience,
        issuer: settings.appId,
        subject: domain,
      },
    );
  const login = (jwt: string) => ({
    site: {
      domain,
      url: `https://${domain}`,
      address: site.host.publicAddress,
      authorities: trusted(site.authority),
    },
    token: jwt,
    room,
  });

  const findings: Finding[] = [];
  const clients: Client[] = [];
  try {
    const wrong = await Client.attempt(login(token(true, `${settings.secret}x`)));
    findings.push(
      wrong === 'success'
        ? says(
            'wrong token',
            'failure',
            'a token with a wrong signature is let in',
            `see ${logs}; run pulumi up`,
          )
        : says('wrong token', 'ok', `refused (${wrong})`),
    );
    for (const [who, moderator, wanted] of [
      ['moderator', true, 'owner'],
      ['participant', false, 'none'],
    ] as const) {
      const client = await Client.login(login(token(moderator)));
      clients.push(client);
      const address = `${room}@conference.${domain}`;
      const focus = errorOf(await client.conference(address));
      if (focus !== undefined) throw new Error(`focus refuses a conference: ${focus}`);
      const presence: Presence = await client.join(address, who);
      if (presence.error !== undefined) throw new Error(`the ${who} cannot join: ${presence.error}`);
      findings.push(
        presence.affiliation === wanted
          ? says(`${who}'s token`, 'ok', `joins as ${presence.affiliation}/${presence.role}`)
          : says(
              `${who}'s token`,
              'failure',
              `joins as ${presence.affiliation}, not as ${wanted}`,
              `is mod_token_moderation loaded? see ${logs}`,
            ),
      );
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    findings.push(
      says(
        'lesson',
        'failure',
        text,
        `see ${logs}; a refused token with the right secret means that the host has not got it yet: run pulumi up`,
      ),
    );
  } finally {
    for (const client of clients) client.close();
  }
  return findings;
}
