import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FixtureStack, summary } from './fixture-stack';

const zone = '0123456789abcdef0123456789abcdef';

describe('the cloudflare plugin', { timeout: 60_000 }, () => {
  let stack: FixtureStack;

  const records = async () =>
    (
      await stack.call<{ result: { id: string; name: string; content: string; ttl: number }[] }>(
        'GET',
        `/client/v4/zones/${zone}/dns_records`,
      )
    ).result;

  beforeAll(async () => {
    stack = await FixtureStack.start('cloudflare');
  }, 60_000);
  afterAll(() => stack.close());

  it('takes a record with an empty zone in the preview and fails at the request, as the real one does', async () => {
    stack.configure({ zone: 'none' });
    await stack.run('preview');
    const ran = await stack.failing('up', '--yes', '--skip-preview');
    expect(ran.text).toContain('missing required zone_id parameter');
    stack.configure({ zone: undefined });
  });

  it('makes, keeps and changes a record and a bucket', async () => {
    await stack.up();
    expect(await records()).toMatchObject([{ name: 'meet.example.org', content: '198.18.0.1', ttl: 300 }]);
    expect((await stack.outputs()).bucketName).toBe('lesson-recordings');
    expect(await stack.plan()).toEqual([]);
    await stack.refresh();
    expect(await stack.plan()).toEqual([]);
    stack.configure({ content: '198.18.0.2' });
    expect(summary(await stack.plan())).toEqual(['update record']);
    await stack.up();
    expect(await records()).toMatchObject([{ content: '198.18.0.2' }]);
    expect(await stack.exported()).not.toContain(stack.token);
  });

  it('finds drift and mends it', async () => {
    const [record] = await records();
    await stack.call('PATCH', `/client/v4/zones/${zone}/dns_records/${record?.id}`, { ttl: 600 });
    await stack.refresh();
    expect(summary(await stack.plan())).toEqual(['update record']);
    await stack.up();
    expect(await records()).toMatchObject([{ ttl: 300 }]);
  });

  it('refuses an impossible time to live at the property', async () => {
    stack.configure({ ttl: '5' });
    expect((await stack.failing('preview')).text).toMatch(/property ttl .*1 \(automatic\) or 30 to 86400/);
    stack.configure({ ttl: undefined });
  });

  it('destroys both', async () => {
    await stack.destroy();
    expect(await records()).toEqual([]);
  });
});
