import type { Cloud } from '../cloud';
import { invalidInput, notFound } from '../errors';
import { list, type Filters } from '../lists';
import type { Routes } from '../routes';
import type { State } from '../state';
import {
  HOURS_A_MONTH,
  images,
  locationNamed,
  locations,
  PRIMARY_IPV4_MONTHLY,
  serverTypes,
  traffic,
  VAT_RATE,
  type Image,
  type ServerType,
} from './catalogue';

/** When the older types were said to go, and when they went; dates as best known. */
const DEPRECATION = { announced: '2025-10-16T00:00:00Z', unavailable_after: '2026-01-01T00:00:00Z' };

/** Locations, server types, images and prices: all that a client looks up and nobody changes. */
export function catalogueRoutes(routes: Routes, { store }: Cloud): void {
  const architecture = <T extends { architecture: string }>(record: T, wanted: string[]) =>
    wanted.includes(record.architecture);

  lookUp(routes, 'locations', 'location', locations, (location) => location);
  lookUp(routes, 'server_types', 'server_type', serverTypes, (type) => serverTypeView(type, store.state));
  lookUp(routes, 'images', 'image', images, imageView, {
    architecture,
    type: (_, wanted) => wanted.includes('system'),
    status: (_, wanted) => wanted.includes('available'),
    bound_to: () => false,
  });
  routes.get('/pricing', () => ({ body: { pricing: pricing() } }));
}

function lookUp<T extends { id: number; name: string }>(
  routes: Routes,
  plural: string,
  singular: string,
  records: readonly T[],
  view: (record: T) => object,
  filters?: Filters<T>,
): void {
  routes.get(`/${plural}`, ({ query }) => {
    const { page, meta } = list(records, query, filters);
    return { body: { [plural]: page.map(view), meta } };
  });
  routes.get(`/${plural}/:id`, ({ params }) => {
    const record = records.find(({ id }) => String(id) === params.id);
    if (!record) throw notFound(singular, params.id ?? '');
    return { body: { [singular]: view(record) } };
  });
}

/** Why a server type cannot be ordered in a location now; undefined when it can. */
export function whyNotAvailable(
  type: ServerType,
  location: string,
  state: State,
): 'unsupported' | 'deprecated' | 'sold out' | undefined {
  if (!type.locations.includes(location)) return 'unsupported';
  if (type.deprecatedIn.includes(location)) return 'deprecated';
  return state.soldOut.includes(`${type.name}@${location}`) ? 'sold out' : undefined;
}

/** Marks a server type as out of stock in a location, or as back. */
export function setStock(state: State, serverType: string, location: string, available: boolean): void {
  const type = serverTypes.find(({ name }) => name === serverType);
  if (!type) throw invalidInput('serverType', `'${serverType}' is no server type, e.g. cx33`);
  if (!type.locations.includes(location)) {
    throw invalidInput(
      'location',
      `${serverType} is not sold in '${location}', only in ${type.locations.join(', ')}`,
    );
  }
  const entry = `${serverType}@${location}`;
  const others = state.soldOut.filter((one) => one !== entry);
  state.soldOut.splice(0, Infinity, ...(available ? others : [...others, entry]));
}

const decimal = (amount: number) => amount.toFixed(10);
const price = (net: number) => ({ net: decimal(net), gross: decimal(net * (1 + VAT_RATE)) });
const hourly = (monthly: number) => price(Math.ceil((monthly / HOURS_A_MONTH) * 10_000) / 10_000);

function serverTypePrices(type: ServerType) {
  return type.locations.map((location) => {
    const { included, perTb } = traffic(location);
    return {
      location,
      price_hourly: hourly(type.monthly),
      price_monthly: price(type.monthly),
      included_traffic: included * 2 ** 40,
      price_per_tb_traffic: price(perTb),
    };
  });
}

export function serverTypeView(type: ServerType, state: State) {
  const nowhere = type.deprecatedIn.length === type.locations.length;
  return {
    id: type.id,
    name: type.name,
    description: type.name.toUpperCase(),
    category: type.category,
    cores: type.cores,
    memory: type.memory,
    disk: type.disk,
    storage_type: 'local',
    cpu_type: type.cpuType,
    architecture: type.architecture,
    prices: serverTypePrices(type),
    deprecated: nowhere,
    deprecation: nowhere ? DEPRECATION : null,
    locations: type.locations.map((name) => {
      const available = whyNotAvailable(type, name, state) === undefined;
      return {
        id: locationNamed(name).id,
        name,
        available,
        recommended: available,
        deprecation: type.deprecatedIn.includes(name) ? DEPRECATION : null,
      };
    }),
  };
}

export function imageView(image: Image) {
  return {
    id: image.id,
    type: 'system',
    status: 'available',
    name: image.name,
    description: image.description,
    image_size: null,
    disk_size: 5,
    created: '2025-08-12T00:00:00Z',
    created_from: null,
    bound_to: null,
    os_flavor: image.flavor,
    os_version: image.version,
    architecture: image.architecture,
    rapid_deploy: true,
    protection: { delete: false },
    deprecated: null,
    deprecation: null,
    deleted: null,
    labels: {},
  };
}

function pricing() {
  const nothing = price(0);
  return {
    currency: 'EUR',
    vat_rate: decimal(VAT_RATE * 100),
    image: { price_per_gb_month: price(0.011) },
    volume: { price_per_gb_month: price(0.044) },
    server_backup: { percentage: decimal(20) },
    traffic: { price_per_tb: nothing },
    floating_ip: { price_monthly: nothing },
    // Not served here, but hcloud-go takes the length of this list for that of the primary IPs.
    floating_ips: [
      { type: 'ipv4', prices: [] },
      { type: 'ipv6', prices: [] },
    ],
    load_balancer_types: [],
    primary_ips: (['ipv4', 'ipv6'] as const).map((type) => ({
      type,
      prices: locations.map(({ name }) => {
        const monthly = type === 'ipv4' ? PRIMARY_IPV4_MONTHLY : 0;
        return { location: name, price_hourly: hourly(monthly), price_monthly: price(monthly) };
      }),
    })),
    server_types: serverTypes.map((type) => ({
      id: type.id,
      name: type.name,
      prices: serverTypePrices(type),
    })),
  };
}
