/** The stand-in for the random provider. Values come from the operating system's generator and then stay in the state. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { pluginVersion } from './plugin-version';
import { flag, map, notSimulated, number, required, text, type Failure, type Values } from './properties';
import { runProvider } from './provider';
import { resourceFor, type Provider } from './resource';

const keepers = map(text(), { replaces: true });

const character = {
  upper: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  lower: 'abcdefghijklmnopqrstuvwxyz',
  numeric: '0123456789',
  special: '!@#$%&*()-_=+[]{}<>:?',
};

const textInputs = {
  keepers,
  length: required(
    number({
      replaces: true,
      check: (length: number) => (length < 1 ? 'length is at least 1; for example 32' : undefined),
    }),
  ),
  lower: flag({ replaces: true, default: true }),
  minLower: number({ replaces: true, default: 0 }),
  minNumeric: number({ replaces: true, default: 0 }),
  minSpecial: number({ replaces: true, default: 0 }),
  minUpper: number({ replaces: true, default: 0 }),
  number: flag({ replaces: true, computed: true }),
  numeric: flag({ replaces: true, computed: true }),
  overrideSpecial: text({ replaces: true }),
  special: flag({ replaces: true, default: true }),
  upper: flag({ replaces: true, default: true }),
};

type TextInputs = Values<typeof textInputs>;

function textFailures(inputs: Partial<TextInputs>): Failure[] {
  const least = [inputs.minLower, inputs.minNumeric, inputs.minSpecial, inputs.minUpper]
    .filter((value) => typeof value === 'number')
    .reduce((sum, value) => sum + value, 0);
  if (typeof inputs.length === 'number' && inputs.length < Math.max(least, 1)) {
    return [
      {
        property: 'length',
        reason: `length is ${inputs.length}, less than minLower, minNumeric, minSpecial and minUpper together (${least})`,
      },
    ];
  }
  const { upper = true, lower = true, numeric = inputs.number ?? true, special = true } = inputs;
  if (![upper, lower, numeric, special].some(Boolean)) {
    return [{ property: 'lower', reason: 'at least one of lower, upper, numeric and special must be true' }];
  }
  return [];
}

/** A text of `length` characters: the asked minimum of each class first, the rest from all classes, then shuffled. */
function randomText(inputs: TextInputs): string {
  const numeric = inputs.numeric ?? inputs.number ?? true;
  const special = inputs.overrideSpecial || character.special;
  const classes: [string, boolean, number][] = [
    [character.upper, inputs.upper ?? true, inputs.minUpper ?? 0],
    [character.lower, inputs.lower ?? true, inputs.minLower ?? 0],
    [character.numeric, numeric, inputs.minNumeric ?? 0],
    [special, inputs.special ?? true, inputs.minSpecial ?? 0],
  ];
  const pick = (from: string): string => from.charAt(randomInt(from.length));
  const all = classes.flatMap(([characters, used]) => (used ? [characters] : [])).join('');
  const chosen = classes.flatMap(([characters, , least]) =>
    Array.from({ length: least }, () => pick(characters)),
  );
  while (chosen.length < inputs.length) chosen.push(pick(all));
  for (let index = chosen.length - 1; index > 0; index--) {
    const other = randomInt(index + 1);
    [chosen[index], chosen[other]] = [chosen[other] ?? '', chosen[index] ?? ''];
  }
  return chosen.join('');
}

const digits = (inputs: TextInputs) => {
  const numeric = inputs.numeric ?? inputs.number ?? true;
  return { numeric, number: numeric };
};

const resource = resourceFor<null>();

const randomPassword = resource({
  inputs: textInputs,
  // bcryptHash is left out: nothing here asks for it, and computing it takes longer than everything else.
  outputs: { result: text({ secret: true }) },
  reports: 'reasons',
  check: textFailures,
  create: ({ inputs }) =>
    Promise.resolve({ id: 'none', state: { result: randomText(inputs), ...digits(inputs) } }),
});

const randomString = resource({
  inputs: textInputs,
  outputs: { result: text() },
  reports: 'reasons',
  check: textFailures,
  create({ inputs }) {
    const result = randomText(inputs);
    return Promise.resolve({ id: result, state: { result, ...digits(inputs) } });
  },
});

const randomId = resource({
  inputs: { byteLength: required(number({ replaces: true })), keepers, prefix: text({ replaces: true }) },
  outputs: { b64Std: text(), b64Url: text(), dec: text(), hex: text() },
  reports: 'reasons',
  create({ inputs }) {
    const bytes = randomBytes(inputs.byteLength);
    const prefix = inputs.prefix ?? '';
    const hex = bytes.toString('hex');
    return Promise.resolve({
      id: bytes.toString('base64url'),
      state: {
        b64Std: prefix + bytes.toString('base64'),
        b64Url: prefix + bytes.toString('base64url'),
        dec: prefix + BigInt(`0x${hex}`).toString(),
        hex: prefix + hex,
      },
    });
  },
});

const randomUuid = resource({
  inputs: { keepers },
  outputs: { result: text() },
  reports: 'reasons',
  create() {
    const result = randomUUID();
    return Promise.resolve({ id: result, state: { result } });
  },
});

const randomInteger = resource({
  inputs: {
    keepers,
    max: required(number({ replaces: true })),
    min: required(number({ replaces: true })),
    seed: notSimulated("a seed's sequence belongs to the real provider's generator"),
  },
  outputs: { result: number() },
  reports: 'reasons',
  check: ({ min, max }) =>
    typeof min === 'number' && typeof max === 'number' && min > max
      ? [{ property: 'min', reason: `min is ${min}, more than max (${max})` }]
      : [],
  create({ inputs }) {
    const result = randomInt(inputs.min, inputs.max + 1);
    return Promise.resolve({ id: String(result), state: { result } });
  },
});

export const random: Provider<null> = {
  name: 'random',
  config: {},
  connect: () => null,
  resources: {
    'random:index/randomId:RandomId': randomId,
    'random:index/randomInteger:RandomInteger': randomInteger,
    'random:index/randomPassword:RandomPassword': randomPassword,
    'random:index/randomString:RandomString': randomString,
    'random:index/randomUuid:RandomUuid': randomUuid,
  },
  functions: {},
};

if (require.main === module) void runProvider(random, pluginVersion('random'));
