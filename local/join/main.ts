import { Resolver } from 'node:dns/promises';
import { text } from 'node:stream/consumers';
import { rootCertificates } from 'node:tls';
import { joinRoom, type Joined, type TokenSettings } from './probe';
import { teachRecorded, type Taught } from './recorded-lesson';

/**
 * Joins a probe room of a domain, or teaches a lesson that is recorded, from where this program runs: resolves the name,
 * connects by TLS to nginx, logs in with tokens that it makes.
 *
 * usage: main.ts <ORDER, with ORDER as JSON of `Order`; standard output: JSON of `Report`; the exit status is 0
 */
export interface Order extends TokenSettings {
  domain: string;
  /** Name server to ask. */
  nameServer: string;
  /** Certificates to trust besides the well-known ones, PEM. */
  authorities: string[];
  /** Id of a lesson to be taught until it has been recorded for so many seconds; default: people just join. */
  record?: { lesson: string; seconds: number };
}

/** How both were let in, how the lesson was recorded, or why not. */
export type Report = { joined: Joined } | { taught: Taught } | { problem: string };

async function probe({ domain, nameServer, authorities, record, ...settings }: Order): Promise<Report> {
  const resolver = new Resolver({ timeout: 2000, tries: 3 });
  resolver.setServers([nameServer]);
  const [address] = await resolver.resolve4(domain);
  const site = {
    domain,
    url: `https://${domain}`,
    address,
    authorities: [...rootCertificates, ...authorities],
  };
  if (record) return { taught: await teachRecorded(site, settings, record.lesson, record.seconds) };
  return { joined: await joinRoom(site, settings) };
}

async function main(): Promise<void> {
  const order = JSON.parse(await text(process.stdin)) as Order;
  const report = await probe(order).catch((error: unknown): Report => {
    return { problem: error instanceof Error ? error.message : String(error) };
  });
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}

void main();
