import type { Element } from 'ltx';
import { expect, it } from 'vitest';
import { Client } from '../../local/join/client';
import { onBoth } from './both';
import type { Lab } from './lab';
import type { Claims } from './tokens';

const NICK = 'http://jabber.org/protocol/nick';
const ada = {
  id: 'pupil-7',
  name: 'Ada',
  email: 'ada@school.example',
  avatar: 'https://school.example/ada.png',
};
const bearing = (user: object | undefined, group?: string): Claims => ({ context: { user, group } });

/** Everything by which a client could call itself somebody else. */
const pretended = [
  '<identity><user><id>teacher-1</id><name>Teacher</name></user><group>staff</group></identity>',
  "<identity xmlns='urn:another'><user><id>teacher-1</id></user></identity>",
  `<nick xmlns='${NICK}'>Teacher</nick>`,
  '<email>teacher@school.example</email>',
  '<avatar-url>https://school.example/teacher.png</avatar-url>',
  "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>",
].join('');

/** Who somebody is to the others, by one presence or message. */
function told(element: Element) {
  const user = element.getChildren('identity').map((each) => each.getChild('user')?.getChildText('id'));
  const text = (name: string) => element.getChildText(name) ?? undefined;
  return { user, name: text('nick'), email: text('email'), avatar: text('avatar-url') };
}
const asAda = { user: ['pupil-7'], name: 'Ada', email: ada.email, avatar: ada.avatar };

async function watched(lab: Lab): Promise<{ room: string; watching: Client }> {
  const room = lab.room();
  const watching = await lab.teacher(room);
  await lab.enter(watching, room, 'watching');
  return { room, watching };
}

onBoth('who somebody is', {}, (place) => {
  it.each(['websocket', 'bosh'] as const)(
    'comes from the token, whatever the client says, over %s',
    async (kind) => {
      const { lab } = place;
      const { room, watching } = await watched(lab);
      const client = await lab.pupil(room, { kind, claims: bearing(ada, 'class-7') });
      await client.join(room, 'pupil', { more: pretended });
      client.send(`<presence xmlns='jabber:client' to='${room}/pupil'>${pretended}</presence>`);
      // Another nick in the room is no other person.
      client.send(`<presence xmlns='jabber:client' to='${room}/teacher'>${pretended}</presence>`);
      await client.settled();
      await watching.settled();
      const seen = [...watching.seen(room, 'pupil'), ...watching.seen(room, 'teacher')].filter(
        ({ type }) => type === 'available',
      );
      expect(seen).toHaveLength(3);
      for (const { element, affiliation, role } of seen) {
        expect({ ...told(element), affiliation, role }).toEqual({
          ...asAda,
          affiliation: 'none',
          role: 'participant',
        });
        expect(element.getChild('identity')?.getChildText('group')).toBe('class-7');
        expect(element.toString()).not.toMatch(/teacher-1|teacher@|teacher\.png|>Teacher</);
      }
    },
  );

  it.each<[string, Claims]>([
    ['no context', { context: undefined }],
    ['no user', bearing(undefined)],
    ['a user with an id alone', bearing({ id: 'pupil-8' })],
  ])('with %s in the token nobody else can be claimed to be', async (_, claims) => {
    const { lab } = place;
    const { room, watching } = await watched(lab);
    const client = await lab.pupil(room, { claims });
    await client.join(room, 'pupil', { more: pretended });
    await watching.settled();
    const [seen] = watching.seen(room, 'pupil');
    const { user, name, email, avatar } = told(seen!.element);
    expect(user).toEqual(JSON.stringify(claims).includes('pupil-8') ? ['pupil-8'] : []);
    // There is no name but the client's own.
    expect({ name, email, avatar }).toEqual({ name: 'Teacher', email: undefined, avatar: undefined });
  });

  it('is the same in messages, to all and to one', async () => {
    const { lab } = place;
    const { room, watching } = await watched(lab);
    const client = await lab.pupil(room, { claims: bearing(ada) });
    await client.join(room, 'pupil');
    const message = (to: string, type: string) =>
      `<message xmlns='jabber:client' to='${to}' type='${type}'><body>${type}</body>${pretended}</message>`;
    client.send(message(room, 'groupchat'));
    client.send(message(`${room}/watching`, 'chat'));
    for (const type of ['groupchat', 'chat']) {
      const got = await watching.wait(
        (stanza) => stanza.getName() === 'message' && stanza.getChildText('body') === type,
      );
      expect(told(got)).toMatchObject({ user: [], name: 'Ada', email: ada.email, avatar: ada.avatar });
    }
  });

  it('is each session its own token’s, a second one of the same account too', async () => {
    const { lab } = place;
    const { room, watching } = await watched(lab);
    const first = await lab.pupil(room, { claims: bearing(ada) });
    await first.join(room, 'first', { more: pretended });
    const bob = { ...ada, id: 'pupil-8', name: 'Bob' };
    const second = await lab.pupil(room, { claims: bearing(bob), previd: await first.resumable() });
    await second.join(room, 'second', { more: pretended });
    await watching.settled();
    expect(told(watching.seen(room, 'first').at(-1)!.element)).toEqual(asAda);
    expect(told(watching.seen(room, 'second').at(-1)!.element)).toEqual({
      ...asAda,
      user: ['pupil-8'],
      name: 'Bob',
    });
  });

  it('holds in the lobby, where a teacher decides by it', async () => {
    const { lab } = place;
    const { room, watching } = await watched(lab);
    expect(await watching.configure(room, { 'muc#roomconfig_membersonly': '1' })).toBeUndefined();
    const client = await lab.pupil(room, { claims: bearing(ada) });
    const refusal = await client.join(room, 'pupil', { more: pretended });
    expect(refusal.error).toBe('registration-required');
    const lobby = room.replace('@conference.', '@lobby.');
    const knocked = await client.join(lobby, 'pupil', { more: pretended });
    expect(told(knocked.element)).toEqual(asAda);
  });

  it('the recorder is not touched: it has an account instead of a token', async () => {
    const { lab } = place;
    const { room, watching } = await watched(lab);
    const recorder = await lab.recorder();
    await recorder.join(room, 'recorder', { more: `<nick xmlns='${NICK}'>Recorder</nick>` });
    await watching.settled();
    expect(told(watching.seen(room, 'recorder')[0]!.element).name).toBe('Recorder');
  });
});
