import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Order, Report } from '../join/main';
import { hasRightRole, people } from '../join/probe';
import { inMachine } from '../machines/inside';
import { routerAddress } from '../machines/network';
import { inNamespace, placeOf, type Place } from '../machines/place';
import { run } from '../machines/run';
import { bucketFolder, storeName } from '../store/local-store';
import { projectRoot } from './paths';

/** The outputs of the stack that a join needs. */
export interface Outputs {
  shards: { name: string; domain: string }[];
  jwtAppId: string;
  jwtAudience: string;
  jwtSecret: string;
  /** Recordings that can run at once. */
  recorderCapacity: number;
  recordingStore: { endpoint: string; bucket: string; prefix: string };
  /** Of the stack's own authority, PEM. */
  caCertificate: string;
}

/** What came of a join, as one line for people. */
export interface Probed {
  good: boolean;
  line: string;
}

const program = join(projectRoot, 'local', 'join', 'main.ts');

/**
 * Joins a moderator and a participant to a room of each shard, from the operator's place outside the hosts: by name,
 * TLS, nginx and WebSocket, with tokens that are signed with the secret of the stack's outputs.
 *
 * @param hosts server id of each host, by name
 */
export async function probeShards(
  cloudFolder: string,
  outputs: Outputs,
  hosts: ReadonlyMap<string, number>,
): Promise<Probed[]> {
  const place = placeOf(cloudFolder);
  return Promise.all(
    outputs.shards.map(async ({ name, domain }): Promise<Probed> => {
      const where = `a probe room of https://${domain}`;
      try {
        // The name of a shard's Jitsi host follows from its own.
        const id = hosts.get(name.replace('shard', 'jitsi'))!;
        const report = await carryOut(place, orderFor(outputs, domain));
        if (!('joined' in report)) throw new Error(JSON.stringify(report));
        const roles = (['moderator', 'participant'] as const)
          .map((who) => `${who}'s token → ${report.joined[who].role}`)
          .join(', ');
        const good = people.every((who) => hasRightRole(who, report.joined[who]));
        const versions = await run(inMachine(place, id, ['dpkg-query', '-W', '-f', '${Version}', 'prosody']));
        const line = `joined ${where} through nginx: ${roles} (Prosody ${versions.split('-')[0]})`;
        return { good, line };
      } catch (error) {
        return {
          good: false,
          line: `could not join ${where}: ${error instanceof Error ? error.message : String(error)}`,
        };
      }
    }),
  );
}

/** Seconds that the probe lesson is recorded, and that it may take from its end into the store. */
const RECORDED_SECONDS = 7;
const STORE_SECONDS = 120;

/** A probe lesson in the store. */
interface Recorded {
  /** Object of the video. */
  name: string;
  /** Length of the video, in milliseconds. */
  durationMs: number;
  /** From its first moderator until it was recorded, in milliseconds. */
  waitedMs: number;
}

/**
 * Has a lesson of the first shard recorded from its first moderator into the local object store.
 *
 * @throws with the step and the reason
 */
export async function recordProbeLesson(cloudFolder: string, outputs: Outputs): Promise<Recorded> {
  const place = placeOf(cloudFolder);
  const { bucket, prefix } = outputs.recordingStore;
  const lesson = `probe-${randomBytes(4).toString('hex')}`;
  const record = { lesson, seconds: RECORDED_SECONDS };
  const report = await carryOut(place, { ...orderFor(outputs, outputs.shards[0]!.domain), record });
  if (!('taught' in report)) throw new Error(JSON.stringify(report));
  const { session, waitedMs } = report.taught;
  return {
    ...(await inStore(bucketFolder(place.store, bucket), posix.join(prefix, lesson, session))),
    waitedMs,
  };
}

/**
 * The same as one line for people.
 *
 * @returns undefined where nothing records, or recordings go to another store
 */
export async function probeRecording(cloudFolder: string, outputs: Outputs): Promise<Probed | undefined> {
  const isLocal = outputs.recordingStore.endpoint === `https://${storeName}`;
  if (outputs.recorderCapacity === 0 || !isLocal) return undefined;
  try {
    const { name, durationMs, waitedMs } = await recordProbeLesson(cloudFolder, outputs);
    const [wait, length] = [(waitedMs / 1000).toFixed(1), Math.round(durationMs / 1000)];
    const line = `recorded a probe lesson, ${wait} s after its first moderator: ${name} (${length} s) in the local store`;
    return { good: true, line };
  } catch (error) {
    return {
      good: false,
      line: `a probe lesson was not recorded: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** The video of a session's first part, once its `meta.json` says that all is there. */
async function inStore(bucket: string, folder: string): Promise<Omit<Recorded, 'waitedMs'>> {
  const session = join(bucket, folder);
  for (const started = Date.now(); Date.now() - started < STORE_SECONDS * 1000; await sleep(500)) {
    for (const part of existsSync(session) ? readdirSync(session) : []) {
      const file = join(session, part, 'meta.json');
      if (!existsSync(file)) continue;
      const { durationMs } = JSON.parse(readFileSync(file, 'utf8')) as { durationMs: number };
      return { name: posix.join(folder, part, 'video.mp4'), durationMs };
    }
  }
  throw new Error(`${folder} is not in the store ${STORE_SECONDS} s after its end`);
}

const orderFor = (outputs: Outputs, domain: string): Order => ({
  domain,
  nameServer: routerAddress,
  authorities: [outputs.caCertificate],
  appId: outputs.jwtAppId,
  audience: outputs.jwtAudience,
  secret: outputs.jwtSecret,
});

/** Carries an order out at the operator's place. @throws with the problem that is reported */
async function carryOut(place: Place, order: Order): Promise<Report> {
  const command = inNamespace(place.gateway, [process.execPath, '--import', 'tsx', program]);
  const report = JSON.parse(await run(command, JSON.stringify(order))) as Report;
  if ('problem' in report) throw new Error(report.problem);
  return report;
}
