import { invalidInput } from './errors';
import { parseLabelSelector } from './label-selector';

interface Listed {
  id: number | string;
  name: string;
  labels?: Record<string, string>;
  created?: string;
}

/** For each query parameter, whether a record is one of those asked for. A parameter may be repeated. */
export type Filters<T> = Record<string, (record: T, wanted: string[]) => boolean>;

/**
 * Chooses, sorts and cuts one page of a list: `name`, `label_selector`, the kind's own filters, `sort`
 * (`id`, `name` or `created`, with `:asc` or `:desc`), `page` (from 1) and `per_page` (25, at most 50).
 */
export function list<T extends Listed>(
  records: Iterable<T>,
  query: URLSearchParams,
  filters: Filters<T> = {},
) {
  const fits = parseLabelSelector(query.get('label_selector') ?? '');
  const chosen = [...records].filter(
    (record) =>
      (!query.has('name') || query.getAll('name').includes(record.name)) &&
      fits(record.labels ?? {}) &&
      Object.entries(filters).every(
        ([parameter, filter]) => !query.has(parameter) || filter(record, query.getAll(parameter)),
      ),
  );
  return paginate(sorted(chosen, query.getAll('sort')), query);
}

function sorted<T extends Listed>(records: T[], orders: string[]): T[] {
  const comparisons = orders.map((order) => {
    const match = /^(id|name|created)(?::(asc|desc))?$/.exec(order);
    if (!match) throw invalidInput('sort', `'${order}' is not a sort order, e.g. name:asc`);
    const key = match[1] as 'id' | 'name' | 'created';
    const sign = match[2] === 'desc' ? -1 : 1;
    return (a: T, b: T) => {
      const [x = '', y = ''] = [a[key], b[key]];
      return x === y ? 0 : x < y ? -sign : sign;
    };
  });
  return records.sort((a, b) => comparisons.reduce((result, compare) => result || compare(a, b), 0));
}

/** Cuts one page and describes it in the service's `meta.pagination`. */
export function paginate<T>(records: T[], query: URLSearchParams) {
  const page = pageNumber(query, 'page', 1, Number.MAX_SAFE_INTEGER);
  const perPage = pageNumber(query, 'per_page', 25, 50);
  const lastPage = Math.max(1, Math.ceil(records.length / perPage));
  return {
    page: records.slice((page - 1) * perPage, page * perPage),
    meta: {
      pagination: {
        page,
        per_page: perPage,
        previous_page: page > 1 ? page - 1 : null,
        next_page: page < lastPage ? page + 1 : null,
        last_page: lastPage,
        total_entries: records.length,
      },
    },
  };
}

function pageNumber(query: URLSearchParams, parameter: string, preset: number, highest: number): number {
  const given = query.get(parameter);
  if (given === null || given === '') return preset;
  const value = /^\d+$/.test(given) ? Number(given) : 0;
  if (value < 1 || value > highest) {
    throw invalidInput(parameter, `must be a whole number from 1 to ${highest}, not '${given}'`);
  }
  return value;
}
