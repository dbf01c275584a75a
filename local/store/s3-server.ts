import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goProgram, type GoProgram } from '../command/go-program';
import { makeOnce } from '../command/paths';

const versitygw: GoProgram = {
  title: 'the S3 server versitygw 1.8.0',
  file: 'versitygw-1.8.0',
  folder: join(__dirname, 'versitygw'),
  package: 'github.com/versity/versitygw/cmd/versitygw',
  packages: 760,
  takes: 'two minutes',
};

/** The one key pair of a store. */
export interface StoreKeys {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface StoreServer extends StoreKeys {
  /** `ADDRESS:PORT` to listen at. */
  address: string;
  region: string;
  /** Folder of buckets: a folder in it is a bucket, its files are the objects. */
  folder: string;
  /** Files of a TLS certificate with its key; without them it speaks plain HTTP. */
  tls?: { certificate: string; key: string };
  /** Folder for what objects have besides content; default: extended attributes of their files. */
  sidecar?: string;
}

/** Builds the S3 server, unless the cache has it; answers its path. */
export const s3Server = (say: (line: string) => void): Promise<string> => goProgram(versitygw, say);

/** How the server is started: its keys go by the environment, which process lists do not show. */
export function serverCommand(
  program: string,
  { address, region, folder, tls, sidecar, accessKeyId, secretAccessKey }: StoreServer,
): { command: string[]; env: Record<string, string> } {
  const transport = tls ? ['--cert', tls.certificate, '--key', tls.key] : [];
  return {
    command: [
      ...[program, '--port', address, '--region', region, '--quiet', ...transport],
      ...['posix', ...(sidecar === undefined ? [] : ['--sidecar', sidecar]), folder],
    ],
    env: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
  };
}

/** The key pair kept in a folder; made when there is none yet. */
export function keptKeys(folder: string): StoreKeys {
  const file = join(folder, 'keys.json');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const keys: StoreKeys = {
    accessKeyId: randomBytes(12).toString('hex').toUpperCase(),
    secretAccessKey: randomBytes(20).toString('hex'),
  };
  makeOnce(file, JSON.stringify(keys));
  return JSON.parse(readFileSync(file, 'utf8')) as StoreKeys;
}
