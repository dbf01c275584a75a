import { join } from 'node:path';
import { expect, test } from 'vitest';
import { goTestsPass } from './go-tests';
import { startedCloud, TOKEN } from './local-cloud';

test('Hetzner’s Go client drives every resource and leaves none', { timeout: 300_000 }, async () => {
  const { url, hetzner } = await startedCloud();
  await goTestsPass(join(__dirname, 'hcloud-go'), { HCLOUD_ENDPOINT: `${url}/v1`, HCLOUD_TOKEN: TOKEN });

  const kinds = [
    'servers',
    'volumes',
    'primary_ips',
    'networks',
    'firewalls',
    'placement_groups',
    'ssh_keys',
    'zones',
  ];
  for (const kind of kinds) {
    const { body } = await hetzner<Record<string, unknown[]>>('GET', `/${kind}`);
    expect(body[kind], `${kind} left behind`).toEqual([]);
  }
});

// Cloudflare's client takes two CPU minutes to compile, so it belongs to the long tiers.
if (process.env.TIER) {
  test('Cloudflare’s Go client drives DNS records and buckets', { timeout: 600_000 }, async () => {
    const { url } = await startedCloud();
    const env = { CLOUDFLARE_BASE_URL: `${url}/client/v4`, CLOUDFLARE_API_TOKEN: TOKEN.slice(0, 40) };
    await goTestsPass(join(__dirname, 'cloudflare-go'), env);
  });
}
