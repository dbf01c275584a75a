import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { keptKeys, serverCommand, type StoreServer } from './s3-server';

/** The object store's name and region, as `local/example.yaml` gives them. */
export const storeName = 'fsn1.your-objectstorage.com';
const storeRegion = 'fsn1';

/** What machines must trust to reach the store: its own certificate. */
export const storeCertificate = (folder: string): string => join(folder, 'store.crt');

/** Folder of a bucket; what is in it are its objects. */
export const bucketFolder = (folder: string, bucket: string): string => join(folder, 'buckets', bucket);

/** Makes a bucket, which a school has before its first `up`. */
export function ensureBucket(folder: string, bucket: string): void {
  mkdirSync(bucketFolder(folder, bucket), { recursive: true, mode: 0o700 });
}

function ensureCertificate(folder: string): { certificate: string; key: string } {
  const [certificate, key] = [storeCertificate(folder), join(folder, 'store.key')];
  if (existsSync(certificate)) return { certificate, key };
  const { status, stderr } = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '3650'],
      ...['-subj', `/CN=${storeName}`, '-addext', `subjectAltName=DNS:${storeName}`],
      ...['-keyout', key, '-out', certificate],
    ],
    { encoding: 'utf8' },
  );
  if (status === 0) return { certificate, key };
  rmSync(certificate, { force: true });
  throw new Error(`the store's certificate could not be made:\n${stderr}`);
}

/**
 * How the object store of a local cloud is started.
 *
 * @param folder for its keys, certificate and buckets
 * @param address where it listens, port 443
 */
export function localStore(
  program: string,
  folder: string,
  address: string,
): ReturnType<typeof serverCommand> {
  const keys = keptKeys(folder);
  const server: StoreServer = {
    ...keys,
    address: `${address}:443`,
    region: storeRegion,
    folder: join(folder, 'buckets'),
    tls: ensureCertificate(folder),
  };
  mkdirSync(server.folder, { recursive: true, mode: 0o700 });
  return serverCommand(program, server);
}
