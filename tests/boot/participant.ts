import { createInterface } from 'node:readline';
import { Client } from '../../local/join/client';

/**
 * Somebody in a lesson, as a web page would be: logs in over nginx with a token, asks for the focus, joins, stays.
 *
 * Standard input: a line of JSON as `Lesson` below, then a line for each question: `?` whether the server still
 * answers, `services` for what it knows of STUN and TURN (XEP-0215), `focus` for a focus that went, `end` to end the
 * lesson for all; its end leaves. Standard output: a line of JSON for `joined`, each answer, and `ended`.
 */
interface Lesson {
  domain: string;
  address: string;
  /** Authority that the site's certificate is checked against, PEM. */
  ca: string;
  token: string;
  room: string;
  nick: string;
}

const tell = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`);

async function main(): Promise<void> {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const lesson = JSON.parse((await lines.next()).value as string) as Lesson;
  const { domain, address, ca, token, room, nick } = lesson;
  const site = { domain, url: `https://${domain}`, address, authorities: [ca] };
  const client = await Client.login({ site, token, room });
  const conference = `${room}@conference.${domain}`;
  const focus = await client.conference(conference);
  const { affiliation, error } = await client.join(conference, nick);
  tell({ event: 'joined', focus: focus.attrs.type as string, affiliation, error });
  for await (const question of lines) {
    if (question === 'services') {
      const answer = await client.iq('get', domain, "<services xmlns='urn:xmpp:extdisco:2'/>");
      const services = answer.getChild('services')?.getChildren('service') ?? [];
      tell({ event: 'services', services: services.map(({ attrs }) => attrs as object) });
      continue;
    }
    if (question === 'focus') {
      tell({ event: 'focus', answer: (await client.conference(conference)).attrs.type as string });
      continue;
    }
    if (question === 'end') {
      client.send(`<message xmlns='jabber:client' to='endconference.${domain}'><end_conference/></message>`);
      continue;
    }
    // A room answers only who is in it.
    const answer = await client.iq('get', `${conference}/${nick}`, "<ping xmlns='urn:xmpp:ping'/>");
    tell({ event: 'alive', answer: answer.attrs.type as string });
  }
  client.close();
}

main().catch((error: unknown) => {
  tell({ event: 'ended', why: error instanceof Error ? error.message : String(error) });
  process.exit(1);
});
