import { randomBytes } from 'node:crypto';
import { Client } from '../../local/join/client';
import { hasRightRole, joinRoom, people, tokenFor, type TokenSettings } from '../../local/join/probe';
import { trusted, type Site } from './outside';
import type { Finding, State } from './findings';

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
  const way = {
    domain,
    url: `https://${domain}`,
    address: site.host.publicAddress,
    authorities: trusted(site.authority),
  };

  const findings: Finding[] = [];
  try {
    const wrong = await Client.attempt({
      site: way,
      room,
      token: tokenFor(room, 'moderator', domain, { ...settings, secret: `${settings.secret}x` }),
    });
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
    const joined = await joinRoom(way, settings);
    for (const who of people) {
      const { affiliation, role } = joined[who];
      findings.push(
        hasRightRole(who, joined[who])
          ? says(`${who}'s token`, 'ok', `joins as ${affiliation}/${role}`)
          : says(
              `${who}'s token`,
              'failure',
              `joins as ${affiliation}/${role}`,
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
  }
  return findings;
}
