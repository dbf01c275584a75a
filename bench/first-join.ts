import { setTimeout as sleep } from 'node:timers/promises';
import type { HostPlan } from '../cloud-init/host-plan';
import { probeShards, type Outputs } from '../local/command/probe';
import { placeOf } from '../local/machines/place';
import { inside, type Server } from '../tests/boot/booted-cloud';
import { hostsOf } from '../tests/boot/booted-host';
import { startBootedSchool, type School } from '../tests/engine/school';
import { median, printRows, runsWanted, say } from './rows';

/**
 * Time from the creation of the Jitsi host's server to the first join, against the same machine that does nothing but
 * install the same packages: what first boot, secrets, converge and the checks of "ready" add. Needs hosts that boot.
 *
 * usage: npm run bench:first-join [-- --runs N]   (default 2; the median of N pairs is quoted)
 */
const runs = runsWanted(2);

/** User data of the bare machine: sources, answers and packages of a host plan, as converge has them. */
function onlyPackages({ aptSources, debconf, packages }: HostPlan): string {
  const file = (path: string, content: string): string => `cat >${path} <<'END'\n${content}\nEND`;
  const sources = aptSources.map(({ name, uri, suite, components, keyring }) => {
    const key = `/etc/apt/keyrings/${name}.asc`;
    const parts = components === '' ? '' : `\nComponents: ${components}`;
    const source = `Types: deb\nURIs: ${uri}\nSuites: ${suite}${parts}\nSigned-By: ${key}`;
    return `${file(key, keyring)}\n${file(`/etc/apt/sources.list.d/${name}.sources`, source)}`;
  });
  return [
    '#!/bin/sh',
    'set -e',
    'export DEBIAN_FRONTEND=noninteractive',
    'mkdir -p /etc/apt/keyrings',
    ...sources,
    `debconf-set-selections <<'END'\n${debconf.join('\n').replaceAll('{{throwaway}}', 'bare')}\nEND`,
    'apt-get update',
    `apt-get install --yes --no-install-recommends ${packages.join(' ')}`,
    'touch /root/installed',
    '',
  ].join('\n');
}

/** Seconds from the order of a server to something that comes true later. */
async function fromOrder(school: School, server: string, end: () => Promise<void>): Promise<number> {
  const before = (await school.requests()).length;
  await end();
  const ended = Date.now();
  const orders = (await school.requests())
    .slice(before)
    .filter(({ method, path }) => method === 'POST' && /\/servers$/.test(path));
  if (orders.length !== 1)
    throw new Error(`${server}: expected one order of a server, found ${orders.length}`);
  return (ended - Date.parse(orders[0]!.at)) / 1000;
}

async function firstJoin(school: School): Promise<void> {
  const { code, stdout, stderr } = await school.up();
  if (code !== 0) throw new Error(stdout + stderr);
  const jitsi = (await hostsOf(school))['jitsi-1']!;
  const outputs = (await school.outputs(true)) as unknown as Outputs;
  const [probed] = await probeShards(school.paths.cloud, outputs, new Map([['jitsi-1', jitsi.id]]));
  if (!probed?.good) throw new Error(probed?.line);
}

async function packagesAlone(school: School, plan: HostPlan, serverType: string): Promise<void> {
  const place = placeOf(school.paths.cloud);
  const order = { name: 'bare-1', server_type: serverType, image: 'debian-13', location: 'fsn1' };
  const made = await school.api('POST', '/servers', { ...order, user_data: onlyPackages(plan) });
  const { id } = (made as { server: Server }).server;
  for (let waited = 0; ; waited += 1) {
    const { stdout } = await inside(place, id, 'test -e /root/installed && echo yes; cloud-init status');
    if (stdout.startsWith('yes')) break;
    if (/error/.test(stdout) || waited > 1200) {
      const log = await inside(place, id, 'tail -20 /var/log/cloud-init-output.log');
      throw new Error(`the packages did not install: ${log.stdout}`);
    }
    await sleep(250);
  }
  await school.api('DELETE', `/servers/${id}`);
}

async function main(): Promise<void> {
  const school = await startBootedSchool({ recorderCount: 0, hostProtection: false });
  const ratios: number[] = [];
  const seconds: number[] = [];
  try {
    for (let run = 1; run <= runs; run += 1) {
      say(`first join, run ${run} of ${runs}`);
      const ours = await fromOrder(school, 'jitsi-1', () => firstJoin(school));
      const { server_type: type } = (await school.servers()).find(({ name }) => name === 'jitsi-1')!;
      const plan = JSON.parse(
        await (await hostsOf(school))['jitsi-1']!.run('cat /var/lib/platform/host-plan.json'),
      ) as HostPlan;
      // Alone on the machine, as the other was.
      const destroyed = await school.run('destroy', '--yes', '--skip-preview', '--stack', school.stack);
      if (destroyed.code !== 0) throw new Error(destroyed.stdout + destroyed.stderr);
      const bare = await fromOrder(school, 'bare-1', () => packagesAlone(school, plan, type.name));
      say(`  first join after ${ours.toFixed(1)} s, packages alone ${bare.toFixed(1)} s`);
      ratios.push(ours / bare);
      seconds.push(ours);
    }
  } finally {
    await school.close();
  }
  printRows([
    {
      what: 'from the order of the server to a first join, against the same packages alone',
      value: median(ratios),
      unit: 'ratio',
      atMost: 1.25,
    },
    { what: 'from the order of the server to a first join', value: median(seconds), unit: 's' },
  ]);
}

main().catch((error: unknown) => {
  say(String(error));
  process.exitCode = 1;
});
