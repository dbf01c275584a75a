import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FixtureStack, summary } from './fixture-stack';

describe('random values', { timeout: 60_000 }, () => {
  let stack: FixtureStack;
  let password: string;

  beforeAll(async () => {
    stack = await FixtureStack.start('random');
  }, 60_000);
  afterAll(() => stack.close());

  it('cannot be known in the first preview', async () => {
    const ran = await stack.run('preview', '--diff');
    expect(ran.text).toContain('result       : [unknown]');
    expect(ran.text).not.toMatch(/warning:|error:/);
  });

  it('are made once, of the asked kinds, and the password is never shown', async () => {
    const ran = await stack.up();
    const outputs = await stack.outputs();
    password = outputs.result as string;
    expect(password).toMatch(/^[A-Za-z0-9]{40}$/);
    expect(password.replace(/[^A-Z]/g, '').length).toBeGreaterThanOrEqual(3);
    expect(password.replace(/[^0-9]/g, '').length).toBeGreaterThanOrEqual(3);
    expect(outputs.textResult).toMatch(/^[a-z0-9-]{12}$/);
    expect(outputs.hex).toMatch(/^run-[0-9a-f]{16}$/);
    expect(outputs.uuidResult).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(outputs.integerResult).toBe(5);
    expect(ran.text).not.toContain(password);
    expect(await stack.exported()).not.toContain(password);
  });

  it('stay as they are: no change, after a refresh neither', async () => {
    expect(await stack.plan()).toEqual([]);
    await stack.refresh();
    await stack.up();
    expect((await stack.outputs()).result).toBe(password);
  });

  it('are made again when a keeper changes', async () => {
    stack.configure({ rotation: '2' });
    const steps = await stack.plan();
    expect(summary(steps)).toContain('replace password');
    expect(steps.find(({ op }) => op === 'replace')?.replaceReasons).toEqual(['keepers']);
    await stack.up();
    expect((await stack.outputs()).result).not.toBe(password);
  });

  it('refuses a length that its parts do not fit into, at the property', async () => {
    stack.configure({ length: '5' });
    const ran = await stack.failing('preview');
    expect(ran.text).toContain('length is 5, less than');
    stack.configure({ length: undefined });
  });

  it('refuse a secret value without showing it', async () => {
    stack.configure({ wrong: 'hunter2hunter2' });
    const ran = await stack.failing('preview');
    expect(ran.text).toContain('overrideSpecial (secret): expected a string');
    expect(ran.text).not.toContain('hunter2');
    stack.configure({ wrong: undefined });
  });

  it('go without a trace', async () => {
    await stack.destroy();
    expect(await stack.exported()).not.toContain('RandomPassword');
  });
});
