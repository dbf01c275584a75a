import path from 'node:path';
import * as command from '@pulumi/command';
import * as pulumi from '@pulumi/pulumi';

const config = new pulumi.Config();

const local = new command.local.Command('local', {
  create: config.get('create') ?? 'echo "made with $GREETING"; cat',
  update: 'echo "changed, was: $PULUMI_COMMAND_STDOUT"',
  delete: `echo gone >> ${config.require('log')}`,
  environment: { GREETING: config.get('greeting') ?? 'care' },
  stdin: config.getSecret('stdin') ?? 'plain input',
  triggers: [config.get('trigger') ?? '1'],
  logging: command.local.Logging.Stderr,
});

export const stdout = local.stdout;

/** Commands on a host; the tests say which. */
function onHost(host: string) {
  const connection = {
    host,
    user: config.get('user') ?? 'root',
    port: config.getNumber('port') ?? 22,
    privateKey: config.getSecret('privateKey') ?? pulumi.secret('no key'),
    hostKey: config.get('hostKey') ?? 'ssh-ed25519 AAAA',
    dialErrorLimit: config.getNumber('dialErrorLimit') ?? 2,
    perDialTimeout: 5,
  };
  const remote = new command.remote.Command('remote', {
    connection,
    create: config.get('remoteCreate') ?? 'platform-secrets',
    delete: config.get('remoteDelete') ?? 'platform-drain recorder-1',
    stdin: config.getSecret('secret') ?? pulumi.secret('the-secret-of-the-lessons'),
    triggers: [host],
    ...(config.get('variable') ? { environment: { VARIABLE: config.require('variable') } } : {}),
    logging: command.remote.Logging.None,
    addPreviousOutputInEnv: false,
  });
  const plain = new command.remote.Command('plain', {
    connection,
    create: config.get('plainCreate') ?? 'platform-converge',
    stdin: config.get('plan') ?? 'a host plan',
    logging: command.remote.Logging.None,
    addPreviousOutputInEnv: false,
  });
  new command.remote.CopyToRemote(
    'copy',
    {
      connection,
      source: new pulumi.asset.FileAsset(path.join(__dirname, 'Pulumi.yaml')),
      remotePath: config.get('remotePath') ?? '/tmp/copied',
    },
    { dependsOn: plain },
  );
  return { remoteStdout: remote.stdout, plainStdout: plain.stdout };
}

const host = config.get('host');
export const remote = host ? onHost(host) : {};
