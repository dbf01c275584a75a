/**
 * What can be ordered: locations, server types, images. Ids are this cloud's own; clients look them up by name.
 */

export interface Location {
  id: number;
  name: string;
  description: string;
  country: string;
  city: string;
  latitude: number;
  longitude: number;
  network_zone: string;
}

export const locations: readonly Location[] = [
  ['fsn1', 'Falkenstein DC Park 1', 'DE', 'Falkenstein', 50.47612, 12.370071, 'eu-central'] as const,
  ['nbg1', 'Nuremberg DC Park 1', 'DE', 'Nuremberg', 49.452102, 11.076665, 'eu-central'] as const,
  ['hel1', 'Helsinki DC Park 1', 'FI', 'Helsinki', 60.169855, 24.938379, 'eu-central'] as const,
  ['ash', 'Ashburn, VA', 'US', 'Ashburn, VA', 39.045821, -77.487073, 'us-east'] as const,
  ['hil', 'Hillsboro, OR', 'US', 'Hillsboro, OR', 45.54222, -122.951924, 'us-west'] as const,
  ['sin', 'Singapore', 'SG', 'Singapore', 1.283333, 103.833333, 'ap-southeast'] as const,
].map(([name, description, country, city, latitude, longitude, network_zone], index) => {
  return { id: index + 1, name, description, country, city, latitude, longitude, network_zone };
});

export const networkZones = ['eu-central', 'us-east', 'us-west', 'ap-southeast'] as const;

const EU = ['fsn1', 'nbg1', 'hel1'];
const US = ['ash', 'hil'];
const SIN = ['sin'];
const EVERYWHERE = [...EU, ...US, ...SIN];

export interface ServerType {
  id: number;
  name: string;
  category: string;
  cores: number;
  /** GB. */
  memory: number;
  /** GB. */
  disk: number;
  cpuType: 'shared' | 'dedicated';
  architecture: 'x86' | 'arm';
  /** Where it exists, and where it can no longer be ordered. */
  locations: string[];
  deprecatedIn: string[];
  /** EUR a month, net, without IPv4, for a new order. */
  monthly: number;
}

/**
 * Prices: third-party quotes of the vendor's page, for new orders in EU locations since 2026-06-15. Those marked
 * `estimate` have no quote (types that are no longer sold in the EU, ARM, the largest): they are ours, set between
 * their neighbours, so that sums are of the right size. Other locations are given the same price.
 */
const families: {
  category: string;
  cpuType: ServerType['cpuType'];
  architecture: ServerType['architecture'];
  locations: string[];
  deprecatedIn: string[];
  types: [name: string, cores: number, memory: number, disk: number, monthly: number, note?: 'estimate'][];
}[] = [
  {
    category: 'Cost-Optimized',
    cpuType: 'shared',
    architecture: 'x86',
    locations: EU,
    deprecatedIn: [],
    types: [
      ['cx23', 2, 4, 40, 5.49],
      ['cx33', 4, 8, 80, 8.49],
      ['cx43', 8, 16, 160, 15.99],
      ['cx53', 16, 32, 320, 29.49],
    ],
  },
  {
    category: 'Cost-Optimized',
    cpuType: 'shared',
    architecture: 'x86',
    locations: EU,
    deprecatedIn: EU,
    types: [
      ['cx22', 2, 4, 40, 5.99, 'estimate'],
      ['cx32', 4, 8, 80, 9.49, 'estimate'],
      ['cx42', 8, 16, 160, 18.49, 'estimate'],
      ['cx52', 16, 32, 320, 35.49, 'estimate'],
    ],
  },
  {
    category: 'Cost-Optimized',
    cpuType: 'shared',
    architecture: 'arm',
    locations: EU,
    deprecatedIn: [],
    types: [
      ['cax11', 2, 4, 40, 5.99, 'estimate'],
      ['cax21', 4, 8, 80, 10.49, 'estimate'],
      ['cax31', 8, 16, 160, 20.49, 'estimate'],
      ['cax41', 16, 32, 320, 40.49, 'estimate'],
    ],
  },
  {
    category: 'Regular Performance',
    cpuType: 'shared',
    architecture: 'x86',
    locations: [...EU, ...SIN],
    deprecatedIn: [],
    types: [
      ['cpx22', 2, 4, 80, 19.49],
      ['cpx32', 4, 8, 160, 35.49],
      ['cpx42', 8, 16, 320, 69.49],
      ['cpx52', 12, 24, 480, 100.49],
    ],
  },
  {
    category: 'Regular Performance',
    cpuType: 'shared',
    architecture: 'x86',
    locations: EVERYWHERE,
    deprecatedIn: EU,
    types: [
      ['cpx11', 2, 2, 40, 9.99, 'estimate'],
      ['cpx21', 3, 4, 80, 18.49, 'estimate'],
      ['cpx31', 4, 8, 160, 35.49, 'estimate'],
      ['cpx41', 8, 16, 240, 66.49, 'estimate'],
      ['cpx51', 16, 32, 360, 134.49, 'estimate'],
    ],
  },
  {
    category: 'General Purpose',
    cpuType: 'dedicated',
    architecture: 'x86',
    locations: EVERYWHERE,
    deprecatedIn: [],
    types: [
      ['ccx13', 2, 8, 80, 42.99],
      ['ccx23', 4, 16, 160, 85.99],
      ['ccx33', 8, 32, 240, 138.49],
      ['ccx43', 16, 64, 360, 271.49, 'estimate'],
      ['ccx53', 32, 128, 600, 533.49],
      ['ccx63', 48, 192, 960, 799.49, 'estimate'],
    ],
  },
];

export const serverTypes: readonly ServerType[] = families.flatMap(({ types, ...family }, familyIndex) =>
  types.map(([name, cores, memory, disk, monthly], index) => ({
    id: 10 * (familyIndex + 1) + index,
    name,
    cores,
    memory,
    disk,
    monthly,
    ...family,
  })),
);

export interface Image {
  id: number;
  name: string;
  description: string;
  flavor: 'debian' | 'ubuntu';
  version: string;
  architecture: 'x86' | 'arm';
}

export const images: readonly Image[] = [
  { name: 'debian-12', description: 'Debian 12', flavor: 'debian' as const, version: '12' },
  { name: 'debian-13', description: 'Debian 13', flavor: 'debian' as const, version: '13' },
  { name: 'ubuntu-22.04', description: 'Ubuntu 22.04', flavor: 'ubuntu' as const, version: '22.04' },
  { name: 'ubuntu-24.04', description: 'Ubuntu 24.04', flavor: 'ubuntu' as const, version: '24.04' },
].flatMap((image, index) =>
  (['x86', 'arm'] as const).map((architecture, variant) => ({
    id: 100 + 2 * index + variant,
    ...image,
    architecture,
  })),
);

/** EUR a month, net, for a primary IPv4 (quoted with the prices above); IPv6 is free. */
export const PRIMARY_IPV4_MONTHLY = 0.5;

/** Included traffic a month in TB, and EUR net for each TB beyond it. EU as quoted; the others are estimates. */
export function traffic(location: string): { included: number; perTb: number } {
  if (EU.includes(location)) return { included: 20, perTb: 1 };
  return US.includes(location) ? { included: 1, perTb: 1 } : { included: 0.5, perTb: 7.4 };
}

/** An hour costs this part of a month: a month is capped at 26 days of 24 hours. */
export const HOURS_A_MONTH = 624;

export const VAT_RATE = 0.19;

export const locationNamed = (name: string): Location => locations.find((at) => at.name === name)!;
export const serverTypeNamed = (name: string): ServerType => serverTypes.find((type) => type.name === name)!;
export const imageWithId = (id: number): Image => images.find((image) => image.id === id)!;
