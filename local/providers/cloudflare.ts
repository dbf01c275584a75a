/** The stand-in for the Cloudflare provider: DNS records and R2 buckets. */
import { ApiError, loopbackUrl, send, type HttpApi } from './http';
import { pluginVersion } from './plugin-version';
import { flag, list, notSimulated, number, object, required, text, type Values } from './properties';
import { runProvider } from './provider';
import { resourceFor, type Provider } from './resource';

interface Envelope<T> {
  success: boolean;
  errors?: { code: number; message: string }[];
  result: T;
}

class CloudflareClient {
  readonly #api: HttpApi;

  constructor(baseUrl: string, token: string) {
    this.#api = {
      baseUrl,
      token,
      retryCodes: new Set(['http_429']),
      errorOf(status, body) {
        const error = (body as Envelope<unknown> | undefined)?.errors?.[0];
        return error && new ApiError(status, String(error.code), `${error.message} (${error.code})`);
      },
    };
  }

  async request<T>(
    method: string,
    path: string,
    signal: AbortSignal,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<T> {
    return ((await send(this.#api, method, path, body, signal, { headers })) as Envelope<T>).result;
  }

  /** undefined for what does not exist. */
  async find<T>(path: string, signal: AbortSignal, headers?: Record<string, string>): Promise<T | undefined> {
    try {
      return await this.request<T>('GET', path, signal, undefined, headers);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async remove(path: string, signal: AbortSignal, headers?: Record<string, string>): Promise<void> {
    try {
      await this.request('DELETE', path, signal, undefined, headers);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }
}

const resource = resourceFor<CloudflareClient>();

interface ApiRecord {
  id: string;
  name: string;
  type: string;
  content: string;
  ttl: number;
  proxied: boolean;
  proxiable: boolean;
  priority?: number;
  comment?: string | null;
  tags?: string[];
  settings?: { flatten_cname?: boolean; ipv4_only?: boolean; ipv6_only?: boolean };
  meta?: object;
  created_on?: string;
  modified_on?: string;
}

const recordInputs = {
  comment: text(),
  content: text(),
  data: notSimulated('records whose value has parts (CAA, SRV) are not needed here'),
  includeShadowMetadata: flag({ default: false }),
  name: required(text()),
  priority: number(),
  privateRouting: notSimulated('private routing is not needed here'),
  proxied: flag({ default: false }),
  settings: object({ flattenCname: flag(), ipv4Only: flag(), ipv6Only: flag() }, { computed: true }),
  tags: list(text(), { computed: true }),
  ttl: required(
    number({
      check: (ttl: number) =>
        ttl === 1 || (ttl >= 30 && ttl <= 86_400)
          ? undefined
          : 'ttl is 1 (automatic) or 30 to 86400 seconds; for example 300',
    }),
  ),
  type: required(
    text({
      replaces: true,
      oneOf: ['A', 'AAAA', 'CAA', 'CNAME', 'HTTPS', 'MX', 'NS', 'PTR', 'SRV', 'SVCB', 'TLSA', 'TXT'],
    }),
  ),
  /** An empty one passes every check and fails at the request, as with the real provider. */
  zoneId: required(text({ replaces: true })),
};

type RecordInputs = Values<typeof recordInputs>;

const recordBody = (inputs: RecordInputs) => ({
  name: inputs.name,
  type: inputs.type,
  ttl: inputs.ttl,
  content: inputs.content,
  proxied: inputs.proxied ?? false,
  ...(inputs.priority !== undefined && { priority: inputs.priority }),
  ...(inputs.comment !== undefined && { comment: inputs.comment }),
  ...(inputs.tags && { tags: inputs.tags }),
  ...(inputs.settings && {
    settings: {
      flatten_cname: inputs.settings.flattenCname,
      ipv4_only: inputs.settings.ipv4Only,
      ipv6_only: inputs.settings.ipv6Only,
    },
  }),
});

const recordState = (record: ApiRecord) => ({
  name: record.name,
  type: record.type,
  content: record.content,
  ttl: record.ttl,
  proxied: record.proxied,
  proxiable: record.proxiable,
  priority: record.priority,
  comment: record.comment ?? undefined,
  tags: record.tags ?? [],
  settings: {
    flattenCname: record.settings?.flatten_cname,
    ipv4Only: record.settings?.ipv4_only,
    ipv6Only: record.settings?.ipv6_only,
  },
  meta: JSON.stringify(record.meta ?? {}),
  createdOn: record.created_on ?? '',
  modifiedOn: record.modified_on ?? '',
});

function recordsPath(zoneId: string): string {
  if (!zoneId)
    throw new Error('missing required zone_id parameter: set zoneId, the 32 hex digits of the zone');
  return `/zones/${encodeURIComponent(zoneId)}/dns_records`;
}

/** An import names the parent as well: `<parent>/<id>`. */
function splitImport(id: string, example: string): [string, string] {
  const [parent, own] = id.split('/');
  if (!parent || !own) throw new Error(`id ${JSON.stringify(id)} is not ${example}`);
  return [parent, own];
}

const dnsRecord = resource({
  inputs: recordInputs,
  outputs: {
    commentModifiedOn: text(),
    createdOn: text(),
    meta: text(),
    modifiedOn: text({ fromAllInputs: true }),
    proxiable: flag(),
    tagsModifiedOn: text(),
  },
  reports: 'reasons',
  async create({ client, inputs, signal }) {
    const record = await client.request<ApiRecord>(
      'POST',
      recordsPath(inputs.zoneId),
      signal,
      recordBody(inputs),
    );
    return { id: record.id, state: recordState(record) };
  },
  async read({ client, id, state, signal }) {
    const [zoneId, recordId] = state.zoneId ? [state.zoneId, id] : splitImport(id, '<zone id>/<record id>');
    const record = await client.find<ApiRecord>(`${recordsPath(zoneId)}/${recordId}`, signal);
    return record && { id: record.id, state: { ...recordState(record), zoneId } };
  },
  async update({ client, id, inputs, signal }) {
    const path = `${recordsPath(inputs.zoneId)}/${id}`;
    return recordState(await client.request<ApiRecord>('PUT', path, signal, recordBody(inputs)));
  },
  async delete({ client, id, state, signal }) {
    await client.remove(`${recordsPath(state.zoneId)}/${id}`, signal);
  },
});

interface ApiBucket {
  name: string;
  location?: string;
  jurisdiction?: string;
  storage_class?: string;
  creation_date?: string;
}

const bucketsPath = (accountId: string): string => `/accounts/${encodeURIComponent(accountId)}/r2/buckets`;

const bucketState = (bucket: ApiBucket) => ({
  name: bucket.name,
  // The service answers in capitals, whatever was asked.
  location: bucket.location?.toLowerCase(),
  storageClass: bucket.storage_class ?? 'Standard',
  jurisdiction: bucket.jurisdiction ?? 'default',
  creationDate: bucket.creation_date ?? '',
});

/** A jurisdiction is no part of the path or body: a header says which one is meant. */
const inJurisdiction = (jurisdiction: string | undefined): Record<string, string> =>
  jurisdiction === undefined ? {} : { 'cf-r2-jurisdiction': jurisdiction };

const r2Bucket = resource({
  inputs: {
    accountId: required(text({ replaces: true })),
    jurisdiction: text({ replaces: true, default: 'default', oneOf: ['default', 'eu', 'fedramp'] }),
    location: text({ replaces: true, computed: true, stored: (location: string) => location.toLowerCase() }),
    name: required(text({ replaces: true })),
    storageClass: text({ default: 'Standard', oneOf: ['Standard', 'InfrequentAccess'] }),
  },
  outputs: { creationDate: text() },
  reports: 'reasons',
  async create({ client, inputs, signal }) {
    const body = {
      name: inputs.name,
      ...(inputs.location && { locationHint: inputs.location }),
      ...(inputs.storageClass && { storageClass: inputs.storageClass }),
    };
    const path = bucketsPath(inputs.accountId);
    const headers = inJurisdiction(inputs.jurisdiction);
    const bucket = await client.request<ApiBucket>('POST', path, signal, body, headers);
    return { id: bucket.name, state: bucketState(bucket) };
  },
  async read({ client, id, state, signal }) {
    const [accountId, name] = state.accountId
      ? [state.accountId, id]
      : splitImport(id, '<account id>/<bucket name>');
    const headers = inJurisdiction(state.jurisdiction);
    const bucket = await client.find<ApiBucket>(`${bucketsPath(accountId)}/${name}`, signal, headers);
    return bucket && { id: bucket.name, state: { ...bucketState(bucket), accountId } };
  },
  async update({ client, id, inputs, signal }) {
    const headers = {
      ...inJurisdiction(inputs.jurisdiction),
      'cf-r2-storage-class': inputs.storageClass ?? 'Standard',
    };
    const path = `${bucketsPath(inputs.accountId)}/${id}`;
    return bucketState(await client.request<ApiBucket>('PATCH', path, signal, undefined, headers));
  },
  async delete({ client, id, state, signal }) {
    await client.remove(`${bucketsPath(state.accountId)}/${id}`, signal, inJurisdiction(state.jurisdiction));
  },
});

export const cloudflare: Provider<CloudflareClient> = {
  name: 'cloudflare',
  config: {
    apiKey: notSimulated('use apiToken'),
    apiToken: text({ secret: true }),
    apiUserServiceKey: notSimulated('use apiToken'),
    baseUrl: text(),
    email: notSimulated('use apiToken'),
    userAgentOperatorSuffix: text(),
  },
  connect(config) {
    const baseUrl = loopbackUrl(
      'cloudflare:baseUrl (or CLOUDFLARE_BASE_URL)',
      config.baseUrl ?? process.env.CLOUDFLARE_BASE_URL,
      'http://127.0.0.1:8080/client/v4',
    );
    const token = config.apiToken ?? process.env.CLOUDFLARE_API_TOKEN;
    if (!token) throw new Error('cloudflare:apiToken (or CLOUDFLARE_API_TOKEN) is not set');
    return new CloudflareClient(baseUrl, token);
  },
  resources: {
    'cloudflare:index/dnsRecord:DnsRecord': dnsRecord,
    'cloudflare:index/r2Bucket:R2Bucket': r2Bucket,
  },
  functions: {},
};

if (require.main === module) void runProvider(cloudflare, pluginVersion('cloudflare'));
