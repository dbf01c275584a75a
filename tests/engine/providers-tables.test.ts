import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { cloudflare } from '../../local/providers/cloudflare';
import { command } from '../../local/providers/command';
import { compare } from '../../local/providers/diff';
import { hcloud } from '../../local/providers/hcloud';
import { checkValues } from '../../local/providers/properties';
import { random } from '../../local/providers/random';
import type { AnyResourceType } from '../../local/providers/resource';
import { tls } from '../../local/providers/tls';
import { Secret, UNKNOWN, copySecretMarks, decode, encode } from '../../local/providers/values';
import { projectRoot } from '../../local/command/paths';

interface Published {
  inputs: Map<string, { required: boolean }>;
  outputs: string[];
}

/** Reads a published resource's inputs and outputs from the type declarations that a program is checked against. */
function published(token: string): Published {
  const [packageName = '', module = '', typeName = ''] = token.split(':');
  const name = typeName.charAt(0).toLowerCase() + typeName.slice(1);
  const file = module.startsWith('index/') ? name : `${module}/${name}`;
  const folder = path.join(projectRoot, 'node_modules/@pulumi', packageName);
  const text = [file, file.toLowerCase()]
    .map((candidate) => {
      try {
        return readFileSync(path.join(folder, `${candidate}.d.ts`), 'utf8');
      } catch {
        return '';
      }
    })
    .find((found) => found !== '');
  if (!text) throw new Error(`no type declarations of ${token}`);
  const args = /export interface \w+Args \{\n([\s\S]*?)\n\}/.exec(text)?.[1] ?? '';
  const inputs = [...args.matchAll(/^ {4}(\w+)(\??): /gm)].map(
    ([, name = '', optional]) => [name, { required: optional === '' }] as const,
  );
  const outputs = [...text.matchAll(/^ {4}readonly (\w+): pulumi\.Output/gm)].map(([, name = '']) => name);
  return { inputs: new Map(inputs), outputs };
}

const tables: [string, AnyResourceType<never>][] = [cloudflare, command, hcloud, random, tls].flatMap(
  (provider) => Object.entries(provider.resources as Record<string, AnyResourceType<never>>),
);

/** Where the published types and the real provider's behaviour differ, or an output is left out on purpose. */
const exceptions: Record<string, { required?: string[]; noOutput?: string[] }> = {
  'command:local:Command': { noOutput: ['archive', 'assets'] },
  'hcloud:index/server:Server': { required: ['image'] },
  'random:index/randomPassword:RandomPassword': { noOutput: ['bcryptHash'] },
  // Optional in the types because a write-only twin exists, which is not simulated.
  'tls:index/certRequest:CertRequest': { required: ['privateKeyPem'] },
  'tls:index/locallySignedCert:LocallySignedCert': { required: ['caPrivateKeyPem'] },
  'tls:index/selfSignedCert:SelfSignedCert': { required: ['privateKeyPem'] },
};

describe('the tables against the published types', () => {
  it.each(tables)('%s knows every input, and whether it is required', (token, type) => {
    const { inputs } = published(token);
    const { required = [] } = exceptions[token] ?? {};
    expect(Object.keys(type.inputs).sort()).toEqual([...inputs.keys()].sort());
    for (const [name, { required: wanted }] of inputs) {
      const expected = required.includes(name) || wanted;
      expect(Boolean(type.inputs[name]?.required), `${name} required`).toBe(expected);
    }
  });

  it.each(tables)('%s gives every output', (token, type) => {
    const { outputs } = published(token);
    const missing = outputs.filter((name) => !(name in type.outputs) && !(name in type.inputs));
    expect(missing.sort()).toEqual((exceptions[token]?.noOutput ?? []).sort());
    const invented = Object.keys(type.outputs).filter((name) => !outputs.includes(name));
    expect(invented).toEqual([]);
  });

  it('replaces what the published schema and the real provider replace', () => {
    const replaced = (token: string): string[] => {
      const type = tables.find(([name]) => name === token)?.[1];
      return Object.keys(type?.inputs ?? {}).filter((name) => type?.inputs[name]?.replaces);
    };
    expect(replaced('hcloud:index/server:Server').sort()).toEqual([
      'image',
      'location',
      'sshKeys',
      'userData',
    ]);
    expect(replaced('hcloud:index/network:Network')).toEqual(['ipRange']);
    expect(replaced('hcloud:index/firewall:Firewall')).toEqual([]);
    expect(replaced('hcloud:index/placementGroup:PlacementGroup')).toEqual(['type']);
    expect(replaced('hcloud:index/primaryIp:PrimaryIp').sort()).toEqual(['location', 'type']);
    expect(replaced('hcloud:index/sshKey:SshKey')).toEqual(['publicKey']);
    expect(replaced('hcloud:index/serverNetwork:ServerNetwork').sort()).toEqual([
      'ip',
      'networkId',
      'serverId',
      'subnetId',
    ]);
    expect(replaced('hcloud:index/zone:Zone').sort()).toEqual(['mode', 'name']);
    expect(replaced('command:remote:Command')).toEqual(['triggers']);
    expect(replaced('cloudflare:index/dnsRecord:DnsRecord').sort()).toEqual(['type', 'zoneId']);
  });
});

describe('checking inputs', () => {
  const server = hcloud.resources['hcloud:index/server:Server']?.inputs ?? {};

  it('refuses what is not simulated, with the reason', () => {
    const { failures } = checkValues(
      server,
      { image: 'debian-12', serverType: 'cx23', rescue: 'linux64' },
      new Set(),
    );
    expect(failures).toEqual([
      {
        property: 'rescue',
        reason: expect.stringContaining('not simulated by the local stand-in provider') as string,
      },
    ]);
  });

  it('names the path of what is wrong inside a list', () => {
    const rules = hcloud.resources['hcloud:index/firewall:Firewall']?.inputs ?? {};
    const { failures } = checkValues(
      rules,
      { rules: [{ direction: 'inwards', protocol: 'tcp', prot: '1' }] },
      new Set(),
    );
    expect(failures.map(({ property }) => property).sort()).toEqual(['rules[0].direction', 'rules[0].prot']);
  });

  it('never repeats a secret value', () => {
    const { failures } = checkValues(
      server,
      { image: 'x', serverType: 'y', labels: 'hunter2hunter2' },
      new Set(['labels']),
    );
    expect(JSON.stringify(failures)).not.toContain('hunter2');
    expect(failures).toHaveLength(1);
  });

  it('converts numbers given as texts, and takes unknowns for any kind', () => {
    const network = hcloud.resources['hcloud:index/serverNetwork:ServerNetwork']?.inputs ?? {};
    const { values, failures } = checkValues(network, { serverId: '42', networkId: UNKNOWN }, new Set());
    expect(failures).toEqual([]);
    expect(values).toEqual({ serverId: 42, networkId: UNKNOWN });
  });
});

describe('comparing', () => {
  const firewall = hcloud.resources['hcloud:index/firewall:Firewall']?.inputs ?? {};
  const rule = { direction: 'in', protocol: 'udp', port: '10000', sourceIps: ['0.0.0.0/0', '::/0'] };
  const other = { ...rule, port: '443', protocol: 'tcp' };

  it('sees rules and their addresses as sets, and an absent value as its zero', () => {
    const state = {
      rules: [
        { ...other, destinationIps: [] },
        { ...rule, sourceIps: ['::/0', '0.0.0.0/0'] },
      ],
    };
    expect(compare(firewall, state, { rules: [rule, other] }, [])).toEqual([]);
  });

  it('sees one changed label as a change of that label', () => {
    const changes = compare(firewall, { labels: { a: '1', b: '2' } }, { labels: { a: '1', b: '3' } }, []);
    expect(changes).toEqual([{ property: 'labels', path: 'labels.b', kind: 'update', replaces: false }]);
  });

  it('honours ignoreChanges', () => {
    const server = hcloud.resources['hcloud:index/server:Server']?.inputs ?? {};
    const inputs = { image: 'debian-13', serverType: 'cx23' };
    expect(compare(server, { ...inputs, image: 'debian-12' }, inputs, ['image'])).toEqual([]);
    expect(compare(server, { ...inputs, image: 'debian-12' }, inputs, [])).toHaveLength(1);
  });

  it('takes an unknown as a change', () => {
    const network = hcloud.resources['hcloud:index/serverNetwork:ServerNetwork']?.inputs ?? {};
    const changes = compare(network, { serverId: 1, networkId: 2 }, { serverId: UNKNOWN, networkId: 2 }, []);
    expect(changes.map(({ property, replaces }) => ({ property, replaces }))).toEqual([
      { property: 'serverId', replaces: true },
    ]);
  });
});

describe('values on the wire', () => {
  it('keep secrets and unknowns', () => {
    const values = { a: new Secret({ b: 'x' }), c: [UNKNOWN, 1, null], d: { e: true } };
    expect(decode(encode(values))).toEqual(values);
  });

  it('leave out what is undefined', () => {
    expect(decode(encode({ a: undefined, b: 1 }))).toEqual({ b: 1 });
  });

  it('mark as secret what is secret at the same place', () => {
    const marked = { list: [new Secret('a'), 'b'], map: { k: new Secret('v'), l: 'w' } };
    expect(copySecretMarks({ list: ['1', '2'], map: { k: '3', l: '4' }, other: '5' }, marked)).toEqual({
      list: [new Secret('1'), '2'],
      map: { k: new Secret('3'), l: '4' },
      other: '5',
    });
    expect(copySecretMarks({ list: ['1'] }, marked)).toEqual({ list: new Secret(['1']) });
  });
});
