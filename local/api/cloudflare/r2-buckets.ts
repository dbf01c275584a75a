import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { parseBody } from '../input';
import type { Call, Routes } from '../routes';
import type { R2BucketRecord, State } from '../state';
import { envelope, isHexId } from './envelope';

const storageClass = z.enum(['Standard', 'InfrequentAccess']);
const create = z.strictObject({
  name: z
    .string()
    .regex(
      /^[a-z0-9](?:[a-z0-9-]{1,62})[a-z0-9]$/,
      'not a bucket name: 3 to 64 of a-z, 0-9 and -, e.g. lessons',
    ),
  locationHint: z
    .string()
    .transform((text) => text.toLowerCase())
    .pipe(z.enum(['apac', 'eeur', 'enam', 'weur', 'wnam', 'oc']))
    .optional(),
  storageClass: storageClass.optional(),
});
const jurisdictions = z.enum(['default', 'eu', 'fedramp']);

/** R2 buckets as resources; the objects in them are not served here. */
export function r2BucketRoutes(routes: Routes, { store: { state } }: Cloud): void {
  const buckets = state.r2Buckets;
  const path = '/accounts/:account/r2/buckets';

  routes.get(path, (call) => {
    const { account, jurisdiction } = placeOf(call);
    const contains = call.query.get('name_contains') ?? '';
    const found = buckets.filter(
      (one) => one.account === account && one.jurisdiction === jurisdiction && one.name.includes(contains),
    );
    return envelope({ buckets: found.map(bucketView) });
  });
  routes.post(path, (call) => {
    const { account, jurisdiction } = placeOf(call);
    const given = parseBody(create, call.body);
    const id = `${account}/${jurisdiction}/${given.name}`;
    if (buckets.get(id)) {
      throw new ApiError(
        'uniqueness_error',
        'The bucket you tried to create already exists, and you own it.',
        {
          number: 10_004,
        },
      );
    }
    const bucket = buckets.add({
      id,
      account,
      jurisdiction,
      name: given.name,
      location: (given.locationHint ?? 'weur').toUpperCase(),
      storageClass: given.storageClass ?? 'Standard',
      created: new Date().toISOString(),
    });
    return envelope(bucketView(bucket));
  });
  routes.get(`${path}/:bucket`, (call) => envelope(bucketView(bucketOf(state, call))));
  routes.patch(`${path}/:bucket`, (call) => {
    const bucket = bucketOf(state, call);
    const wantedClass = storageClass.safeParse(call.headers['cf-r2-storage-class']);
    if (!wantedClass.success)
      throw invalidInput('cf-r2-storage-class', 'the header says Standard or InfrequentAccess');
    bucket.storageClass = wantedClass.data;
    return envelope(bucketView(bucket));
  });
  routes.delete(`${path}/:bucket`, (call) => {
    buckets.delete(bucketOf(state, call).id);
    return envelope({});
  });
}

/** A bucket lives in an account and, by a header, in a jurisdiction. */
function placeOf({ params, headers }: Call): { account: string; jurisdiction: string } {
  const account = params.account ?? '';
  if (!isHexId(account))
    throw new ApiError('not_found', `no account with id '${account}': 32 hexadecimal digits`);
  const jurisdiction = jurisdictions.safeParse(headers['cf-r2-jurisdiction'] ?? 'default');
  if (!jurisdiction.success)
    throw invalidInput('cf-r2-jurisdiction', 'the header says default, eu or fedramp');
  return { account, jurisdiction: jurisdiction.data };
}

function bucketOf(state: State, call: Call): R2BucketRecord {
  const { account, jurisdiction } = placeOf(call);
  const bucket = state.r2Buckets.get(`${account}/${jurisdiction}/${call.params.bucket}`);
  if (!bucket) throw new ApiError('not_found', 'The specified bucket does not exist.', { number: 10_006 });
  return bucket;
}

function bucketView(bucket: R2BucketRecord) {
  return {
    name: bucket.name,
    creation_date: bucket.created,
    location: bucket.location,
    storage_class: bucket.storageClass,
    jurisdiction: bucket.jurisdiction,
  };
}
