import * as pulumi from '@pulumi/pulumi';
import * as random from '@pulumi/random';

const config = new pulumi.Config();

const password = new random.RandomPassword('password', {
  length: config.getNumber('length') ?? 40,
  special: false,
  minUpper: 3,
  minNumeric: 3,
  keepers: { rotation: config.get('rotation') ?? '1' },
  // Refused, and it must not be shown.
  ...(config.getSecret('wrong')
    ? { overrideSpecial: config.getSecret('wrong')?.apply((text) => [text] as never) }
    : {}),
});
const text = new random.RandomString('text', { length: 12, upper: false, overrideSpecial: '-' });
const bytes = new random.RandomId('bytes', { byteLength: 8, prefix: 'run-' });
const uuid = new random.RandomUuid('uuid');
const integer = new random.RandomInteger('integer', { min: 5, max: 5 });

export const result = password.result;
export const textResult = text.result;
export const hex = bytes.hex;
export const uuidResult = uuid.result;
export const integerResult = integer.result;
