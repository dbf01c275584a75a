import { orderableTypes, serverTypes, type Location } from './catalogue';
import type { ConfigValues, KeyName } from './keys';

/** One thing that is wrong with the configuration; `value` is what to show, never a secret's. */
export interface Problem {
  key: string;
  value?: unknown;
  expected: string;
  example: string;
}

/** Most hosts that a Hetzner private network holds. */
export const networkHostLimit = 100;
/** Hosts of the lesson app, whose stack joins the same network. */
const appHosts = 1;

/** Where one key's value depends on another's. Sees values that have each passed their own check. */
export function ruleProblems(config: ConfigValues): Problem[] {
  return [
    ...missing(config, ['domain', 'letsEncryptEmail', 'appUrl', 'adminCidrs'], ''),
    ...dnsProblems(config),
    ...storeProblems(config),
    ...sshProblems(config),
    ...serverTypeProblems(config),
    ...secretProblems(config),
    ...sizeProblems(config),
    ...recordingProblems(config),
    ...sourceProblems(config),
    ...acmeProblems(config),
  ];
}

const examples: Partial<Record<KeyName, string>> = {
  domain: 'meet.school.example',
  letsEncryptEmail: 'it@school.example',
  appUrl: 'https://lessons.school.example',
  adminCidrs: '["203.0.113.7/32"]',
};

const given = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : value !== '');

function missing(config: ConfigValues, names: KeyName[], why: string, forms = examples): Problem[] {
  return names
    .filter((name) => !given(config[name]))
    .map((name) => ({
      key: name,
      expected: `a value${why}: it is missing`,
      example: forms[name] ?? '…',
    }));
}

function dnsProblems(config: ConfigValues): Problem[] {
  if (config.dnsProvider === 'cloudflare') {
    return missing(config, ['dnsZoneId'], ', because dnsProvider is cloudflare', {
      dnsZoneId: '023e105f4ecef8ad9ca31a8372d0c353',
    });
  }
  if (config.dnsProvider === 'none') return [];
  const problems = missing(config, ['dnsZone'], ', because dnsProvider is hetzner', {
    dnsZone: 'school.example',
  });
  if (given(config.dnsZone) && given(config.domain) && !`.${config.domain}`.endsWith(`.${config.dnsZone}`)) {
    problems.push({
      key: 'dnsZone',
      value: config.dnsZone,
      expected: `a zone that holds the domain ${config.domain}`,
      example: config.domain.split('.').slice(-2).join('.'),
    });
  }
  return problems;
}

function storeProblems(config: ConfigValues): Problem[] {
  const forms = {
    storeBucket: 'school-recordings',
    storeEndpoint: 'https://fsn1.your-objectstorage.com',
    storeRegion: 'fsn1',
    storeAccessKeyId: 'pulumi config set --secret storeAccessKeyId KEY',
    storeSecretAccessKey: 'pulumi config set --secret storeSecretAccessKey SECRET',
    cloudflareAccountId: '9a7806061c88ada191ed06f989cc3dac',
  };
  const keysOfBoth: KeyName[] = ['storeBucket', 'storeAccessKeyId', 'storeSecretAccessKey'];
  if (config.storeProvider === 's3') {
    return missing(
      config,
      [...keysOfBoth, 'storeEndpoint', 'storeRegion'],
      ' for the recording store',
      forms,
    );
  }
  const conflicts: Problem[] = (['storeEndpoint', 'storeRegion'] as const)
    .filter((name) => given(config[name]))
    .map((name) => ({
      key: name,
      value: config[name],
      expected: 'no value, because storeProvider is r2 and the stack computes it',
      example: `pulumi config rm ${name}`,
    }));
  return [
    ...missing(config, [...keysOfBoth, 'cloudflareAccountId'], ', because storeProvider is r2', forms),
    ...conflicts,
  ];
}

function sshProblems(config: ConfigValues): Problem[] {
  const problems: Problem[] = [];
  const world = config.adminCidrs.filter((cidr) => cidr.endsWith('/0'));
  if (world.length > 0 && !config.allowWorldSsh) {
    problems.push({
      key: 'adminCidrs',
      value: world,
      expected: 'no network that is the whole world, unless allowWorldSsh is true',
      example: '["203.0.113.7/32"]',
    });
  }
  if (given(config.bastionHost)) {
    problems.push(
      ...missing(config, ['bastionHostKey', 'bastionPrivateKey'], ', because bastionHost is given', {
        bastionHostKey: 'ssh-ed25519 AAAAC3Nz…',
        bastionPrivateKey: 'pulumi config set --secret bastionPrivateKey < ~/.ssh/bastion',
      }),
    );
  }
  return problems;
}

function serverTypeProblems(config: ConfigValues): Problem[] {
  const bought = [
    { name: 'jitsiServerType', count: config.shardCount },
    { name: 'bridgeServerType', count: config.bridgeCount },
    { name: 'recorderServerType', count: config.recorderCount },
  ] as const;
  const problems: Problem[] = bought.flatMap(({ name, count }) => {
    if (count === 0) return [];
    const expected = serverTypeProblem(config[name], config.location);
    return expected === undefined ? [] : [{ key: name, value: config[name], expected, example: 'cpx32' }];
  });
  const cores = serverTypes[config.recorderServerType]?.cores;
  if (cores !== undefined && config.recorderInstancesPerHost > cores) {
    problems.push({
      key: 'recorderInstancesPerHost',
      value: config.recorderInstancesPerHost,
      expected: `at most the ${cores} cores of recorderServerType ${config.recorderServerType}`,
      example: String(cores),
    });
  }
  return problems;
}

function serverTypeProblem(name: string, location: Location): string | undefined {
  const choice = `one of ${orderableTypes(location).join(', ')}`;
  const type = serverTypes[name];
  if (type === undefined) return `a server type that exists, ${choice}`;
  if (type.architecture !== 'x86') return `an x86 type, since no role was tested on ARM: ${choice}`;
  if (type.orderable.length === 0) return `a type that can still be ordered: ${choice}`;
  if (!type.orderable.includes(location)) return `a type that can be ordered in ${location}: ${choice}`;
  return undefined;
}

function secretProblems(config: ConfigValues): Problem[] {
  const problems: Problem[] = [];
  if (given(config.jwtSecret) && config.jwtSecretRotation > 0) {
    problems.push({
      key: 'jwtSecretRotation',
      value: config.jwtSecretRotation,
      expected: '0, because jwtSecret is given: rotate it with jwtSecret and jwtSecretPrevious',
      example: '0',
    });
  }
  if (given(config.jwtSecretPrevious) && !given(config.jwtSecret)) {
    problems.push({
      key: 'jwtSecretPrevious',
      expected: 'no value without jwtSecret: the stack keeps the previous one of its own secrets',
      example: 'pulumi config rm jwtSecretPrevious',
    });
  }
  if (given(config.jwtSecret) && config.jwtSecret === config.jwtSecretPrevious) {
    problems.push({
      key: 'jwtSecretPrevious',
      expected: 'another secret than jwtSecret',
      example: 'pulumi config rm jwtSecretPrevious',
    });
  }
  const sip = [given(config.sipAccount), given(config.sipPassword)];
  if (sip[0] !== sip[1]) {
    problems.push({
      key: sip[0] ? 'sipPassword' : 'sipAccount',
      expected: 'a value, because the telephone gateway needs both sipAccount and sipPassword',
      example: sip[0] ? 'pulumi config set --secret sipPassword PASSWORD' : '4930123@sip.example',
    });
  }
  const mail = [given(config.alertEmail), given(config.alertSmtp)];
  if (mail[0] !== mail[1]) {
    problems.push({
      key: mail[0] ? 'alertSmtp' : 'alertEmail',
      expected: 'a value, because a mail needs both alertEmail and the relay alertSmtp',
      example: mail[0]
        ? 'pulumi config set --secret alertSmtp smtps://USER:PASSWORD@HOST'
        : 'it@school.example',
    });
  }
  return problems;
}

function sizeProblems(config: ConfigValues): Problem[] {
  const problems: Problem[] = [];
  const { shardCount, bridgeCount, recorderCount } = config;
  const hosts = shardCount * (1 + bridgeCount) + recorderCount + appHosts;
  if (hosts > networkHostLimit) {
    problems.push({
      key: 'recorderCount',
      value: recorderCount,
      expected:
        `at most ${networkHostLimit} hosts in a private network, but ${shardCount} Jitsi + ` +
        `${shardCount * bridgeCount} bridges + ${recorderCount} recorders + ${appHosts} app = ${hosts}. ` +
        'A larger school runs a second stack of this program',
      example: String(Math.max(0, recorderCount - (hosts - networkHostLimit))),
    });
  }
  if (!config.jitsiBridge && bridgeCount === 0) {
    problems.push({
      key: 'jitsiBridge',
      value: false,
      expected: 'true, or bridgeCount of at least 1: without a bridge no lesson has media',
      example: 'true',
    });
  }
  return problems;
}

function recordingProblems(config: ConfigValues): Problem[] {
  if (config.recordingStart !== 'command' || config.moderatorsMayRecord) return [];
  return [
    {
      key: 'moderatorsMayRecord',
      value: false,
      expected: 'true, because recordingStart is command: nobody could start a recording',
      example: 'pulumi config set moderatorsMayRecord true',
    },
  ];
}

function sourceProblems(config: ConfigValues): Problem[] {
  return (['debian', 'prosody', 'jitsi'] as const).flatMap((name) =>
    given(config[`${name}RepositoryKey`]) && !given(config[`${name}Repository`])
      ? [
          {
            key: `${name}RepositoryKey`,
            expected: `no value without ${name}Repository`,
            example: `pulumi config rm ${name}RepositoryKey`,
          },
        ]
      : [],
  );
}

function acmeProblems(config: ConfigValues): Problem[] {
  const letsEncrypt = new URL(config.acmeDirectory).hostname.endsWith('.letsencrypt.org');
  return given(config.acmeCaCertificate) && letsEncrypt
    ? [
        {
          key: 'acmeCaCertificate',
          expected: "no value with Let's Encrypt's acmeDirectory, whose server every host trusts",
          example: 'pulumi config rm acmeCaCertificate',
        },
      ]
    : [];
}
