/**
 * What can be ordered where, as far as this program checks it before anything is declared.
 *
 * Source: Hetzner's published server types, seen November 2026. The API has the last word at `pulumi up`;
 * stock is not in here, since it changes by the hour.
 */

/** Hetzner locations and the network zone of each. */
export const locations = {
  fsn1: 'eu-central',
  nbg1: 'eu-central',
  hel1: 'eu-central',
  ash: 'us-east',
  hil: 'us-west',
  sin: 'ap-southeast',
} as const;

export type Location = keyof typeof locations;

const europe: readonly Location[] = ['fsn1', 'nbg1', 'hel1'];
const overseas: readonly Location[] = ['ash', 'hil', 'sin'];
const everywhere: readonly Location[] = [...europe, ...overseas];

export interface ServerType {
  /** Virtual cores. */
  cores: number;
  /** Memory in GB. */
  memory: number;
  architecture: 'x86' | 'arm';
  /** Locations where a new server of this type can be ordered; empty: nowhere any more. */
  orderable: readonly Location[];
}

const x86 = (cores: number, memory: number, orderable: readonly Location[]): ServerType => ({
  cores,
  memory,
  architecture: 'x86',
  orderable,
});

const arm = (cores: number, memory: number): ServerType => ({
  cores,
  memory,
  architecture: 'arm',
  orderable: europe,
});

export const serverTypes: Readonly<Record<string, ServerType>> = {
  cx22: x86(2, 4, []),
  cx32: x86(4, 8, []),
  cx42: x86(8, 16, []),
  cx52: x86(16, 32, []),
  cx23: x86(2, 4, europe),
  cx33: x86(4, 8, europe),
  cx43: x86(8, 16, europe),
  cx53: x86(16, 32, europe),
  cpx11: x86(2, 2, overseas),
  cpx21: x86(3, 4, overseas),
  cpx31: x86(4, 8, overseas),
  cpx41: x86(8, 16, overseas),
  cpx51: x86(16, 32, overseas),
  cpx22: x86(2, 4, europe),
  cpx32: x86(4, 8, europe),
  cpx42: x86(8, 16, europe),
  cpx52: x86(12, 24, europe),
  ccx13: x86(2, 8, everywhere),
  ccx23: x86(4, 16, everywhere),
  ccx33: x86(8, 32, everywhere),
  ccx43: x86(16, 64, everywhere),
  ccx53: x86(32, 128, everywhere),
  ccx63: x86(48, 192, everywhere),
  cax11: arm(2, 4),
  cax21: arm(4, 8),
  cax31: arm(8, 16),
  cax41: arm(16, 32),
};

/** Server types that can be ordered in a location, for roles that were tested on x86 only. */
export function orderableTypes(location: Location): string[] {
  return Object.entries(serverTypes)
    .filter(([, type]) => type.architecture === 'x86' && type.orderable.includes(location))
    .map(([name]) => name);
}
