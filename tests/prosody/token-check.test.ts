import { expect, it } from 'vitest';
import { onBoth } from './both';

// What a host says of itself when it is asked whether lessons can be joined.

onBoth('the token check of a host', {}, (place) => {
  it('is content', () => {
    expect(place.lab.tokenCheck()).toEqual({
      code: 0,
      output: 'tokens of a participant and a moderator joined a room, as what they are; focus answers\n',
    });
  });
});

const without = (module: string): [RegExp, string][] => [[new RegExp(` *"${module}";(?: --[^\n]*)?\n`), '']];

onBoth('the token check without token_moderation', { config: without('token_moderation') }, (place) => {
  it('says that a moderator is none', () => {
    const { code, output } = place.lab.tokenCheck();
    expect(output).toBe("a moderator's token made none (none/participant): is token_moderation loaded?\n");
    expect(code).toBe(1);
  });
});

onBoth('the token check without token_verification', { config: without('token_verification') }, (place) => {
  it('says that any token opens any room', () => {
    const { code, output } = place.lab.tokenCheck();
    expect(output).toBe('a token for another room was not refused (let in): is token_verification loaded?\n');
    expect(code).toBe(1);
  });
});
