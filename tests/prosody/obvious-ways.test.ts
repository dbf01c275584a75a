import { expect, it } from 'vitest';
import { onBoth } from './both';

// Each way to give a role by token that looks right and is not (affiliation after the join, only the affiliation,
// only the role, before bans and passwords, by the name of the room alone, refusing every grant of others), and what
// it would do that must not happen.

onBoth('none of the obvious ways', {}, (place) => {
  it('nobody is told none first and owner later, and affiliation and role agree', async () => {
    const { lab } = place;
    const room = lab.room();
    const watching = await lab.pupil(room);
    await lab.enter(watching, room, 'watching');
    for (const kind of ['websocket', 'bosh'] as const) {
      const teacher = await lab.teacher(room, { kind });
      await lab.enter(teacher, room, kind);
      await teacher.settled();
      await watching.settled();
      for (const client of [teacher, watching]) {
        expect(client.seen(room, kind)).toMatchObject([{ affiliation: 'owner', role: 'moderator' }]);
      }
    }
  });

  it('a banned teacher does not come back, in no way', async () => {
    const { lab } = place;
    const room = lab.room();
    const [teacher, banned] = [await lab.teacher(room), await lab.teacher(room)];
    await lab.enter(teacher, room, 'teacher');
    const jid = banned.jid.split('/')[0] as string;
    // Before having ever been in, and after.
    expect(await teacher.admin(room, { jid, affiliation: 'outcast' })).toBeUndefined();
    expect((await banned.join(room, 'banned')).error).toBe('forbidden');
    expect(await teacher.configure(room, { 'muc#roomconfig_membersonly': '1' })).toBeUndefined();
    expect((await banned.join(room, 'banned')).error).toMatch(/forbidden|registration-required/);
    expect(await banned.configure(room)).toBe('forbidden');
    expect(await banned.admin(room, { jid, affiliation: 'owner' })).toBe('not-allowed');
    await teacher.settled();
    expect(teacher.seen(room, 'banned')).toEqual([]);
  });

  it('a wrong password makes nobody owner, inside or outside', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    expect(await teacher.configure(room, { 'muc#roomconfig_roomsecret': 'right' })).toBeUndefined();
    const other = await lab.teacher(room);
    expect((await other.join(room, 'other', { password: 'wrong' })).error).toBe('not-authorized');
    expect(await other.configure(room, { 'muc#roomconfig_roomsecret': 'mine' })).toBe('forbidden');
    expect((await other.join(room, 'other', { password: 'mine' })).error).toBe('not-authorized');
  });

  it('a teacher of one room is nobody in another', async () => {
    const { lab } = place;
    const [own, other] = [lab.room(), lab.room()];
    const teacher = await lab.teacher(own);
    await lab.enter(teacher, own, 'teacher');
    const pupil = await lab.pupil(other);
    await lab.enter(pupil, other, 'pupil');
    const jid = pupil.jid.split('/')[0] as string;
    expect((await teacher.join(other, 'teacher')).error).toBe('not-allowed');
    expect(await teacher.admin(other, { jid, affiliation: 'outcast' })).toBe('not-allowed');
    expect(await teacher.admin(other, { nick: 'pupil', role: 'none' })).toBe('not-allowed');
    expect(await teacher.configure(other)).toBe('forbidden');
    await pupil.settled();
    expect(pupil.standing(other, 'pupil')).toBe('none/participant');
  });

  it('a room without focus cannot be made by anybody', async () => {
    const { lab } = place;
    const room = lab.room();
    expect((await (await lab.teacher(room)).join(room, 'teacher')).error).toBe('not-allowed');
    expect((await (await lab.pupil(room)).join(room, 'pupil')).error).toBe('not-allowed');
  });

  it('of several items in one request none gets past', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room);
    await pupil.join(room, 'pupil');
    const [jid, mine] = [pupil.jid, teacher.jid].map((each) => each.split('/')[0] as string) as [
      string,
      string,
    ];
    await pupil.admin(
      room,
      { jid: `x@${jid.split('@')[1]}`, affiliation: 'none' },
      { jid, affiliation: 'owner' },
    );
    await pupil.admin(room, { nick: 'pupil', role: 'participant' }, { nick: 'pupil', role: 'moderator' });
    await pupil.admin(room, { jid: mine, affiliation: 'member' }, { jid, affiliation: 'owner' });
    await teacher.settled();
    expect(teacher.standing(room, 'pupil')).toBe('none/participant');
    expect(teacher.standing(room, 'teacher')).toBe('owner/moderator');
  });
});

onBoth(
  'where anybody with a token may make a room',
  { config: [['restrict_room_creation = true', 'restrict_room_creation = false']] },
  (place) => {
    it('its maker is what the token says', async () => {
      const { lab } = place;
      for (const [moderator, standing] of [
        [false, 'none/participant'],
        [true, 'owner/moderator'],
      ] as const) {
        const room = lab.room();
        const maker = await lab.person(room, { moderator });
        // The room is there, and the join waits for focus.
        maker.enter(room, 'maker');
        await maker.conference(room);
        await maker.wait((stanza) => stanza.attrs.from === `${room}/maker`);
        await maker.settled();
        expect(maker.standing(room, 'maker')).toBe(standing);
        expect(maker.seen(room, 'maker')).toHaveLength(1);
        expect(maker.standing(room, 'focus')).toBe('owner/moderator');
        if (!moderator) expect(await maker.configure(room)).toBe('forbidden');
      }
    });
  },
);

onBoth(
  'without the option that makes admins owners',
  { config: [['component_admins_as_room_owners = true', 'component_admins_as_room_owners = false']] },
  (place) => {
    it('focus makes and configures rooms as their creator, and tokens decide', async () => {
      const { lab } = place;
      const room = lab.room();
      const teacher = await lab.teacher(room);
      expect((await teacher.conference(room)).getChild('conference')?.attrs.ready).toBe('true');
      expect(await teacher.join(room, 'teacher')).toMatchObject({ affiliation: 'owner', role: 'moderator' });
      expect(teacher.standing(room, 'focus')).toBe('owner/moderator');
      const pupil = await lab.pupil(room);
      expect(await pupil.join(room, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
    });
  },
);
