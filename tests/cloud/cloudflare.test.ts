import { expect, test } from 'vitest';
import { clientsOf, startedCloud, TOKEN } from './local-cloud';

const ZONE = '0123456789abcdef0123456789abcdef';
const ACCOUNT = 'fedcba9876543210fedcba9876543210';

interface Envelope<T> {
  success: boolean;
  errors: { code: number; message: string }[];
  result: T;
}

interface DnsRecord {
  id: string;
  name: string;
  type: string;
  content: string;
  ttl: number;
  proxied: boolean;
  comment: string | null;
}

test('a DNS record: create, find, change, delete', async () => {
  const { cloudflare } = await startedCloud();
  const path = `/zones/${ZONE}/dns_records`;
  const record = { name: 'meet.example.org', type: 'A', content: '198.18.0.1', ttl: 60, proxied: false };
  const created = await cloudflare<Envelope<DnsRecord>>('POST', path, record);
  expect(created.status).toBe(200);
  expect(created.body).toMatchObject({ success: true, result: record });
  const { id } = created.body.result;

  const same = await cloudflare<Envelope<null>>('POST', path, record);
  expect(same.body).toMatchObject({ success: false, result: null, errors: [{ code: 81_058 }] });
  const moved = await cloudflare<Envelope<DnsRecord>>('PUT', `${path}/${id}`, {
    ...record,
    content: '198.18.0.2',
  });
  expect(moved.body.result.content).toBe('198.18.0.2');
  const noted = await cloudflare<Envelope<DnsRecord>>('PATCH', `${path}/${id}`, { comment: 'lessons' });
  expect(noted.body.result).toMatchObject({ content: '198.18.0.2', comment: 'lessons', ttl: 60 });
  const found = await cloudflare<Envelope<DnsRecord[]>>('GET', `${path}?type=A&name=meet.example.org`);
  expect(found.body.result.map((one) => one.id)).toEqual([id]);
  expect((await cloudflare<Envelope<DnsRecord>>('GET', `${path}/${id}`)).body.result.name).toBe(
    'meet.example.org',
  );

  expect((await cloudflare<Envelope<{ id: string }>>('DELETE', `${path}/${id}`)).body.result).toEqual({ id });
  const gone = await cloudflare<Envelope<null>>('GET', `${path}/${id}`);
  expect(gone.status).toBe(404);
  expect(gone.body.errors[0]?.code).toBe(81_044);
});

test('zones are known by id from their first record, and found by name', async () => {
  const { cloudflare } = await startedCloud();
  const byName = async () =>
    (await cloudflare<Envelope<{ id: string }[]>>('GET', '/zones?name=example.org')).body.result;
  expect(await byName()).toEqual([]);
  expect((await cloudflare('GET', `/zones/${ZONE}`)).status).toBe(404);
  await cloudflare('POST', `/zones/${ZONE}/dns_records`, {
    name: 'meet.example.org',
    type: 'AAAA',
    content: '2001:db8::1',
  });
  expect(await byName()).toMatchObject([{ id: ZONE, name: 'example.org', status: 'active' }]);
  const within = await cloudflare<Envelope<DnsRecord>>('POST', `/zones/${ZONE}/dns_records`, {
    name: 'meet-2',
    type: 'A',
    content: '198.18.0.3',
  });
  expect(within.body.result).toMatchObject({ name: 'meet-2.example.org', ttl: 1 });
  expect(
    (
      await cloudflare('POST', '/zones/none/dns_records', {
        name: 'a.example.org',
        type: 'A',
        content: '198.18.0.3',
      })
    ).status,
  ).toBe(404);
});

test.each([
  [{ type: 'A', content: '2001:db8::1' }, 'content'],
  [{ type: 'A', content: '198.18.0.1', ttl: 5 }, 'ttl'],
  [{ type: 'TXT', content: 'x', proxied: true }, 'proxied'],
  [{ type: 'A', content: '198.18.0.1', colour: 'red' }, 'colour'],
])('a DNS record %j is refused', async (wrong, field) => {
  const { cloudflare } = await startedCloud();
  const answer = await cloudflare<Envelope<null>>('POST', `/zones/${ZONE}/dns_records`, {
    name: 'a.example.org',
    ...wrong,
  });
  expect(answer.status).toBe(422);
  expect(answer.body.errors[0]).toMatchObject({
    code: 1004,
    message: expect.stringContaining(field) as string,
  });
});

test('an R2 bucket: create, read, change its storage class, delete', async () => {
  const { url, cloudflare } = await startedCloud();
  const path = `/accounts/${ACCOUNT}/r2/buckets`;
  const bucket = { name: 'lessons', location: 'EEUR', storage_class: 'Standard', jurisdiction: 'default' };
  const created = await cloudflare<Envelope<object>>('POST', path, { name: 'lessons', locationHint: 'eeur' });
  expect(created.body.result).toMatchObject(bucket);
  const again = await cloudflare<Envelope<null>>('POST', path, { name: 'lessons' });
  expect(again.body.errors[0]?.code).toBe(10_004);
  expect((await cloudflare('POST', path, { name: 'Not A Bucket' })).status).toBe(422);

  const authorization = `Bearer ${TOKEN}`;
  const patched = await fetch(`${url}/client/v4${path}/lessons`, {
    method: 'PATCH',
    headers: { authorization, 'cf-r2-storage-class': 'InfrequentAccess' },
  });
  expect(await patched.json()).toMatchObject({ result: { storage_class: 'InfrequentAccess' } });
  const elsewhere = await fetch(`${url}/client/v4${path}/lessons`, {
    headers: { authorization, 'cf-r2-jurisdiction': 'eu' },
  });
  expect(elsewhere.status).toBe(404);
  const listed = await cloudflare<Envelope<{ buckets: unknown[] }>>('GET', path);
  expect(listed.body.result.buckets).toHaveLength(1);
  expect((await cloudflare('DELETE', `${path}/lessons`)).status).toBe(200);
  const gone = await cloudflare<Envelope<null>>('GET', `${path}/lessons`);
  expect(gone.body.errors[0]?.code).toBe(10_006);
});

test('tokens: the whole one, its first 40 characters, no other; faults in its own words', async () => {
  const { url, local } = await startedCloud();
  const zones = (token: string) => clientsOf(url, token).cloudflare<Envelope<unknown>>('GET', '/zones');
  expect((await zones(TOKEN)).status).toBe(200);
  expect((await zones(TOKEN.slice(0, 40))).status).toBe(200);
  const stranger = await zones('x'.repeat(40));
  expect(stranger.status).toBe(401);
  expect(stranger.body.errors[0]?.code).toBe(10_000);

  const error = { status: 500, code: 7500, message: 'internal' };
  await local('POST', '/faults', { on: { path: '^/client/v4/zones' }, then: { error } });
  expect((await zones(TOKEN)).body.errors).toEqual([{ code: 7500, message: 'internal' }]);
});
