import { randomUUID } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { parseBody } from '../input';
import type { Routes } from '../routes';
import type { CloudflareDnsRecord, State } from '../state';
import { envelope, pageOf } from './envelope';
import { zoneForRecord, zoneWithId } from './zones';

const TYPES = ['A', 'AAAA', 'CAA', 'CNAME', 'MX', 'NS', 'TXT'] as const;

/** 1 stands for automatic, otherwise seconds. */
const ttl = z
  .number()
  .refine((given) => given === 1 || (given >= 60 && given <= 86_400), 'not 1 or 60 to 86400');

const fields = z.strictObject({
  name: z.string().min(1).max(255),
  type: z.enum(TYPES),
  content: z.string().min(1),
  ttl: ttl.default(1),
  proxied: z.boolean().default(false),
  comment: z.string().max(500).nullish(),
  tags: z.array(z.string()).default([]),
  priority: z.number().int().min(0).max(65_535).optional(),
  settings: z.looseObject({}).optional(),
});
type Fields = z.infer<typeof fields>;

export function dnsRecordRoutes(routes: Routes, { store: { state } }: Cloud): void {
  const records = state.cloudflareRecords;
  const path = '/zones/:zone/dns_records/:record';

  routes.get('/zones/:zone/dns_records', ({ params, query }) => {
    const { id } = zoneWithId(state, params.zone);
    const asked = (['name', 'type', 'content'] as const).flatMap((key) => {
      const value = query.get(key) ?? query.get(`${key}.exact`);
      return value === null ? [] : [[key, value] as const];
    });
    const fits = (record: CloudflareDnsRecord) =>
      record.zone === id && asked.every(([key, value]) => record[key] === value);
    return pageOf(records.filter(fits), query, recordView);
  });
  routes.get(path, ({ params }) => envelope(recordView(recordOf(state, params))));

  routes.post('/zones/:zone/dns_records', ({ params, body }) => {
    const given = parseBody(fields, body);
    checkContent(given);
    const zone = zoneForRecord(state, params.zone ?? '', given.name);
    const name = fullName(given.name, zone.name);
    refuseSame(state, zone.id, name, given);
    const now = new Date().toISOString();
    const id = randomUUID().replaceAll('-', '');
    return envelope(
      recordView(records.add({ id, zone: zone.id, ...columns(given, name), created: now, modified: now })),
    );
  });

  const change = (record: CloudflareDnsRecord, given: Fields) => {
    checkContent(given);
    const name = fullName(given.name, zoneWithId(state, record.zone).name);
    refuseSame(state, record.zone, name, given, record.id);
    const { id, zone, created } = record;
    return envelope(
      recordView(
        records.add({ id, zone, ...columns(given, name), created, modified: new Date().toISOString() }),
      ),
    );
  };
  routes.put(path, ({ params, body }) => change(recordOf(state, params), parseBody(fields, body)));
  routes.patch(path, ({ params, body }) => {
    const record = recordOf(state, params);
    const { name, type, content, ttl, proxied, comment, tags, priority } = record;
    const before = {
      name,
      type,
      content,
      ttl,
      proxied,
      comment,
      tags,
      ...(priority === undefined ? {} : { priority }),
    };
    return change(record, parseBody(fields, { ...before, ...(body as object) }));
  });
  routes.delete(path, ({ params }) => {
    const { id } = recordOf(state, params);
    records.delete(id);
    return envelope({ id });
  });
}

function recordOf(state: State, params: Record<string, string>): CloudflareDnsRecord {
  const record = state.cloudflareRecords.get(params.record ?? '');
  if (record && record.zone === params.zone) return record;
  throw new ApiError('not_found', 'Record does not exist.', { number: 81_044 });
}

function columns(given: Fields, name: string) {
  const { type, content, ttl, proxied, comment, tags, priority } = given;
  return {
    name,
    type,
    content,
    ttl,
    proxied,
    comment: comment ?? null,
    tags,
    ...(priority === undefined ? {} : { priority }),
  };
}

/** Names may be given within the zone or in full; they are kept in full. */
function fullName(given: string, zone: string): string {
  const name = given.toLowerCase().replace(/\.$/, '');
  if (name === '@') return zone;
  return name === zone || name.endsWith(`.${zone}`) ? name : `${name}.${zone}`;
}

function checkContent({ type, content, proxied }: Fields): void {
  if (type === 'A' && !isIPv4(content))
    throw invalidInput('content', 'an A record needs an IPv4 address, e.g. 198.18.0.1');
  if (type === 'AAAA' && !isIPv6(content))
    throw invalidInput('content', 'an AAAA record needs an IPv6 address');
  if (proxied && !['A', 'AAAA', 'CNAME'].includes(type))
    throw invalidInput('proxied', `${type} cannot be proxied`);
}

function refuseSame(state: State, zone: string, name: string, given: Fields, except?: string): void {
  const same = state.cloudflareRecords.find(
    (one) =>
      one.zone === zone &&
      one.name === name &&
      one.type === given.type &&
      one.content === given.content &&
      one.id !== except,
  );
  if (same) throw new ApiError('uniqueness_error', 'An identical record already exists.', { number: 81_058 });
}

function recordView(record: CloudflareDnsRecord) {
  const { id, name, type, content, ttl, proxied, comment, tags, priority } = record;
  return {
    id,
    name,
    type,
    content,
    ttl,
    proxied,
    proxiable: ['A', 'AAAA', 'CNAME'].includes(type),
    ...(priority === undefined ? {} : { priority }),
    comment,
    tags,
    settings: {},
    meta: {},
    created_on: record.created,
    modified_on: record.modified,
  };
}
