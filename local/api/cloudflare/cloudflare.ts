import type { Cloud } from '../cloud';
import type { Dialect } from '../gate';
import { Routes } from '../routes';
import { dnsRecordRoutes } from './dns-records';
import { r2BucketRoutes } from './r2-buckets';
import { zoneRoutes } from './zones';

/** Numbers that Cloudflare gives to errors which this cloud knows by Hetzner's codes. */
const NUMBERS: Record<string, number> = {
  unauthorized: 10_000,
  invalid_input: 1004,
  json_error: 6007,
  not_found: 7003,
  uniqueness_error: 81_058,
  rate_limit_exceeded: 971,
};

/**
 * The calls of the Cloudflare API that DNS records and R2 buckets need.
 *
 * @param token the local cloud's token; its first 40 characters are taken too, a Cloudflare token's length
 */
export function cloudflare(cloud: Cloud, token: string): Dialect {
  const routes = new Routes();
  zoneRoutes(routes, cloud);
  dnsRecordRoutes(routes, cloud);
  r2BucketRoutes(routes, cloud);
  return {
    prefix: '/client/v4',
    tokens: [token, token.slice(0, 40)],
    routes,
    renderError: (_status, code, message, details) => ({
      success: false,
      errors: [{ code: numberOf(code, details), message }],
      messages: [],
      result: null,
    }),
  };
}

function numberOf(code: string | number, details: unknown): number {
  if (typeof code === 'number') return code;
  if (typeof details === 'object' && details !== null && 'number' in details) return Number(details.number);
  return /^\d+$/.test(code) ? Number(code) : (NUMBERS[code] ?? 1000);
}
