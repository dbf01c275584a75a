import { expect, it } from 'vitest';
import { account, Client, errorOf } from '../../local/join/client';
import { onBoth } from './both';
import { CONFERENCE, DOMAIN } from './school';
import type { Claims } from './tokens';

const user = (more: Record<string, unknown>): Claims => ({
  context: { user: { id: 'u', name: 'N', ...more } },
});

onBoth('who moderates', {}, (place) => {
  it('a pupil who is first joins as participant, and a teacher after as owner, each told once', async () => {
    const { lab } = place;
    const room = lab.room();
    const pupil = await lab.pupil(room);
    const first = await lab.enter(pupil, room, 'pupil');
    expect(first).toMatchObject({ affiliation: 'none', role: 'participant', codes: ['100', '110'] });
    const teacher = await lab.teacher(room);
    const second = await lab.enter(teacher, room, 'teacher');
    expect(second).toMatchObject({ affiliation: 'owner', role: 'moderator', codes: ['100', '110'] });
    await teacher.settled();
    await pupil.settled();
    expect(pupil.seen(room, 'teacher')).toMatchObject([{ affiliation: 'owner', role: 'moderator' }]);
    expect(teacher.seen(room, 'pupil')).toMatchObject([{ affiliation: 'none', role: 'participant' }]);
    expect(teacher.seen(room, 'teacher')).toHaveLength(1);
    expect(pupil.seen(room, 'pupil')).toHaveLength(1);
    expect(pupil.seen(room, 'focus')).toMatchObject([{ affiliation: 'owner', role: 'moderator' }]);
  });

  it('a teacher who is first is owner at once, and a pupil after participant', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room, { kind: 'bosh' });
    const first = await lab.enter(teacher, room, 'teacher');
    expect(first).toMatchObject({ affiliation: 'owner', role: 'moderator', codes: ['100', '110'] });
    const pupil = await lab.pupil(room, { kind: 'bosh' });
    const second = await lab.enter(pupil, room, 'pupil');
    expect(second).toMatchObject({ affiliation: 'none', role: 'participant', codes: ['100', '110'] });
    await teacher.settled();
    await pupil.settled();
    expect(teacher.seen(room, 'pupil')).toMatchObject([{ affiliation: 'none', role: 'participant' }]);
    expect(pupil.seen(room, 'teacher')).toMatchObject([{ affiliation: 'owner', role: 'moderator' }]);
    expect(pupil.seen(room, 'pupil')).toHaveLength(1);
  });

  it('nothing is written for pupils, nor for a teacher who comes again', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const watching = await lab.teacher(room);
    await lab.enter(watching, room, 'watching');
    const from = watching.stanzas.length;
    const pupil = await lab.pupil(room);
    await lab.enter(pupil, room, 'pupil');
    await teacher.leave(room, 'teacher');
    expect(await teacher.join(room, 'teacher')).toMatchObject({ affiliation: 'owner', role: 'moderator' });
    await watching.settled();
    // A changed affiliation of somebody outside comes as a message to everybody inside.
    expect(watching.stanzas.slice(from).filter((stanza) => stanza.getName() === 'message')).toEqual([]);
  });

  it.each<[string, Claims, boolean]>([
    ['moderator: true', { moderator: true }, true],
    ['moderator: true without any context', { moderator: true, context: undefined }, true],
    ['context.user.moderator: true', { moderator: undefined, ...user({ moderator: true }) }, true],
    ['context.user.affiliation owner', { moderator: undefined, ...user({ affiliation: 'owner' }) }, true],
    [
      'context.user.affiliation moderator',
      { moderator: undefined, ...user({ affiliation: 'moderator' }) },
      true,
    ],
    ['context.user.affiliation teacher', { moderator: undefined, ...user({ affiliation: 'teacher' }) }, true],
    ['moderator: "true"', { moderator: 'true' }, false],
    ['moderator: 1', { moderator: 1 }, false],
    ['moderator: {}', { moderator: {} }, false],
    ['moderator: null beside a teacher', { moderator: null, ...user({ affiliation: 'teacher' }) }, false],
    ['moderator: false beside a teacher', { moderator: false, ...user({ affiliation: 'teacher' }) }, false],
    ['no claim at all', { moderator: undefined, context: undefined }, false],
    ['context.user.moderator: "true"', { moderator: undefined, ...user({ moderator: 'true' }) }, false],
    ['context.user.affiliation member', { moderator: undefined, ...user({ affiliation: 'member' }) }, false],
    [
      'context.user.affiliation TEACHER',
      { moderator: undefined, ...user({ affiliation: 'TEACHER' }) },
      false,
    ],
    ['context.user.affiliation a list', { moderator: undefined, ...user({ affiliation: ['owner'] }) }, false],
    ['context.moderator: true', { moderator: undefined, context: { moderator: true } }, false],
    ['Moderator: true', { moderator: undefined, Moderator: true }, false],
  ])('%s', async (_, claims, moderates) => {
    const { lab } = place;
    const room = lab.room();
    const client = await lab.person(room, { claims });
    const joined = await lab.enter(client, room, 'somebody');
    expect(`${joined.affiliation}/${joined.role}`).toBe(moderates ? 'owner/moderator' : 'none/participant');
  });

  it('nobody inherits the room: teacher gone, pupil again, room made anew', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room);
    await lab.enter(pupil, room, 'pupil');
    await teacher.leave(room, 'teacher');
    await pupil.settled();
    expect(pupil.standing(room, 'pupil')).toBe('none/participant');
    await pupil.leave(room, 'pupil');
    expect(await lab.enter(pupil, room, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
    await pupil.leave(room, 'pupil');
    // Focus goes with the last one, and the room with focus.
    const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    const gone = async () => errorOf(await pupil.iq('get', room, info));
    await expect.poll(gone, { timeout: 15_000 }).toBe('item-not-found');
    expect(await lab.enter(pupil, room, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
  });

  it('a pupil asks for owner in every way there is, and stays participant', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room);
    await lab.enter(pupil, room, 'pupil');
    const jid = account(pupil.jid);
    expect(await pupil.admin(room, { jid, affiliation: 'owner' })).toBe('not-allowed');
    expect(await pupil.admin(room, { jid, affiliation: 'admin' })).toBe('not-allowed');
    expect(await pupil.admin(room, { nick: 'pupil', role: 'moderator' })).toBe('not-allowed');
    expect(await pupil.admin(room, { jid: account(teacher.jid), affiliation: 'none' })).toBe('not-allowed');
    expect(await pupil.configure(room, { 'muc#roomconfig_roomsecret': 'x' })).toBe('forbidden');
    expect(await pupil.configure(room)).toBe('forbidden');
    const owner = "<query xmlns='http://jabber.org/protocol/muc#owner'>";
    const destroyed = await pupil.iq('set', room, `${owner}<destroy/></query>`);
    expect(destroyed.attrs.type).toBe('error');
    const registered = await pupil.iq('set', room, "<query xmlns='jabber:iq:register'/>");
    expect(registered.attrs.type).toBe('error');
    const command =
      "<command xmlns='http://jabber.org/protocol/commands' node='http://prosody.im/protocol/muc#set_affiliation' action='execute'/>";
    expect((await pupil.iq('set', CONFERENCE, command)).attrs.type).toBe('error');
    // A role that the client puts into its own presence.
    const forged =
      "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>";
    pupil.send(`<presence xmlns='jabber:client' to='${room}/pupil'>${forged}</presence>`);
    await pupil.settled();
    await teacher.settled();
    expect(teacher.standing(room, 'pupil')).toBe('none/participant');
    // Another nick.
    pupil.send(`<presence xmlns='jabber:client' to='${room}/renamed'/>`);
    await pupil.settled();
    await teacher.settled();
    expect(teacher.standing(room, 'renamed')).toBe('none/participant');
    expect(teacher.standing(room, 'teacher')).toBe('owner/moderator');
    const other = await lab.pupil(room);
    expect((await lab.enter(other, room, 'focus')).error).toBe('conflict');
    const again = await lab.pupil(room);
    const more =
      "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>";
    expect(await again.join(room, 'again', { more })).toMatchObject({
      affiliation: 'none',
      role: 'participant',
    });
  });

  it("a teacher's nick and a pupil's nick are taken: neither changes anybody", async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room);
    await lab.enter(pupil, room, 'pupil');
    const [intruder, second] = [await lab.pupil(room), await lab.teacher(room)];
    expect((await intruder.join(room, 'teacher')).error).toBe('conflict');
    expect((await second.join(room, 'pupil')).error).toBe('conflict');
    // Nothing was stored for somebody who did not get in.
    expect(await second.configure(room)).toBe('forbidden');
    await teacher.settled();
    await pupil.settled();
    for (const client of [teacher, pupil]) {
      expect(client.seen(room, 'teacher')).toMatchObject([{ affiliation: 'owner', role: 'moderator' }]);
      expect(client.seen(room, 'pupil')).toMatchObject([{ affiliation: 'none', role: 'participant' }]);
    }
    expect(await intruder.join(room, 'intruder')).toMatchObject({ affiliation: 'none', role: 'participant' });
    expect(await second.join(room, 'second')).toMatchObject({ affiliation: 'owner', role: 'moderator' });
  });

  it('a second session of the same person: the lower of the two tokens counts', async () => {
    const { lab } = place;
    const room = lab.room();
    const pupil = await lab.pupil(room);
    await lab.enter(pupil, room, 'pupil');
    const raised = await lab.teacher(room, { previd: await pupil.resumable() });
    expect(account(raised.jid)).toBe(account(pupil.jid));
    expect(await raised.join(room, 'raised')).toMatchObject({ affiliation: 'none', role: 'participant' });
    await pupil.settled();
    expect(pupil.standing(room, 'pupil')).toBe('none/participant');

    const other = lab.room();
    const teacher = await lab.teacher(other);
    await lab.enter(teacher, other, 'teacher');
    const lowered = await lab.pupil(other, { previd: await teacher.resumable() });
    expect(await lowered.join(other, 'lowered')).toMatchObject({ affiliation: 'none', role: 'participant' });
    await teacher.settled();
    expect(teacher.standing(other, 'teacher')).toBe('none/participant');

    const third = lab.room();
    const both = await lab.teacher(third);
    await lab.enter(both, third, 'one');
    const same = await lab.teacher(third, { previd: await both.resumable() });
    expect(await same.join(third, 'two')).toMatchObject({ affiliation: 'owner', role: 'moderator' });
  });

  it('a stream resumed with another token changes no role by itself; the new token counts from the next join', async () => {
    const { lab } = place;
    const room = lab.room();
    const pupil = await lab.pupil(room);
    await lab.enter(pupil, room, 'pupil');
    const watching = await lab.teacher(room);
    await lab.enter(watching, room, 'watching');
    await pupil.resumable();
    pupil.drop();
    const resumed = lab.keep(await Client.resume(pupil, lab.login(room, { moderator: true })));
    await resumed.settled();
    await watching.settled();
    expect(watching.standing(room, 'pupil')).toBe('none/participant');
    await resumed.leave(room, 'pupil');
    expect(await resumed.join(room, 'pupil')).toMatchObject({ affiliation: 'owner', role: 'moderator' });

    await watching.resumable();
    watching.drop();
    const lower = lab.keep(await Client.resume(watching, lab.login(room, { moderator: false })));
    await lower.settled();
    await resumed.settled();
    expect(resumed.standing(room, 'watching')).toBe('owner/moderator');
    // Stored as owner still, but no longer one by token.
    const victim = await lab.pupil(room);
    await victim.join(room, 'victim');
    expect(await lower.admin(room, { jid: account(victim.jid), affiliation: 'owner' })).toBe('not-allowed');
    await lower.leave(room, 'watching');
    expect(await lower.join(room, 'watching')).toMatchObject({ affiliation: 'none', role: 'participant' });
  });

  it('a moderator makes another occupant moderator, who loses it with leaving and cannot pass it on', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const [pupil, other] = [await lab.pupil(room), await lab.pupil(room)];
    await pupil.join(room, 'pupil');
    await other.join(room, 'other');
    expect(await teacher.admin(room, { jid: account(pupil.jid), affiliation: 'owner' })).toBeUndefined();
    await pupil.settled();
    expect(pupil.standing(room, 'pupil')).toBe('owner/moderator');
    expect(await pupil.admin(room, { jid: account(other.jid), affiliation: 'owner' })).toBe('not-allowed');
    expect(await pupil.admin(room, { nick: 'other', role: 'moderator' })).toBe('not-allowed');
    // Nor does it reach the teacher.
    expect(await pupil.admin(room, { jid: account(teacher.jid), affiliation: 'none' })).toBe('not-allowed');
    expect(await pupil.admin(room, { jid: account(teacher.jid), affiliation: 'outcast' })).toBe(
      'not-allowed',
    );
    expect(await pupil.admin(room, { nick: 'teacher', role: 'none' })).toBe('not-allowed');
    expect(await pupil.admin(room, { nick: 'teacher', role: 'participant' })).toBe('not-allowed');
    // A moderator all the same.
    expect(await pupil.admin(room, { nick: 'other', role: 'none' })).toBeUndefined();
    await pupil.leave(room, 'pupil');
    expect(await pupil.configure(room)).toBe('forbidden');
    expect(await pupil.join(room, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
    await teacher.settled();
    expect(teacher.standing(room, 'teacher')).toBe('owner/moderator');
    // Nobody who is not there, and no other account of the platform.
    expect(await teacher.admin(room, { jid: `nobody@${DOMAIN}`, affiliation: 'owner' })).toBe('not-allowed');
    expect(await teacher.admin(room, { jid: `recorder@recorder.${DOMAIN}`, affiliation: 'owner' })).toBe(
      'not-allowed',
    );
  });

  it('teachers kick and ban, and do not lower each other', async () => {
    const { lab } = place;
    const room = lab.room();
    const [teacher, second] = [await lab.teacher(room), await lab.teacher(room)];
    await lab.enter(teacher, room, 'teacher');
    await second.join(room, 'second');
    const pupil = await lab.pupil(room);
    await pupil.join(room, 'pupil');
    expect(await teacher.admin(room, { jid: account(second.jid), affiliation: 'none' })).toBe('not-allowed');
    expect(await teacher.admin(room, { jid: account(second.jid), affiliation: 'member' })).toBe(
      'not-allowed',
    );
    expect(await teacher.admin(room, { jid: account(second.jid), affiliation: 'admin' })).toBe('not-allowed');
    expect(await teacher.admin(room, { nick: 'second', role: 'participant' })).toBe('not-allowed');
    // What somebody is already is no grant.
    expect(await teacher.admin(room, { jid: account(second.jid), affiliation: 'owner' })).toBeUndefined();
    await second.settled();
    expect(second.standing(room, 'second')).toBe('owner/moderator');
    expect(await teacher.admin(room, { nick: 'pupil', role: 'none' })).toBeUndefined();
    expect(await pupil.join(room, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
    expect(await teacher.admin(room, { nick: 'second', role: 'none' })).toBeUndefined();
    expect(await second.join(room, 'second')).toMatchObject({ affiliation: 'owner', role: 'moderator' });
    expect(await teacher.admin(room, { jid: account(pupil.jid), affiliation: 'outcast' })).toBeUndefined();
    expect((await pupil.join(room, 'pupil')).error).toBe('forbidden');
    // A ban is for this login; a new one gets in, and as what its token says.
    expect(await (await lab.pupil(room)).join(room, 'again')).toMatchObject({
      affiliation: 'none',
      role: 'participant',
    });
    expect(await teacher.admin(room, { jid: account(second.jid), affiliation: 'outcast' })).toBeUndefined();
    expect((await second.join(room, 'second')).error).toBe('forbidden');
    expect(await second.configure(room)).toBe('forbidden');
  });

  it('focus keeps what it is, also after a restart', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    expect(await teacher.admin(room, { jid: `focus@auth.${DOMAIN}`, affiliation: 'none' })).toBe(
      'not-allowed',
    );
    await lab.restartFocus();
    const answer = await teacher.conference(room);
    expect(answer.getChild('conference')?.attrs.ready).toBe('true');
    await teacher.settled();
    expect(teacher.standing(room, 'focus')).toBe('owner/moderator');
    expect(teacher.standing(room, 'teacher')).toBe('owner/moderator');
  });

  it('rooms in which focus checks its health are left alone', async () => {
    const { lab } = place;
    const room = `__jicofo-health-check-1@${CONFERENCE}`;
    const teacher = await lab.teacher(room, { claims: { room: '*' } });
    expect(await lab.enter(teacher, room, 'teacher')).toMatchObject({
      affiliation: 'none',
      role: 'participant',
    });
  });
});
