/** The stand-in for the command provider. */
import { localCommand } from './command/local';
import { HostChooser, copyToRemote, remoteCommand } from './command/remote';
import { pluginVersion } from './plugin-version';
import { runProvider } from './provider';
import type { Provider } from './resource';

export const command: Provider<HostChooser> = {
  name: 'command',
  config: {},
  connect: () => new HostChooser(),
  resources: {
    'command:local:Command': localCommand,
    'command:remote:Command': remoteCommand,
    'command:remote:CopyToRemote': copyToRemote,
  },
  functions: {},
};

if (require.main === module) void runProvider(command, pluginVersion('command'));
