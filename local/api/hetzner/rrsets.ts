import { z } from 'zod';
import type { Cloud } from '../cloud';
import { ApiError, invalidInput } from '../errors';
import { labels, parseBody } from '../input';
import { list } from '../lists';
import type { Call, Routes } from '../routes';
import type { RrsetRecord, ZoneRecord } from '../state';
import { actionView } from '../actions';
import { began, wanted } from './kind';
import { checkValues, newRrset, records, rrsetInput, ttl } from './rrset-input';
import { zoneKind } from './zones';

const update = z.strictObject({ labels: labels.optional() });
const changeTtl = z.strictObject({ ttl: ttl.nullable() });
const changeProtection = z.strictObject({ change: z.boolean() });
const setRecords = z.strictObject({ records });
const addRecords = z.strictObject({ records, ttl: ttl.nullish() });
const updateRecords = z.strictObject({
  records: z.array(z.strictObject({ value: z.string(), comment: z.string() })),
});

/** Record sets of a zone: all records of one name and type. */
export function rrsetRoutes(routes: Routes, cloud: Cloud): void {
  const { actions } = cloud;
  const { state } = cloud.store;
  const kind = zoneKind(state);
  const path = '/zones/:id/rrsets/:name/:type';

  const at = (zone: ZoneRecord) => [{ type: 'zone' as const, id: zone.id }];
  const find = (zone: ZoneRecord | undefined, key: { name?: string; type?: string }) =>
    zone?.rrsets.find(({ name, type }) => name === key.name && type === key.type);
  const rrsetOf = (call: Call) => {
    const zone = wanted(kind, call);
    const rrset = find(zone, call.params);
    if (rrset) return { zone, rrset };
    throw new ApiError(
      'not_found',
      `record set ${call.params.name}/${call.params.type} not found in ${zone.name}`,
    );
  };
  const changeable = (call: Call) => {
    const found = rrsetOf(call);
    if (!found.rrset.protection.change) return found;
    throw new ApiError(
      'protected',
      `record set ${found.rrset.name}/${found.rrset.type} is protected from changes`,
    );
  };

  routes.get('/zones/:id/rrsets', (call) => {
    const zone = wanted(kind, call);
    const { page, meta } = list(
      zone.rrsets.map((rrset) => rrsetView(zone, rrset)),
      call.query,
      {
        type: (rrset, types) => types.includes(rrset.type),
      },
    );
    return { body: { rrsets: page, meta } };
  });
  routes.get(path, (call) => {
    const { zone, rrset } = rrsetOf(call);
    return { body: { rrset: rrsetView(zone, rrset) } };
  });
  routes.put(path, (call) => {
    const { zone, rrset } = rrsetOf(call);
    rrset.labels = parseBody(update, call.body).labels ?? rrset.labels;
    return { body: { rrset: rrsetView(zone, rrset) } };
  });

  const created = actions.define<object>('rrset/create', { command: 'create_rrset' });
  routes.post('/zones/:id/rrsets', (call) => {
    const zone = wanted(kind, call);
    const rrset = newRrset(zone, parseBody(rrsetInput, call.body));
    zone.rrsets.push(rrset);
    return {
      status: 201,
      body: { rrset: rrsetView(zone, rrset), action: actionView(created(at(zone), {})) },
    };
  });

  /** An action on one record set, which its arguments name. */
  const define = <A extends object>(
    effect: string,
    command: string,
    apply: (rrset: RrsetRecord, args: A, zone: ZoneRecord) => void,
  ) => {
    const begin = actions.define<A & { zone: number; name: string; type: string }>(`rrset/${effect}`, {
      command,
      apply: (args) => {
        const zone = state.zones.get(args.zone);
        const rrset = find(zone, args);
        if (zone && rrset) apply(rrset, args, zone);
      },
    });
    return (zone: ZoneRecord, { name, type }: RrsetRecord, args: A) =>
      began(begin(at(zone), { ...args, zone: zone.id, name, type }));
  };

  const deleted = define<object>('delete', 'delete_rrset', (rrset, _, zone) => {
    zone.rrsets = zone.rrsets.filter((one) => one !== rrset);
  });
  routes.delete(path, (call) => {
    const { zone, rrset } = changeable(call);
    return deleted(zone, rrset, {});
  });

  const protect = define<{ change: boolean }>(
    'change_protection',
    'change_rrset_protection',
    (rrset, { change }) => {
      rrset.protection = { change };
    },
  );
  routes.post(`${path}/actions/change_protection`, (call) => {
    const { zone, rrset } = rrsetOf(call);
    return protect(zone, rrset, parseBody(changeProtection, call.body));
  });

  const ttlChanged = define<{ ttl: number | null }>('change_ttl', 'change_rrset_ttl', (rrset, args) => {
    rrset.ttl = args.ttl;
  });
  routes.post(`${path}/actions/change_ttl`, (call) => {
    const { zone, rrset } = changeable(call);
    return ttlChanged(zone, rrset, parseBody(changeTtl, call.body));
  });

  const set = define<{ records: RrsetRecord['records'] }>(
    'set_records',
    'set_rrset_records',
    (rrset, args) => {
      rrset.records = args.records;
    },
  );
  routes.post(`${path}/actions/set_records`, (call) => {
    const { zone, rrset } = changeable(call);
    const given = parseBody(setRecords, call.body);
    checkValues(rrset.type, given.records);
    return set(zone, rrset, given);
  });

  // Adds to the record set, or makes it when there is none.
  routes.post(`${path}/actions/add_records`, (call) => {
    const zone = wanted(kind, call);
    const given = parseBody(addRecords, call.body);
    if (!find(zone, call.params)) {
      const { name, type } = call.params;
      zone.rrsets.push(newRrset(zone, parseBody(rrsetInput, { ...given, name, type })));
      return began(created(at(zone), {}));
    }
    const { rrset } = changeable(call);
    checkValues(rrset.type, given.records);
    return set(zone, rrset, parseBody(setRecords, { records: [...rrset.records, ...given.records] }));
  });
  routes.post(`${path}/actions/update_records`, (call) => {
    const { zone, rrset } = changeable(call);
    const given = parseBody(updateRecords, call.body);
    const comments = new Map(given.records.map(({ value, comment }) => [value, comment]));
    refuseUnknown(rrset, [...comments.keys()]);
    const changed = rrset.records.map((one) => ({ ...one, comment: comments.get(one.value) ?? one.comment }));
    return set(zone, rrset, { records: changed });
  });
  // Takes records out; a record set goes with its last one.
  routes.post(`${path}/actions/remove_records`, (call) => {
    const { zone, rrset } = changeable(call);
    const gone = parseBody(setRecords, call.body).records.map(({ value }) => value);
    refuseUnknown(rrset, gone);
    const left = rrset.records.filter(({ value }) => !gone.includes(value));
    return left.length > 0 ? set(zone, rrset, { records: left }) : deleted(zone, rrset, {});
  });
}

function refuseUnknown(rrset: RrsetRecord, values: string[]): void {
  const unknown = values.find((value) => !rrset.records.some((one) => one.value === value));
  if (unknown !== undefined)
    throw invalidInput('records', `'${unknown}' is not in ${rrset.name}/${rrset.type}`);
}

function rrsetView(zone: ZoneRecord, rrset: RrsetRecord) {
  const { name, type, ttl, labels, records, protection } = rrset;
  return { id: `${name}/${type}`, name, type, ttl, labels, records, protection, zone: zone.id };
}
