import { z } from 'zod';
import { actionView, type ResourceType } from '../actions';
import type { Cloud } from '../cloud';
import { ApiError, notFound } from '../errors';
import { labels, name, parseBody } from '../input';
import { list, type Filters } from '../lists';
import type { Call, Routes } from '../routes';
import type { ActionRecord, Collection, Named } from '../state';

/** What the routes that every kind of resource has in common need to know of one. */
export interface Kind<T extends Named> {
  plural: string;
  type: ResourceType | 'ssh_key';
  records: Collection<T>;
  view: (record: T) => object;
  filters?: Filters<T>;
  /** The name's rule, when it differs from the usual one; null when it cannot be changed. */
  name?: z.ZodType<string> | null;
  /** Further fields that PUT may change. */
  changeable?: Record<string, z.ZodType>;
  change?: (record: T, fields: Record<string, unknown>) => void;
  /** DELETE that answers 204 at once: throws when the resource must stay. Left out for kinds with a DELETE of their own. */
  refuseDelete?: (record: T) => void;
  /** How a path names a record, when not by id. */
  find?: (text: string) => T | undefined;
}

/** Serves GET (list and one), PUT, DELETE and the actions of a kind. */
export function serveKind<T extends Named>(routes: Routes, cloud: Cloud, kind: Kind<T>): void {
  const { plural, type: singular, records, view } = kind;
  const update = z.strictObject({
    ...(kind.name === null ? {} : { name: (kind.name ?? name).optional() }),
    labels: labels.optional(),
    ...kind.changeable,
  });

  routes.get(`/${plural}`, ({ query }) => {
    const { page, meta } = list(records, query, kind.filters);
    return { body: { [plural]: page.map(view), meta } };
  });
  routes.get(`/${plural}/:id`, (call) => ({ body: { [singular]: view(wanted(kind, call)) } }));
  routes.put(`/${plural}/:id`, (call) => {
    const record = wanted(kind, call);
    const fields = parseBody(update, call.body) as Partial<Named>;
    if (fields.name !== undefined && fields.name !== record.name)
      refuseTakenName(records, singular, fields.name);
    record.name = fields.name ?? record.name;
    record.labels = fields.labels ?? record.labels;
    kind.change?.(record, fields);
    return { body: { [singular]: view(record) } };
  });
  if (kind.refuseDelete) {
    const { refuseDelete } = kind;
    routes.delete(`/${plural}/:id`, (call) => {
      const record = wanted(kind, call);
      refuseDelete(record);
      records.delete(record.id);
      return { status: 204 };
    });
  }

  const actionsOf = (fits: (at: { type: string; id: number }) => boolean) =>
    cloud.store.state.actions.filter((action) =>
      action.resources.some((at) => at.type === singular && fits(at)),
    );
  routes.get(`/${plural}/actions`, ({ query }) =>
    actionList(
      actionsOf(() => true),
      query,
    ),
  );
  routes.get(`/${plural}/actions/:action`, ({ params }) =>
    oneAction(
      actionsOf(() => true),
      params.action,
    ),
  );
  routes.get(`/${plural}/:id/actions`, (call) => {
    const { id } = wanted(kind, call);
    return actionList(
      actionsOf((at) => at.id === id),
      call.query,
    );
  });
  routes.get(`/${plural}/:id/actions/:action`, (call) => {
    const { id } = wanted(kind, call);
    return oneAction(
      actionsOf((at) => at.id === id),
      call.params.action,
    );
  });
}

const changeProtection = z.strictObject({ delete: z.boolean() });

/** Serves the action that protects a resource from deletion, or no longer. */
export function serveProtection<T extends Named & { protection: { delete: boolean } }>(
  routes: Routes,
  cloud: Cloud,
  kind: Kind<T> & { type: ResourceType },
): void {
  const protect = cloud.actions.define<{ id: number; delete: boolean }>(`${kind.type}/change_protection`, {
    command: 'change_protection',
    apply: (args) => {
      const record = kind.records.get(args.id);
      if (record) record.protection = { delete: args.delete };
    },
  });
  routes.post(`/${kind.plural}/:id/actions/change_protection`, (call) => {
    const { id } = wanted(kind, call);
    return began(protect([{ type: kind.type, id }], { id, ...parseBody(changeProtection, call.body) }));
  });
}

/** The record that a path names. @throws ApiError `not_found` */
export function wanted<T extends Named>(
  kind: Pick<Kind<T>, 'records' | 'type' | 'find'>,
  { params }: Call,
): T {
  const text = params.id ?? '';
  const record = kind.find?.(text) ?? (/^\d+$/.test(text) ? kind.records.get(Number(text)) : undefined);
  if (!record) throw notFound(kind.type, text);
  return record;
}

/** The record that a body refers to. @throws ApiError `not_found` */
export function existing<T extends Named>(records: Collection<T>, what: string, id: number): T {
  const record = records.get(id);
  if (!record) throw notFound(what, id);
  return record;
}

/** @throws ApiError `uniqueness_error` when a record of this kind has the name already. */
export function refuseTakenName<T extends Named>(
  records: Collection<T>,
  what: string,
  wantedName: string,
): void {
  if (records.find((record) => record.name === wantedName)) {
    throw new ApiError('uniqueness_error', `${what} name '${wantedName}' is already used`, {
      fields: [{ name: 'name' }],
    });
  }
}

/** @throws ApiError `protected` */
export function refuseProtected(what: string, record: { id: number; protection: { delete: boolean } }): void {
  if (record.protection.delete)
    throw new ApiError('protected', `${what} ${record.id} is protected from deletion`);
}

export function actionList(actions: Iterable<ActionRecord>, query: URLSearchParams) {
  const named = [...actions].map((action) => ({ ...action, name: action.command, created: action.started }));
  const sorts = query.getAll('sort').filter((order) => /^(id|command)\b/.test(order));
  const asked = new URLSearchParams(query);
  asked.delete('sort');
  asked.delete('name');
  for (const order of sorts) asked.append('sort', order.replace('command', 'name'));
  const { page, meta } = list(named, asked, {
    id: (action, ids) => ids.includes(String(action.id)),
    status: (action, statuses) => statuses.includes(action.status),
  });
  return { body: { actions: page.map(actionView), meta } };
}

export function oneAction(actions: Iterable<ActionRecord>, id = '') {
  const action = [...actions].find((one) => String(one.id) === id);
  if (!action) throw notFound('action', id);
  return { body: { action: actionView(action) } };
}

/** The answer to a request that began an action. */
export function began(action: ActionRecord, rest: object = {}) {
  return { status: 201, body: { ...rest, action: actionView(action) } };
}

/** What a new record of any kind begins with. */
export function newRecord(
  cloud: Cloud,
  given: { name: string; labels?: Record<string, string> | undefined },
): Named {
  return {
    id: cloud.store.state.nextId(),
    name: given.name,
    labels: given.labels ?? {},
    created: new Date().toISOString(),
  };
}
