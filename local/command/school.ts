import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CloudEndpoint } from './cloud';
import { pulumi, type Engine } from './engine';
import { projectRoot } from './paths';

/** The stack of the local school, and its settings: a copy of the example that is its user's to change. */
export const stack = 'local';
export const settingsFile = join(projectRoot, `Pulumi.${stack}.yaml`);
const exampleFile = join(projectRoot, 'local', 'example.yaml');
/** A school brings its zone along; the stack makes records in it, never the zone itself. */
const zone = 'school.example';

/** Makes what a school has before its first `up`: a stack with settings and store keys, and its DNS zone. */
export async function prepareSchool(engine: Engine, cloud: CloudEndpoint): Promise<void> {
  const fresh = !existsSync(settingsFile);
  if (fresh) copyFileSync(exampleFile, settingsFile);
  const selected = await pulumi(engine, ['stack', 'select', '--create', stack]);
  if (selected.code !== 0) throw new Error(`The stack ${stack} could not be made:\n${selected.stderr}`);
  if (fresh) {
    for (const key of ['storeAccessKeyId', 'storeSecretAccessKey']) {
      const set = await pulumi(engine, ['config', 'set', '--secret', key, '--stack', stack], {
        input: randomBytes(20).toString('hex'),
      });
      if (set.code !== 0) throw new Error(`${key} could not be set:\n${set.stderr}`);
    }
  }
  await ensureZone(cloud);
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
