import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { onBoth } from './both';
import { Client, Refused } from '../../local/join/client';
import type { Lab } from './lab';
import { PREVIOUS_SECRET, SECRET } from './school';

const OTHER = 'a-secret-that-never-was-one-of-these-0123456789';

async function verdict(lab: Lab, secret: string): Promise<string> {
  const results = await Promise.all(
    (['websocket', 'bosh'] as const).map(async (kind) => {
      try {
        lab.keep(await Client.login(lab.login(lab.room(), { secret, kind })));
        return 'let in';
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return `${error.condition}: ${error.text}`;
      }
    }),
  );
  expect(results[1]).toBe(results[0]);
  return results[0] as string;
}

onBoth('rotation of the JWT secret', { previousSecret: true }, (place) => {
  it('both secrets verify in the window, a third one does not', async () => {
    const { lab } = place;
    lab.secret('jwt-secret', SECRET);
    lab.secret('jwt-secret-previous', PREVIOUS_SECRET, 23.9);
    expect(await verdict(lab, SECRET)).toBe('let in');
    expect(await verdict(lab, PREVIOUS_SECRET)).toBe('let in');
    expect(await verdict(lab, OTHER)).toBe('not-allowed: Invalid signature');
  });

  it('after the window the previous one is refused', async () => {
    const { lab } = place;
    lab.secret('jwt-secret-previous', PREVIOUS_SECRET, 24.1);
    expect(await verdict(lab, PREVIOUS_SECRET)).toBe('not-allowed: Invalid signature');
    expect(await verdict(lab, SECRET)).toBe('let in');
  });

  it('a new secret counts at once, without a reload, and the one that Prosody started with ends with its window', async () => {
    const { lab } = place;
    lab.secret('jwt-secret', OTHER);
    lab.secret('jwt-secret-previous', SECRET);
    expect(await verdict(lab, OTHER)).toBe('let in');
    expect(await verdict(lab, SECRET)).toBe('let in');
    expect(await verdict(lab, PREVIOUS_SECRET)).toBe('not-allowed: Invalid signature');
    lab.secret('jwt-secret-previous', SECRET, 25);
    expect(await verdict(lab, SECRET)).toBe('not-allowed: Invalid signature');
  });

  it('an empty previous secret lets nobody in', async () => {
    const { lab } = place;
    lab.secret('jwt-secret', SECRET);
    for (const nothing of ['', '\n', '  ']) {
      lab.secret('jwt-secret-previous', nothing);
      expect(await verdict(lab, nothing)).toBe('not-allowed: Invalid signature');
      expect(await verdict(lab, '')).toBe('not-allowed: Invalid signature');
    }
    expect(await verdict(lab, SECRET)).toBe('let in');
  });

  it('when the files are gone the secret of the start goes on, and the log says what is missing', async () => {
    const { lab } = place;
    for (const name of ['jwt-secret', 'jwt-secret-previous'])
      rmSync(lab.role.path(`/etc/prosody/secrets/${name}`));
    expect(await verdict(lab, SECRET)).toBe('let in');
    await lab.logged(/No JWT secret could be read: .*jwt-secret/);
  });

  it('a lesson in progress goes on: roles, second sessions, and streams resumed with old or new tokens', async () => {
    const { lab } = place;
    lab.secret('jwt-secret', SECRET);
    const room = lab.room();
    const teacher = await lab.teacher(room);
    await lab.enter(teacher, room, 'teacher');
    const pupil = await lab.pupil(room);
    await pupil.join(room, 'pupil');
    await teacher.resumable();
    await pupil.resumable();
    lab.secret('jwt-secret-previous', SECRET);
    lab.secret('jwt-secret', OTHER);
    teacher.drop();
    pupil.drop();
    const login = (moderator: boolean, secret: string) => lab.login(room, { moderator, secret });
    const teacherAgain = lab.keep(await Client.resume(teacher, login(true, OTHER)));
    const pupilAgain = lab.keep(await Client.resume(pupil, login(false, SECRET)));
    const late = await lab.pupil(room, { secret: OTHER });
    await late.join(room, 'late');
    for (const client of [teacherAgain, pupilAgain]) {
      await client.settled();
      expect(client.standing(room, 'late')).toBe('none/participant');
    }
    expect(late.standing(room, 'teacher')).toBe('owner/moderator');
    expect(late.standing(room, 'pupil')).toBe('none/participant');
  });
});
