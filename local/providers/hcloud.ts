/** The stand-in for the Hetzner Cloud provider: every resource type it simulates, by its Pulumi name. */
import { text } from './properties';
import { pluginVersion } from './plugin-version';
import { runProvider } from './provider';
import type { Provider } from './resource';
import { firewall, sshKey } from './hcloud/access';
import { primaryIp, rdns } from './hcloud/addresses';
import { connect, type HetznerClient } from './hcloud/client';
import { lookups } from './hcloud/lookups';
import { network, networkSubnet, serverNetwork } from './hcloud/network';
import { placementGroup } from './hcloud/placement-group';
import { server } from './hcloud/server';
import { volume, volumeAttachment } from './hcloud/volume';
import { zone, zoneRrset } from './hcloud/zone';

export const hcloud: Provider<HetznerClient> = {
  name: 'hcloud',
  config: {
    endpoint: text(),
    endpointHetzner: text(),
    pollFunction: text(),
    pollInterval: text(),
    token: text({ secret: true }),
  },
  connect,
  resources: {
    'hcloud:index/firewall:Firewall': firewall,
    'hcloud:index/network:Network': network,
    'hcloud:index/networkSubnet:NetworkSubnet': networkSubnet,
    'hcloud:index/placementGroup:PlacementGroup': placementGroup,
    'hcloud:index/primaryIp:PrimaryIp': primaryIp,
    'hcloud:index/rdns:Rdns': rdns,
    'hcloud:index/server:Server': server,
    'hcloud:index/serverNetwork:ServerNetwork': serverNetwork,
    'hcloud:index/sshKey:SshKey': sshKey,
    'hcloud:index/volume:Volume': volume,
    'hcloud:index/volumeAttachment:VolumeAttachment': volumeAttachment,
    'hcloud:index/zone:Zone': zone,
    'hcloud:index/zoneRrset:ZoneRrset': zoneRrset,
  },
  functions: lookups,
};

if (require.main === module) void runProvider(hcloud, pluginVersion('hcloud'));
