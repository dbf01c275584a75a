import { expect, it } from 'vitest';
import { onBoth } from './both';
import { DOMAIN } from './school';

onBoth('with a focus that hands out ownership', { autoOwner: true }, (place) => {
  it('the pupil who is first is refused it, and stays so when the teacher has left', async () => {
    const { lab } = place;
    const room = lab.room();
    const pupil = await lab.pupil(room);
    await lab.enter(pupil, room, 'pupil');
    await lab.logged(`Failed to grant ownership in ${room}: not-allowed`, 'focus');
    const teacher = await lab.teacher(room);
    expect(await teacher.join(room, 'teacher')).toMatchObject({ affiliation: 'owner', role: 'moderator' });
    const before = lab.focusLog.length;
    await teacher.leave(room, 'teacher');
    await lab.logged(new RegExp(`^[^]{${before},}Failed to grant ownership in ${room}`), 'focus');
    await pupil.settled();
    expect(pupil.standing(room, 'pupil')).toBe('none/participant');
    expect(pupil.seen(room, 'pupil')).toHaveLength(1);
  });

  it('who is owner by token is known to focus at the join, which grants nothing then', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room);
    await pupil.join(room, 'pupil');
    await pupil.settled();
    expect(lab.focusLog).not.toContain(room);
    expect(pupil.standing(room, 'pupil')).toBe('none/participant');
  });
});

const beside = (module: string): [string, string][] => [
  ['        "token_moderation";\n', `        "token_moderation";\n        "${module}";\n`],
];

onBoth("beside Jitsi's token_affiliation", { config: beside('token_affiliation') }, (place) => {
  it('exactly one is there, and the log says what to do', async () => {
    const { lab } = place;
    await lab.logged(/token_affiliation is unloaded from conference\.[^\n]*take it out of modules_enabled/);
    await lab.logged(/token_affiliation is unloaded from breakout\./);
  });

  it('bans hold, a taken nick changes nobody, the top-level claim counts, a grant ends with leaving', async () => {
    const { lab } = place;
    const room = lab.room();
    const teacher = await lab.teacher(room);
    expect(await lab.enter(teacher, room, 'teacher')).toMatchObject({
      affiliation: 'owner',
      role: 'moderator',
    });
    const [pupil, other, second] = [await lab.pupil(room), await lab.pupil(room), await lab.teacher(room)];
    expect(await pupil.join(room, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
    expect((await other.join(room, 'teacher')).error).toBe('conflict');
    expect((await second.join(room, 'pupil')).error).toBe('conflict');
    await teacher.settled();
    expect(teacher.standing(room, 'teacher')).toBe('owner/moderator');
    expect(teacher.standing(room, 'pupil')).toBe('none/participant');
    const jid = pupil.jid.split('/')[0] as string;
    expect(await teacher.admin(room, { jid, affiliation: 'owner' })).toBeUndefined();
    await pupil.leave(room, 'pupil');
    expect(await pupil.join(room, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
    expect(await teacher.admin(room, { jid, affiliation: 'outcast' })).toBeUndefined();
    expect((await pupil.join(room, 'pupil')).error).toBe('forbidden');
    expect(await teacher.configure(room, { 'muc#roomconfig_roomsecret': 'right' })).toBeUndefined();
    const late = await lab.teacher(room);
    expect((await late.join(room, 'late', { password: 'wrong' })).error).toBe('not-authorized');
    expect(await late.configure(room)).toBe('forbidden');
  });
});

onBoth("beside Jitsi's token_affiliation, loaded later", { hostModule: 'switch_modules' }, (place) => {
  it('it does not stay', async () => {
    const { lab } = place;
    await lab.module('load', `conference.${DOMAIN}`, 'token_affiliation');
    await lab.logged(/token_affiliation is unloaded from conference\./);
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room, { claims: { context: { user: { moderator: 'true' } } } });
    expect(await pupil.join(room, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
  });
});

onBoth('beside muc_allowners', { config: beside('muc_allowners') }, (place) => {
  it('nobody becomes owner, and the log says why people hang', async () => {
    const { lab } = place;
    await lab.logged(/muc_allowners makes everybody owner[^\n]*take it out of modules_enabled/);
    const room = lab.room();
    const pupil = await lab.pupil(room);
    await pupil.conference(room);
    pupil.enter(room, 'pupil');
    await pupil.settled();
    expect(pupil.seen(room, 'pupil')).toEqual([]);
  });
});

onBoth('beside muc_wait_for_host with automatic owners', { config: beside('muc_wait_for_host') }, (place) => {
  it('its late grant is refused', async () => {
    const { lab } = place;
    const room = lab.room();
    const pupil = await lab.pupil(room);
    expect(await lab.enter(pupil, room, 'pupil')).toMatchObject({ affiliation: 'none', role: 'participant' });
    await pupil.settled();
    expect(pupil.seen(room, 'pupil')).toHaveLength(1);
    await lab.logged(/a module may not make [^\n]* owner/);
    const teacher = await lab.teacher(room);
    expect(await teacher.join(room, 'teacher')).toMatchObject({ affiliation: 'owner', role: 'moderator' });
  });
});
