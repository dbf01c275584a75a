import { join } from 'node:path';
import type { Order, Report } from '../join/main';
import { hasRightRole, people } from '../join/probe';
import { inMachine } from '../machines/inside';
import { routerAddress } from '../machines/network';
import { inNamespace, placeOf } from '../machines/place';
import { run } from '../machines/run';
import { projectRoot } from './paths';

/** The outputs of the stack that a join needs. */
export interface Outputs {
  shards: { name: string; domain: string }[];
  jwtAppId: string;
  jwtAudience: string;
  jwtSecret: string;
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
  const command = inNamespace(place.gateway, [process.execPath, '--import', 'tsx', program]);
  return Promise.all(
    outputs.shards.map(async ({ name, domain }): Promise<Probed> => {
      const where = `a probe room of https://${domain}`;
      try {
        // The name of a shard's Jitsi host follows from its own.
        const id = hosts.get(name.replace('shard', 'jitsi'))!;
        const order: Order = {
          domain,
          nameServer: routerAddress,
          authorities: [outputs.caCertificate],
          appId: outputs.jwtAppId,
          audience: outputs.jwtAudience,
          secret: outputs.jwtSecret,
        };
        const report = JSON.parse(await run(command, JSON.stringify(order))) as Report;
        if ('problem' in report) throw new Error(report.problem);
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
