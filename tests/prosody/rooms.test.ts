import { expect, it } from 'vitest';
import { onBoth } from './both';
import { account, Client } from '../../local/join/client';

onBoth('lobby, password and breakout', {}, (place) => {
  it('a lobby keeps pupils out until they are let in; teachers and the recorder pass', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const early = await lab.pupil(room);
    await early.join(room, 'early');
    expect(await teacher.configure(room, { 'muc#roomconfig_membersonly': '1' })).toBeUndefined();
    await early.settled();
    expect(early.standing(room, 'early')).toBe('member/participant');
    const late = await lab.pupil(room);
    const knock = await late.join(room, 'late');
    expect(knock.error).toBe('registration-required');
    expect(knock.element.getChildText('lobbyroom') ?? knock.element.getChild('lobbyroom')).toBeTruthy();
    expect(await (await lab.teacher(room)).join(room, 'second')).toMatchObject({
      affiliation: 'owner',
      role: 'moderator',
    });
    expect(await (await lab.recorder()).join(room, 'recorder')).toMatchObject({
      affiliation: 'member',
      role: 'participant',
    });
    const invite = `<invite to='${account(late.jid)}'/>`;
    teacher.send(
      `<message xmlns='jabber:client' to='${room}'><x xmlns='http://jabber.org/protocol/muc#user'>${invite}</x></message>`,
    );
    await teacher.settled();
    expect(await late.join(room, 'late')).toMatchObject({ affiliation: 'member', role: 'participant' });
    // Out and in again: still a member, still no moderator.
    await late.leave(room, 'late');
    expect(await late.join(room, 'late')).toMatchObject({ affiliation: 'member', role: 'participant' });
  });

  it('who was a teacher and is none any more stays a member of a lobby room, not its owner', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const second = await lab.teacher(room);
    await second.join(room, 'second');
    expect(await teacher.configure(room, { 'muc#roomconfig_membersonly': '1' })).toBeUndefined();
    await second.resumable();
    second.drop();
    const resumed = lab.keep(await Client.resume(second, lab.login(room, { moderator: false })));
    await resumed.leave(room, 'second');
    expect(await resumed.join(room, 'second')).toMatchObject({ affiliation: 'member', role: 'participant' });
    expect(await resumed.configure(room)).toBe('forbidden');
  });

  it('a password holds for teachers too, and a wrong one stores nothing; the recorder needs none', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    expect(await teacher.configure(room, { 'muc#roomconfig_roomsecret': 'open sesame' })).toBeUndefined();
    const second = await lab.teacher(room);
    expect((await second.join(room, 'second')).error).toBe('not-authorized');
    expect((await second.join(room, 'second', { password: 'wrong' })).error).toBe('not-authorized');
    expect(await second.configure(room, { 'muc#roomconfig_roomsecret': '' })).toBe('forbidden');
    expect(await second.join(room, 'second', { password: 'open sesame' })).toMatchObject({
      affiliation: 'owner',
    });
    const pupil = await lab.pupil(room);
    expect((await pupil.join(room, 'pupil')).error).toBe('not-authorized');
    expect(await pupil.join(room, 'pupil', { password: 'open sesame' })).toMatchObject({
      affiliation: 'none',
    });
    expect(await (await lab.recorder()).join(room, 'recorder')).toMatchObject({ role: 'participant' });
  });

  it('the recorder joins with token, lobby and password on', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const locked = { 'muc#roomconfig_membersonly': '1', 'muc#roomconfig_roomsecret': 'open sesame' };
    expect(await teacher.configure(room, locked)).toBeUndefined();
    const recorder = await lab.recorder();
    expect(await recorder.join(room, 'recorder')).toMatchObject({
      affiliation: 'member',
      role: 'participant',
      error: undefined,
    });
    await teacher.settled();
    expect(teacher.standing(room, 'recorder')).toBe('member/participant');
  });

  it('in a breakout room tokens decide as in the main room, and grants do not reach into it', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const [pupil, granted] = [await lab.pupil(room), await lab.pupil(room)];
    await pupil.join(room, 'pupil');
    await granted.join(room, 'granted');
    await teacher.admin(room, { jid: account(granted.jid), affiliation: 'owner' });
    const from = teacher.stanzas.length;
    const add = JSON.stringify({ type: 'features/breakout-rooms/add', subject: 'Group 1' });
    teacher.send(
      `<message xmlns='jabber:client' to='${room}'><json-message xmlns='http://jitsi.org/jitmeet'>${add.replaceAll('"', '&quot;')}</json-message></message>`,
    );
    const told = await teacher.wait((stanza) => /breakout-rooms\/added/.test(stanza.toString()), from);
    const breakout = (JSON.parse(told.getChildText('json-message') ?? '') as { jid: string }).jid;
    expect(await lab.enter(teacher, breakout, 'teacher')).toMatchObject({
      affiliation: 'owner',
      role: 'moderator',
    });
    expect(await pupil.join(breakout, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
    expect(await granted.join(breakout, 'granted')).toMatchObject({ role: 'participant' });
    await granted.leave(room, 'granted');
    await granted.leave(breakout, 'granted');
    expect(await granted.join(breakout, 'granted')).toMatchObject({
      affiliation: 'none',
      role: 'participant',
    });
    expect(await pupil.admin(breakout, { nick: 'pupil', role: 'moderator' })).toBe('not-allowed');
    expect(teacher.standing(breakout, 'focus')).toBe('owner/moderator');
    // The main room goes on while everybody is in a breakout room, and knows its teacher.
    await teacher.leave(room, 'teacher');
    await pupil.leave(room, 'pupil');
    await teacher.leave(breakout, 'teacher');
    expect(await lab.enter(teacher, room, 'teacher')).toMatchObject({
      affiliation: 'owner',
      role: 'moderator',
    });
  });
});

const mayRecord: [string, string] = [
  'lesson_recording_moderators_may_record = false',
  'lesson_recording_moderators_may_record = true',
];

onBoth('without grants', { moderatorsMayGrant: false, config: [mayRecord] }, (place) => {
  it('a refused grant hands over nothing, not even the right to record', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room);
    await pupil.join(room, 'pupil');
    const jid = account(pupil.jid);
    expect(await teacher.admin(room, { jid, affiliation: 'owner' })).toBe('not-allowed');
    expect(await teacher.admin(room, { jid, affiliation: 'admin' })).toBe('not-allowed');
    expect(await teacher.admin(room, { nick: 'pupil', role: 'moderator' })).toBe('not-allowed');
    // Of two items in one request the first alone counts.
    const mine = { jid: account(teacher.jid), affiliation: 'owner' };
    await teacher.admin(room, mine, { jid, affiliation: 'owner' });
    await teacher.admin(room, { jid, affiliation: 'owner' }, mine);
    await pupil.settled();
    expect(pupil.seen(room, 'pupil').map(({ affiliation, role }) => `${affiliation}/${role}`)).toEqual([
      'none/participant',
    ]);
    const record = "<jibri xmlns='http://jitsi.org/protocol/jibri' action='start' recording_mode='file'/>";
    const started = await pupil.iq('set', `${room}/focus`, record);
    expect(started.getChild('error')?.getChild('forbidden')).toBeTruthy();
    const mayStart = await teacher.iq('set', `${room}/focus`, record);
    expect(mayStart.getChild('error')?.getChild('forbidden')).toBeFalsy();
  });

  it('in a breakout room neither', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room);
    await pupil.join(room, 'pupil');
    const from = teacher.stanzas.length;
    const add = '{&quot;type&quot;:&quot;features/breakout-rooms/add&quot;}';
    teacher.send(
      `<message xmlns='jabber:client' to='${room}'><json-message xmlns='http://jitsi.org/jitmeet'>${add}</json-message></message>`,
    );
    const told = await teacher.wait((stanza) => /breakout-rooms\/added/.test(stanza.toString()), from);
    const breakout = (JSON.parse(told.getChildText('json-message') ?? '') as { jid: string }).jid;
    await lab.enter(teacher, breakout, 'teacher');
    await pupil.join(breakout, 'pupil');
    expect(await teacher.admin(breakout, { jid: account(pupil.jid), affiliation: 'owner' })).toBe(
      'not-allowed',
    );
    expect(await teacher.admin(breakout, { nick: 'pupil', role: 'moderator' })).toBe('not-allowed');
    await teacher.settled();
    expect(teacher.standing(breakout, 'pupil')).toBe('none/participant');
  });

  it('a teacher who left still has the form of the owner, and kicks nobody', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room);
    await pupil.join(room, 'pupil');
    await teacher.leave(room, 'teacher');
    expect(await teacher.configure(room, { 'muc#roomconfig_roomsecret': 'x' })).toBeUndefined();
    expect(await teacher.admin(room, { nick: 'pupil', role: 'none' })).toBe('not-allowed');
  });
});

onBoth(
  'with a lobby for teachers too',
  {
    config: [
      [
        '    token_moderation_moderators_may_grant',
        '    token_moderation_passes_lobby = false\n    token_moderation_moderators_may_grant',
      ],
    ],
  },
  (place) => {
    it('a teacher knocks, and is owner once let in', async () => {
      const { lab } = place;
      const room = lab.room();
      const teacher = await lab.teacher(room);
      await lab.enter(teacher, room, 'teacher');
      expect(await teacher.configure(room, { 'muc#roomconfig_membersonly': '1' })).toBeUndefined();
      const second = await lab.teacher(room);
      expect((await second.join(room, 'second')).error).toBe('registration-required');
      expect(await teacher.admin(room, { jid: account(second.jid), affiliation: 'member' })).toBeUndefined();
      expect(await second.join(room, 'second')).toMatchObject({ affiliation: 'owner', role: 'moderator' });
    });
  },
);
