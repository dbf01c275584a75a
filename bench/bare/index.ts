import * as command from '@pulumi/command';
import * as hcloud from '@pulumi/hcloud';
import * as random from '@pulumi/random';

/** Counts by kind, JSON in BARE_RESOURCES, e.g. `{"servers": 90, "commands": 270, "passwords": 60}`. */
const { servers, commands, passwords } = JSON.parse(process.env['BARE_RESOURCES']!) as Record<
  'servers' | 'commands' | 'passwords',
  number
>;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

for (const number of numbers(servers)) {
  const name = `bare-${number}`;
  new hcloud.Server(name, { name, serverType: 'cpx32', image: 'debian-13', location: 'fsn1' });
}
for (const number of numbers(commands)) {
  new command.remote.Command(`command-${number}`, {
    connection: { host: '198.18.0.1', user: 'root', privateKey: 'none' },
    create: 'true',
    stdin: 'some text',
  });
}
for (const number of numbers(passwords)) new random.RandomPassword(`password-${number}`, { length: 32 });
