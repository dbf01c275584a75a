import { OperationError, readStack, type StackOutputs } from '../stack';
import { findingsText, forEachOf, type Finding, type Report } from './findings';
import { askHosts, hostFindings } from './hosts';
import { checkLesson } from './lesson';
import { checkCertificate, checkDns, checkPorts, checkWeb, type Site } from './outside';

const help = `usage: npm run doctor -- [--stack STACK] [--json] [--name-server ADDRESS]

Checks a stack from where you are: names, ports, certificates, a lesson joined with real tokens; then each host's own
checks over SSH, with the stack's deploy key and pinned host keys. Says for each what is wrong and what to do.
Without --stack it is the selected stack. --name-server asks that one instead of this machine's.

exit status: 0 no failure; 1 some, or the stack could not be read; 2 usage`;

interface Options {
  stack?: string;
  json: boolean;
  nameServer?: string;
}

function optionsOf(args: readonly string[]): Options | undefined {
  const options: Options = { json: false };
  for (let at = 0; at < args.length; at++) {
    const value = args[at + 1];
    if (args[at] === '--json') options.json = true;
    else if (args[at] === '--stack' && value) [options.stack, at] = [value, at + 1];
    else if (args[at] === '--name-server' && value) [options.nameServer, at] = [value, at + 1];
    else return undefined;
  }
  return options;
}

/** Checks of a shard from outside. What cannot work without a port is not tried without it. */
async function checkSite(site: Site, outputs: StackOutputs): Promise<Finding[]> {
  const [dns, ports] = await Promise.all([checkDns(site), checkPorts(site)]);
  const settings = { appId: outputs.jwtAppId, audience: outputs.jwtAudience, secret: outputs.jwtSecret };
  const over = async (port: number, check: string, look: () => Promise<Finding[]>): Promise<Finding[]> =>
    ports.some((each) => each.check === `port ${port}/tcp` && each.state === 'ok')
      ? look()
      : [{ host: site.domain, check, state: 'unchecked', says: `port ${port} cannot be reached`, do: '' }];
  const rest = await Promise.all([
    over(443, 'certificate 443', async () => [await checkCertificate(site, 443)]),
    over(5349, 'certificate 5349', async () => [await checkCertificate(site, 5349)]),
    over(443, 'web client', async () => [await checkWeb(site)]),
    over(443, 'lesson', () => checkLesson(site, settings)),
  ]);
  return [...dns, ...ports, ...rest.flat()];
}

/** Everything that can be said of a stack now. */
export async function examine(outputs: StackOutputs, nameServer?: string): Promise<Finding[]> {
  const sites = outputs.shards.flatMap(({ name, domain }): Site[] => {
    const host = outputs.hosts.find((each) => each.name === name.replace('shard', 'jitsi'));
    return host
      ? [{ domain, host, authority: outputs.caCertificate, ...(nameServer !== undefined && { nameServer }) }]
      : [];
  });
  const [outside, answers] = await Promise.all([
    forEachOf(sites, 4, (site) => checkSite(site, outputs)),
    askHosts(outputs),
  ]);
  return [...outside.flat(), ...hostFindings(answers, outputs.pendingRebuilds)];
}

async function main(args: string[]): Promise<number> {
  const options = optionsOf(args);
  if (options === undefined) {
    const wanted = args.includes('--help');
    process[wanted ? 'stdout' : 'stderr'].write(`${help}\n`);
    return wanted ? 0 : 2;
  }
  const findings = await examine(await readStack(options.stack), options.nameServer);
  const report: Report = { stack: options.stack ?? null, at: new Date().toISOString(), findings };
  const text = options.json ? JSON.stringify(report, null, 2) : findingsText(findings);
  await new Promise((written) => process.stdout.write(`${text}\n`, written));
  return findings.some(({ state }) => state === 'failure') ? 1 : 0;
}

if (require.main === module) {
  main(process.argv.slice(2)).then(
    // Connections that a server keeps open must not keep this program.
    (code) => process.exit(code),
    (error: unknown) => {
      process.stderr.write(
        `${error instanceof OperationError ? error.message : String((error as Error).stack)}\n`,
      );
      process.exit(1);
    },
  );
}
