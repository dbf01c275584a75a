import { invalidInput } from '../errors';
import type { Answer } from '../routes';

/** What Cloudflare wraps every answer in. */
export function envelope(result: unknown, more: object = {}): Answer {
  return { body: { success: true, errors: [], messages: [], result, ...more } };
}

/** One page of a list: `page` from 1, `per_page` 100 unless said otherwise, at most 5000. */
export function pageOf<T>(records: T[], query: URLSearchParams, view: (record: T) => object): Answer {
  const number = (name: string, preset: number) => {
    const value = Number(query.get(name) ?? preset);
    if (!Number.isInteger(value) || value < 1 || value > 5000)
      throw invalidInput(name, 'not a whole number from 1');
    return value;
  };
  const page = number('page', 1);
  const perPage = number('per_page', 100);
  const cut = records.slice((page - 1) * perPage, page * perPage);
  return envelope(cut.map(view), {
    result_info: {
      page,
      per_page: perPage,
      count: cut.length,
      total_count: records.length,
      total_pages: Math.ceil(records.length / perPage),
    },
  });
}

/** Zones and accounts are named by 32 hexadecimal digits. */
export const isHexId = (text: string) => /^[0-9a-f]{32}$/.test(text);
