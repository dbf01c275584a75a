import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRepositoryUri } from '../machines/network';
import { ensureBucket } from '../store/local-store';
import { keptKeys } from '../store/s3-server';
import type { CloudEndpoint } from './cloud';
import { pulumi, type Engine } from './engine';
import { projectRoot } from './paths';

/** The stack of the local school, and its settings: a copy of the example that is its user's to change. */
export const stack = 'local';
export const settingsFile = join(projectRoot, `Pulumi.${stack}.yaml`);
const exampleFile = join(projectRoot, 'local', 'example.yaml');
/** A school brings its zone along; the stack makes records in it, never the zone itself. */
const zone = 'school.example';

/** A value of the settings; of a secret one, what it is encrypted to. */
function setting(name: string): unknown {
  if (!existsSync(settingsFile)) return undefined;
  const file = parse(readFileSync(settingsFile, 'utf8')) as { config?: Record<string, unknown> } | null;
  return file?.config?.[`lesson-platform:${name}`];
}

/** The repository of Jitsi's packages that the settings name, unless it is this machine's own. */
export function namedRepository(): string | undefined {
  const named = setting('jitsiRepository');
  return typeof named !== 'string' || named === '' || named.startsWith(packageRepositoryUri)
    ? undefined
    : named;
}

/**
 * Makes what a school has before its first `up`: a stack with settings, a bucket with its keys, and its DNS zone.
 *
 * @param store folder of the local object store
 * @param packages folder of the repository that hosts reach at `packageRepositoryUri`, for the settings to name
 */
export async function prepareSchool(
  engine: Engine,
  cloud: CloudEndpoint,
  store: string,
  packages: string | undefined,
): Promise<void> {
  if (!existsSync(settingsFile)) copyFileSync(exampleFile, settingsFile);
  const selected = await pulumi(engine, ['stack', 'select', '--create', stack]);
  if (selected.code !== 0) throw new Error(`The stack ${stack} could not be made:\n${selected.stderr}`);
  const { accessKeyId, secretAccessKey } = keptKeys(store);
  const keys = { storeAccessKeyId: accessKeyId, storeSecretAccessKey: secretAccessKey };
  for (const [key, input] of Object.entries(keys)) {
    if (setting(key) !== undefined) continue;
    const set = await pulumi(engine, ['config', 'set', '--secret', key, '--stack', stack], { input });
    if (set.code !== 0) throw new Error(`${key} could not be set:\n${set.stderr}`);
  }
  ensureBucket(store, String(setting('storeBucket')));
  if (packages !== undefined) await nameRepository(engine, readFileSync(join(packages, 'key.asc'), 'utf8'));
  await ensureZone(cloud);
}

/** Points the school's hosts at this machine's repository; its empty suite leaves them Debian's own Prosody. */
async function nameRepository(engine: Engine, key: string): Promise<void> {
  // Once is enough: what its user changes later stays.
  if (String(setting('jitsiRepositoryKey')).trim() === key.trim()) return;
  const values = {
    jitsiRepository: `${packageRepositoryUri} stable/`,
    jitsiRepositoryKey: key,
    prosodyRepository: `${packageRepositoryUri} prosody/`,
    prosodyRepositoryKey: key,
  };
  const given = Object.entries(values).flatMap(([name, value]) => ['--plaintext', `${name}=${value}`]);
  const set = await pulumi(engine, ['config', 'set-all', '--stack', stack, ...given]);
  if (set.code !== 0) throw new Error(`The package repository could not be named:\n${set.stderr}`);
}

async function ensureZone(cloud: CloudEndpoint): Promise<void> {
  const headers = { authorization: `Bearer ${cloud.token}`, 'content-type': 'application/json' };
  const found = await fetch(`${cloud.url}/v1/zones?name=${zone}`, { headers });
  const { zones } = (await found.json()) as { zones: unknown[] };
  if (zones.length > 0) return;
  const made = await fetch(`${cloud.url}/v1/zones`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ name: zone, mode: 'primary' }),
  });
  if (!made.ok) throw new Error(`The DNS zone ${zone} could not be made: ${await made.text()}`);
}
