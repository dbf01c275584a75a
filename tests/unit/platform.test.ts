import { beforeAll, describe, expect, test } from 'vitest';
import { declarePlatform, type Declared } from './mocked-platform';

type Platform = Awaited<ReturnType<typeof declarePlatform>>;

const count = (resources: Declared[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { type } of resources) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
};
const named = (platform: Platform, name: string, type = ''): Declared => {
  const found = platform.resources.filter((one) => one.name === name && one.type.includes(type));
  expect(found, `resource ${name} ${type}`).toHaveLength(1);
  return found[0]!;
};

describe('the school of the example', () => {
  let school: Platform;
  beforeAll(async () => {
    school = await declarePlatform();
  });

  test('declares exactly these resources', () => {
    expect(count(school.resources)).toMatchInlineSnapshot(`
      {
        "command:local:Command": 4,
        "command:remote:Command": 11,
        "hcloud:index/firewall:Firewall": 4,
        "hcloud:index/network:Network": 1,
        "hcloud:index/networkSubnet:NetworkSubnet": 1,
        "hcloud:index/placementGroup:PlacementGroup": 1,
        "hcloud:index/primaryIp:PrimaryIp": 2,
        "hcloud:index/rdns:Rdns": 2,
        "hcloud:index/server:Server": 4,
        "hcloud:index/sshKey:SshKey": 2,
        "hcloud:index/zoneRrset:ZoneRrset": 2,
        "lessons:index:BridgePool": 1,
        "lessons:index:DomainRecords": 1,
        "lessons:index:Host": 4,
        "lessons:index:JitsiHost": 1,
        "lessons:index:PlatformCa": 1,
        "lessons:index:PlatformNetwork": 1,
        "lessons:index:RecorderAccounts": 1,
        "lessons:index:RecorderPool": 1,
        "lessons:index:RecordingStore": 1,
        "lessons:index:SshAccess": 1,
        "lessons:index:TokenAuth": 1,
        "random:index/randomPassword:RandomPassword": 6,
        "tls:index/certRequest:CertRequest": 2,
        "tls:index/locallySignedCert:LocallySignedCert": 2,
        "tls:index/privateKey:PrivateKey": 7,
        "tls:index/selfSignedCert:SelfSignedCert": 1,
      }
    `);
  });

  test('a recorder is at most five resources, its component counted', () => {
    const own = school.resources.filter(({ name }) => /^recorder-2(-|$)/.test(name));
    expect(own.map(({ name, type }) => `${name} ${type.split(':').pop()}`).sort()).toMatchInlineSnapshot(`
      [
        "recorder-2 Host",
        "recorder-2 Server",
        "recorder-2-converge Command",
        "recorder-2-drain Command",
        "recorder-2-power-on Command",
      ]
    `);
    expect(own.length).toBeLessThanOrEqual(5);
  });

  test('every child has a parent other than the stack', () => {
    const components = school.resources.filter(({ type }) => type.startsWith('lessons:'));
    for (const resource of school.resources) {
      if (components.includes(resource) && resource.parent.startsWith('lesson-platform-')) continue;
      expect(
        components.map(({ name }) => name),
        resource.name,
      ).toContain(resource.parent);
    }
  });

  test('each firewall opens the ports of its role to the world and SSH to the admins', () => {
    const rules = (role: string) =>
      (
        named(school, `network-firewall-${role}`).inputs['rules'] as {
          protocol: string;
          port: string;
          sourceIps: string[];
          direction: string;
        }[]
      ).map(
        ({ protocol, port, sourceIps, direction }) =>
          `${direction} ${port}/${protocol} ${sourceIps.join(' ')}`,
      );
    const world = '0.0.0.0/0 ::/0';
    const ssh = 'in 22/tcp 198.51.100.0/24';
    expect(rules('jitsi')).toEqual([
      `in 80/tcp ${world}`,
      `in 443/tcp ${world}`,
      `in 10000/udp ${world}`,
      `in 3478/udp ${world}`,
      `in 5349/tcp ${world}`,
      ssh,
    ]);
    expect(rules('bridge')).toEqual([`in 10000/udp ${world}`, ssh]);
    expect(rules('recorder')).toEqual([ssh]);
    expect(rules('app')).toEqual([`in 80/tcp ${world}`, `in 443/tcp ${world}`, ssh]);
  });

  test('a server keeps what would replace it, carries its generation, and sits at its computed address', () => {
    const { inputs, options } = named(school, 'recorder-3', 'Server');
    expect(inputs).toMatchObject({
      name: 'recorder-3',
      serverType: 'cpx32',
      image: 'debian-13',
      location: 'fsn1',
      networks: [{ ip: '10.10.2.3', aliasIps: [] }],
      labels: { platform: 'local', role: 'recorder' },
      deleteProtection: false,
      rebuildProtection: false,
    });
    expect(inputs['labels']).toHaveProperty('boot-generation', expect.stringMatching(/^[0-9a-f]{12}$/));
    expect(options).toEqual({
      protect: false,
      ignoreChanges: ['userData', 'image', 'sshKeys', 'labels["boot-generation"]'],
      replaceOnChanges: ['serverType'],
      deleteBeforeReplace: true,
    });
    expect(inputs['userData']).toMatch(/^#cloud-config\n/);
  });

  test('the Jitsi host is never replaced by its server type, and something puts it on again', () => {
    expect(named(school, 'jitsi-1', 'Server').options.replaceOnChanges).toEqual([]);
    expect(named(school, 'jitsi-1-power-on').inputs).toMatchObject({
      interpreter: ['node'],
      create: 'operations/power-on.mjs',
      environment: { SERVER_TYPE: 'cpx32' },
    });
    expect(named(school, 'jitsi-1-secrets').dependsOn).toContain('jitsi-1-power-on');
    expect(named(school, 'recorder-1-converge').dependsOn).toContain('recorder-1-power-on');
    expect(named(school, 'jitsi-1-converge').dependsOn).toContain('jitsi-1-secrets');
  });

  test('the Jitsi host comes after its network, its addresses and its DNS', () => {
    expect(named(school, 'jitsi-1', 'Server').dependsOn).toEqual(
      expect.arrayContaining([
        'network-subnet',
        'jitsi-1-ipv4',
        'jitsi-1-ipv6',
        'meet.school.example-A',
        'meet.school.example-AAAA',
        'jitsi-1-rdns-ipv4',
      ]),
    );
  });

  test('a drain is one stable line on the Jitsi host, bound to the server, after all that a recording needs', () => {
    const drain = named(school, 'recorder-2-drain');
    const server = named(school, 'recorder-2', 'Server');
    expect(drain.inputs['create']).toBe('true');
    expect(drain.inputs['delete']).toMatch(/^platform-drain recorder-2 \d+$/);
    expect(drain.inputs['triggers']).toHaveLength(1);
    expect((drain.inputs['connection'] as { host: string }).host).toBe(
      (named(school, 'jitsi-1-converge').inputs['connection'] as { host: string }).host,
    );
    expect(drain.dependsOn).toEqual(expect.arrayContaining(['recorder-2-converge', 'recorders-roster']));
    // A deletion waits for all that depends on it, however far.
    const reached = new Set<string>();
    const follow = (name: string): void => {
      if (reached.has(name)) return;
      reached.add(name);
      for (const one of school.resources.filter((resource) => resource.name === name))
        one.dependsOn.forEach(follow);
    };
    follow(drain.name);
    for (const needed of ['network-subnet', 'jitsi-1-converge', 'meet.school.example-A', server.name]) {
      expect([...reached], needed).toContain(needed);
    }
  });

  test('the roster names who stays, who is lost and how long to wait', () => {
    const roster = named(school, 'recorders-roster').inputs;
    expect(roster['create']).toBe('platform-roster');
    expect(JSON.parse(roster['stdin'] as string)).toEqual({
      stay: ['recorder-1', 'recorder-2', 'recorder-3'],
      lost: [],
      waitMinutes: 240,
    });
  });

  test('records are A and AAAA of the domain in the zone', () => {
    expect(named(school, 'meet.school.example-A').inputs).toMatchObject({
      zone: 'school.example',
      name: 'meet',
      type: 'A',
      records: [{ value: '198.18.0.1' }],
    });
    expect(named(school, 'meet.school.example-AAAA').inputs).toMatchObject({
      type: 'AAAA',
      records: [{ value: '2001:db8::1' }],
    });
  });

  test("reverse names are of the host's own addresses", () => {
    expect(named(school, 'jitsi-1-rdns-ipv6').inputs).toMatchObject({
      ipAddress: '2001:db8::1',
      dnsPtr: 'meet.school.example',
    });
  });

  test("the text of a pool's plan stands once; its hosts know it by digest and file", () => {
    const text = named(school, 'recorders-plan').inputs['stdin'] as string;
    expect(JSON.parse(text)).toHaveProperty('role', 'recorder');
    const { create, stdin } = named(school, 'recorder-1-converge').inputs as {
      create: string;
      stdin: string;
    };
    expect(create).toMatch(/^platform-secrets && platform-apply --fetch [0-9a-f]{64} --from 10\.10\.1\.1$/);
    const trust = named(school, 'recorders-trust').inputs;
    expect(Object.keys(JSON.parse(trust['stdin'] as string) as object)).toEqual([
      'ca-certificate',
      'deploy-keys',
    ]);
    const digest = (trust['create'] as string).replace('platform-plans put-trust ', '');
    const secrets = JSON.parse(stdin) as Record<string, string>;
    expect(secrets['trust']).toBe(`${digest} 10.10.1.1`);
    expect(Object.keys(secrets).sort()).toEqual([
      'store-access-key-id',
      'store-secret-access-key',
      'trust',
      'webhook-secret',
      'xmpp-jibri-password',
      'xmpp-recorder-password',
    ]);
  });

  test('outputs are what the app stack and people need', () => {
    expect(Object.keys(school.outputs).sort()).toEqual([
      'caCertificate',
      'deployKey',
      'hosts',
      'jwtAppId',
      'jwtAudience',
      'jwtIssuer',
      'jwtSecret',
      'pendingRebuilds',
      'recorderCapacity',
      'recordingStore',
      'recordingStoreAccessKeyId',
      'recordingStoreSecretAccessKey',
      'shards',
      'ssh',
      'webhookSecret',
    ]);
    expect(school.outputs).toMatchObject({
      shards: [{ name: 'shard-1', domain: 'meet.school.example', takesLessons: true }],
      jwtAudience: 'jitsi',
      jwtIssuer: 'lesson-app',
      recorderCapacity: 3,
      pendingRebuilds: [],
      ssh: { user: 'root', hostKeys: { 'jitsi-1': 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5' } },
    });
    expect(school.outputs['hosts']).toHaveLength(4);
  });
});

describe('other schools', () => {
  test('Cloudflare records are never proxied', async () => {
    const platform = await declarePlatform({
      dnsProvider: 'cloudflare',
      dnsZoneId: 'a'.repeat(32),
      dnsZone: '',
    });
    expect(named(platform, 'meet.school.example-A').inputs).toMatchObject({
      proxied: false,
      name: 'meet.school.example',
      content: '198.18.0.1',
    });
  });

  test('a domain that is a zone of its own has its records at the apex', async () => {
    const platform = await declarePlatform({ domain: 'school.example' });
    expect(named(platform, 'school.example-A').inputs).toMatchObject({ zone: 'school.example', name: '@' });
  });

  test('without a DNS provider there are no records', async () => {
    const { resources } = await declarePlatform({ dnsProvider: 'none', dnsZone: '' });
    expect(resources.filter(({ type }) => /ZoneRrset|DnsRecord/.test(type))).toEqual([]);
  });

  test('an R2 bucket made by the stack outlives it', async () => {
    const platform = await declarePlatform({
      storeProvider: 'r2',
      storeEndpoint: '',
      storeRegion: '',
      cloudflareAccountId: 'b'.repeat(32),
    });
    expect(named(platform, 'recording-store-bucket').inputs).toMatchObject({
      name: 'school-recordings',
      accountId: 'b'.repeat(32),
    });
    expect(platform.outputs['recordingStore']).toMatchObject({ region: 'auto' });
  });

  test('protection covers the Jitsi host and its addresses', async () => {
    const platform = await declarePlatform({ hostProtection: true });
    for (const [name, type] of [
      ['jitsi-1', 'Server'],
      ['jitsi-1-ipv4', ''],
      ['jitsi-1-ipv6', ''],
    ] as const) {
      expect(named(platform, name, type).options.protect, name).toBe(true);
      expect(named(platform, name, type).inputs['deleteProtection'], name).toBe(true);
    }
    expect(named(platform, 'jitsi-1', 'Server').inputs['rebuildProtection']).toBe(true);
    expect(named(platform, 'recorder-1', 'Server').options.protect).toBe(false);
  });

  test('25 recorders spread over three groups of ten at most', async () => {
    const { resources } = await declarePlatform({ recorderCount: 25 });
    expect(resources.filter(({ type }) => type.includes('PlacementGroup'))).toHaveLength(3);
    const sizes: Record<string, number> = {};
    for (const { inputs } of resources.filter(
      ({ type, name }) => type.includes('Server') && name.startsWith('recorder'),
    )) {
      const group = String(inputs['placementGroupId']);
      sizes[group] = (sizes[group] ?? 0) + 1;
    }
    expect(Object.values(sizes)).toEqual([10, 10, 5]);
  });

  test('a lost recorder is not declared, its number is not used again, and the roster says so', async () => {
    const platform = await declarePlatform({ recordersLost: ['recorder-2'] });
    const recorders = platform.resources.filter(
      ({ type, name }) => type.includes('Server') && name.startsWith('recorder'),
    );
    expect(recorders.map(({ name }) => name)).toEqual(['recorder-1', 'recorder-3', 'recorder-4']);
    expect(JSON.parse(named(platform, 'recorders-roster').inputs['stdin'] as string)).toMatchObject({
      lost: ['recorder-2'],
    });
  });

  test('a changed recorder type rolls: each waits for the one before to be back', async () => {
    const living = ['recorder-1', 'recorder-2', 'recorder-3'].map((name) => ({ name, serverType: 'cpx22' }));
    const platform = await declarePlatform({}, living);
    const waits = (name: string) =>
      named(platform, name, 'Server').dependsOn.filter(
        (one) => one.endsWith('-converge') && one.startsWith('recorder'),
      );
    expect(waits('recorder-1')).toEqual([]);
    expect(waits('recorder-2')).toEqual(['recorder-1-converge']);
    expect(waits('recorder-3')).toEqual(['recorder-2-converge']);
  });

  test('a rotation accepts the secret before', async () => {
    const before = await declarePlatform();
    const after = await declarePlatform({ jwtSecretRotation: 1 });
    const sent = (platform: Platform) =>
      JSON.parse(named(platform, 'jitsi-1-secrets').inputs['stdin'] as string) as Record<string, string>;
    expect(sent(before)).toMatchObject({
      'jwt-secret': 'made-token-auth-jwt-secret-0',
      'jwt-secret-previous': '',
    });
    expect(sent(after)).toMatchObject({
      'jwt-secret': 'made-token-auth-jwt-secret-1',
      'jwt-secret-previous': 'made-token-auth-jwt-secret-0',
    });
  });

  test('an own secret makes none', async () => {
    const own = 'o'.repeat(40);
    const platform = await declarePlatform({ jwtSecret: own });
    expect(platform.resources.filter(({ name }) => name.includes('jwt-secret'))).toEqual([]);
    expect(platform.outputs['jwtSecret']).toBe(own);
  });

  test('a bastion carries SSH to the private addresses', async () => {
    const platform = await declarePlatform({
      bastionHost: 'bastion.school.example',
      bastionHostKey: 'ssh-ed25519 AAAA',
      bastionPrivateKey: '-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----',
    });
    expect(named(platform, 'recorder-1-converge').inputs['connection']).toMatchObject({
      host: '10.10.2.1',
      proxy: { host: 'bastion.school.example', port: 22, user: 'root' },
    });
  });

  test('bridges belong to their shard', async () => {
    const platform = await declarePlatform({ bridgeCount: 2 });
    expect(named(platform, 'bridge-1-2', 'Server').inputs).toMatchObject({
      networks: [{ ip: '10.10.11.2' }],
    });
    expect(named(platform, 'bridge-1-2-drain').inputs['delete']).toMatch(/^platform-drain bridge-1-2 \d+$/);
  });
});
