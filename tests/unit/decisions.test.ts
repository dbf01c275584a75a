import { describe, expect, test } from 'vitest';
import { privateAddress, recorderNames, shardDomain } from '../../components/names';
import { rollingOrder } from '../../components/rolling';
import { orderableTypes } from '../../components/config/catalogue';

describe('names and addresses', () => {
  test.each([
    ['jitsi-1', '10.10.1.1'],
    ['jitsi-12', '10.10.1.12'],
    ['recorder-97', '10.10.2.97'],
    ['app-1', '10.10.3.1'],
    ['bridge-1-1', '10.10.11.1'],
    ['bridge-3-90', '10.10.13.90'],
  ])('%s is at %s', (host, address) => {
    expect(privateAddress('10.10.0.0/16', host)).toBe(address);
  });

  test('another network moves all of them', () => {
    expect(privateAddress('192.168.0.0/16', 'recorder-7')).toBe('192.168.2.7');
  });

  test('no two hosts of a full network share an address', () => {
    const hosts = [
      ...Array.from({ length: 10 }, (_, shard) => [
        `jitsi-${shard + 1}`,
        ...Array.from({ length: 9 }, (_n, bridge) => `bridge-${shard + 1}-${bridge + 1}`),
      ]).flat(),
      ...recorderNames(97, []),
      'app-1',
    ];
    expect(new Set(hosts.map((host) => privateAddress('10.10.0.0/16', host))).size).toBe(hosts.length);
  });

  test('the first shard has the domain, others their number in its first label', () => {
    expect(shardDomain('meet.school.example', 1)).toBe('meet.school.example');
    expect(shardDomain('meet.school.example', 2)).toBe('meet-2.school.example');
  });

  test('lost numbers are never used again', () => {
    expect(recorderNames(3, [])).toEqual(['recorder-1', 'recorder-2', 'recorder-3']);
    expect(recorderNames(3, ['recorder-1', 'recorder-3'])).toEqual([
      'recorder-2',
      'recorder-4',
      'recorder-5',
    ]);
    expect(recorderNames(0, ['recorder-1'])).toEqual([]);
  });
});

describe('a changed type rolls through the pool', () => {
  const names = recorderNames(6, []);
  const living = (types: Record<string, string>) =>
    Object.entries(types).map(([name, serverType]) => ({ name, serverType }));
  const all = (serverType: string) => living(Object.fromEntries(names.map((name) => [name, serverType])));

  test('nothing waits when nothing changes', () => {
    expect(rollingOrder(names, all('cpx32'), 'cpx32', 1)).toEqual(new Map());
  });

  test('new recorders wait for nobody', () => {
    expect(rollingOrder(names, [], 'cpx32', 1)).toEqual(new Map());
  });

  test.each([1, 2, 3, 6, 20])('never more than %d are away', (maxUnavailable) => {
    const order = rollingOrder(names, all('cpx22'), 'cpx32', maxUnavailable);
    // Played through: whoever may start does so at once, the first of those away comes back last in, first out.
    const back = new Set<string>();
    const away: string[] = [];
    let most = 0;
    while (back.size < names.length) {
      for (const name of names) {
        if (back.has(name) || away.includes(name)) continue;
        if (order.get(name)!.every((before) => back.has(before))) away.push(name);
      }
      most = Math.max(most, away.length);
      back.add(away.pop()!);
    }
    expect(most).toBe(Math.min(maxUnavailable, names.length));
  });

  test('after an interruption those that were replaced come back first', () => {
    const types = {
      'recorder-1': 'cpx32',
      'recorder-2': 'cpx32',
      'recorder-3': 'cpx22',
      'recorder-4': 'cpx22',
    };
    expect(rollingOrder(recorderNames(5, []), living(types), 'cpx32', 1)).toEqual(
      new Map([
        ['recorder-3', ['recorder-1', 'recorder-2']],
        ['recorder-4', ['recorder-3']],
      ]),
    );
  });
});

test('what can be ordered differs by place and is x86', () => {
  expect(orderableTypes('fsn1')).toContain('cx23');
  expect(orderableTypes('ash')).not.toContain('cx23');
  for (const place of ['fsn1', 'ash', 'sin'] as const) {
    expect(orderableTypes(place)).not.toContain('cax11');
    expect(orderableTypes(place)).not.toContain('cx22');
  }
});
