import { join } from 'node:path';
import { inNamespace, machineNamespace, placeOf, type Place } from '../../local/machines/place';
import { projectRoot } from '../../local/command/paths';
import type { School } from '../engine/school';
import { inside, outside, ran, type Ran } from './booted-cloud';

/** A host of a school that boots. */
export class BootedHost {
  constructor(
    readonly place: Place,
    readonly name: string,
    readonly id: number,
    readonly address: string,
    readonly privateAddress: string,
  ) {}

  /** Runs a script as root, whatever comes of it. */
  attempt(script: string): Promise<Ran> {
    return inside(this.place, this.id, script);
  }

  /** What a script prints. @throws when it fails */
  async run(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(script);
    if (code !== 0) throw new Error(`${this.name}: ${script}: status ${code}\n${stdout}${stderr}`);
    return stdout.trim();
  }

  /** Those of some TCP ports of an address that this host reaches, e.g. of `1-1024,5222`. */
  async reaches(address: string, ports: string): Promise<number[]> {
    const command = inNamespace(machineNamespace(this.place, this.id), scanCommand(address, ports));
    return scanned(await ran(command));
  }

  /** Converge's report. */
  async status(): Promise<ConvergeReport> {
    return JSON.parse(await this.run('cat /var/lib/platform/status.json')) as ConvergeReport;
  }
}

export interface ConvergeReport {
  state: string;
  changed: string[];
  actions: { unit: string; action: string }[];
  pending: { unit: string; since: string }[];
  failures: { unit?: string; reason: string }[];
}

const scanCommand = (address: string, ports: string, source?: string): string[] => [
  ...[process.execPath, '--import', join(projectRoot, 'node_modules/tsx/dist/loader.mjs')],
  ...[join(__dirname, 'port-scan.ts'), address, ports, ...(source ? [source] : [])],
];

function scanned({ stdout, stderr }: Ran): number[] {
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout) as number[];
}

/**
 * Those of some TCP ports of an address that somebody outside reaches.
 *
 * @param source address to ask from; default: the administrators'
 */
export const scanFromOutside = async (
  place: Place,
  address: string,
  ports: string,
  source?: string,
): Promise<number[]> => scanned(await outside(place, scanCommand(address, ports, source)));

/** The hosts that a school has now, by name. */
export async function hostsOf(school: School): Promise<Record<string, BootedHost>> {
  const place = placeOf(school.paths.cloud);
  const { servers } = (await school.api('GET', '/servers?per_page=50')) as {
    servers: {
      id: number;
      name: string;
      public_net: { ipv4: { ip: string } };
      private_net: { ip: string }[];
    }[];
  };
  return Object.fromEntries(
    servers.map(({ id, name, public_net, private_net }) => [
      name,
      new BootedHost(place, name, id, public_net.ipv4.ip, private_net[0]?.ip ?? ''),
    ]),
  );
}
