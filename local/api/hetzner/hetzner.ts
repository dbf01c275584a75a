import type { Cloud } from '../cloud';
import type { Dialect } from '../gate';
import { Routes } from '../routes';
import { ApiError } from '../errors';
import { catalogueRoutes } from './catalogue-routes';
import { firewallRoutes } from './firewalls';
import { actionList, oneAction } from './kind';
import { networkRoutes } from './networks';
import { placementGroupRoutes } from './placement-groups';
import { primaryIpRoutes } from './primary-ips';
import { reverseDnsRoutes } from './reverse-dns';
import { rrsetRoutes } from './rrsets';
import { serverActionRoutes } from './server-actions';
import { serverNetworkRoutes } from './server-networks';
import { serverRoutes } from './servers';
import { sshKeyRoutes } from './ssh-keys';
import { volumeRoutes } from './volumes';
import { zoneRoutes } from './zones';

const REQUESTS_AN_HOUR = 3600;

/** The Hetzner Cloud API. */
export function hetzner(cloud: Cloud, token: string): Dialect {
  const routes = new Routes();
  catalogueRoutes(routes, cloud);
  sshKeyRoutes(routes, cloud);
  networkRoutes(routes, cloud);
  placementGroupRoutes(routes, cloud);
  primaryIpRoutes(routes, cloud);
  reverseDnsRoutes(routes, cloud);
  firewallRoutes(routes, cloud);
  serverRoutes(routes, cloud);
  serverActionRoutes(routes, cloud);
  serverNetworkRoutes(routes, cloud);
  volumeRoutes(routes, cloud);
  zoneRoutes(routes, cloud);
  rrsetRoutes(routes, cloud);

  const gone = (message: string) =>
    new ApiError('deprecated_api_endpoint', message, {
      announcement: 'https://docs.hetzner.cloud/changelog',
    });
  routes.get('/datacenters', () => {
    throw gone('datacenters are gone: use /locations');
  });
  routes.get('/actions', ({ query }) => {
    if (!query.has('id')) throw gone('actions are listed by id only, e.g. /actions?id=42');
    return actionList(cloud.store.state.actions, query);
  });
  routes.get('/actions/:id', ({ params }) => oneAction(cloud.store.state.actions, params.id));

  return {
    prefix: '/v1',
    tokens: [token],
    routes,
    renderError: (_status, code, message, details) => ({ error: { code, message, details } }),
    headers: rateLimitHeaders(),
  };
}

/**
 * The headers of the service's rate limit, which refills by one a second. The local cloud counts but never refuses
 * on its own: only a fault does.
 */
function rateLimitHeaders(): () => Record<string, string> {
  let left = REQUESTS_AN_HOUR;
  let last = Date.now();
  return () => {
    const now = Date.now();
    left = Math.max(0, Math.min(REQUESTS_AN_HOUR, left + ((now - last) * REQUESTS_AN_HOUR) / 3_600_000) - 1);
    last = now;
    return {
      'ratelimit-limit': String(REQUESTS_AN_HOUR),
      'ratelimit-remaining': String(Math.floor(left)),
      'ratelimit-reset': String(
        Math.ceil(now / 1000 + (REQUESTS_AN_HOUR - left) * (3600 / REQUESTS_AN_HOUR)),
      ),
    };
  };
}
