import { expect, it } from 'vitest';
import { hasRightRole, joinRoom, people } from '../../local/join/probe';
import { onBoth } from './both';
import { APP_ID, SECRET } from './school';

// The join that npm run local and the doctor end in: it must see what is wrong.
const settings = { appId: APP_ID, audience: 'jitsi', secret: SECRET };

onBoth('a join of both roles', {}, (place) => {
  it('finds each role right', async () => {
    const joined = await joinRoom(place.lab.site, settings);
    expect(joined.moderator).toEqual({ affiliation: 'owner', role: 'moderator' });
    expect(joined.participant.role).toBe('participant');
    expect(people.every((who) => hasRightRole(who, joined[who]))).toBe(true);
  });

  it('names the step at which a token is refused, and no secret', async () => {
    const refused = joinRoom(place.lab.site, { ...settings, secret: `${SECRET}x` });
    await expect(refused).rejects.toThrow(/^the participant logs in: refused at login: not-allowed/);
    await expect(refused).rejects.not.toThrow(SECRET);
  });
});

onBoth(
  'a join of both roles where everybody may be owner',
  { autoOwner: true, config: [[/ *"token_moderation";\n/, '']] },
  (place) => {
    it('finds that roles do not follow the tokens', async () => {
      const joined = await joinRoom(place.lab.site, settings);
      expect(people.every((who) => hasRightRole(who, joined[who]))).toBe(false);
    });
  },
);
