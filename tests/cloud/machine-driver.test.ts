import { expect, test, vi } from 'vitest';
import { noMachines, type Machine, type MachineDriver, type Name } from '../../local/api/machine-driver';
import { ended, runningServer, startedCloud, type ServerAnswer } from './local-cloud';

test('a machine driver is told what to do, and its failures are the action’s', async () => {
  const calls: string[] = [];
  let broken = false;
  const told = (call: string) => (machine: Machine) => {
    calls.push(`${call} ${machine.name} ${machine.privateNetworks.map(({ ip }) => ip).join()}`.trim());
    return broken ? Promise.reject(new Error(`no room for ${machine.name}`)) : Promise.resolve();
  };
  const driver: MachineDriver = {
    ...noMachines,
    boots: true,
    create: told('create'),
    powerOn: told('powerOn'),
    powerOff: (machine, hard) => told(`powerOff(${hard})`)(machine),
    rebuild: (machine) => told(`rebuild(${machine.image.name},${machine.userData})`)(machine),
    delete: told('delete'),
    networksChanged: told('networksChanged'),
    firewallChanged: told('firewallChanged'),
  };
  const { hetzner, local } = await startedCloud({ driver });
  expect((await local<{ machines: boolean }>('GET', '/status')).body.machines).toBe(true);
  const { body } = await hetzner<{ network: { id: number } }>('POST', '/networks', {
    name: 'n',
    ip_range: '10.10.0.0/16',
    subnets: [{ type: 'cloud', ip_range: '10.10.0.0/16', network_zone: 'eu-central' }],
  });
  const server = await runningServer(hetzner, 'jitsi-1', { user_data: 'one' });
  const act = async (path: string, input?: object) => {
    const answer = await hetzner<ServerAnswer>('POST', `/servers/${server.id}/actions/${path}`, input);
    return ended(hetzner, answer.body.action.id);
  };
  await act('attach_to_network', { network: body.network.id, ip: '10.10.1.1' });
  await act('shutdown');
  await act('poweron');
  await act('rebuild', { image: 'debian-12', user_data: 'two' });
  broken = true;
  expect(await act('poweroff')).toMatchObject({ status: 'error', error: { message: 'no room for jitsi-1' } });
  broken = false;
  const deleted = await hetzner<ServerAnswer>('DELETE', `/servers/${server.id}`);
  await ended(hetzner, deleted.body.action.id);
  expect(calls).toEqual([
    'create jitsi-1',
    'powerOn jitsi-1',
    'networksChanged jitsi-1 10.10.1.1',
    'powerOff(false) jitsi-1 10.10.1.1',
    'powerOn jitsi-1 10.10.1.1',
    'rebuild(debian-12,two) jitsi-1 10.10.1.1',
    'powerOff(true) jitsi-1 10.10.1.1',
    'delete jitsi-1 10.10.1.1',
  ]);
});

test('a machine driver is told at the start what there should be', async () => {
  const before = await startedCloud();
  await runningServer(before.hetzner, 'app-1');
  await before.close();

  const adopted: unknown[] = [];
  const driver: MachineDriver = {
    ...noMachines,
    adopt: (machines) => {
      adopted.push(...machines.map(({ machine, running }) => [machine.name, machine.publicIpv4, running]));
      return Promise.resolve();
    },
  };
  await startedCloud({ stateFile: before.stateFile, driver });
  expect(adopted).toEqual([['app-1', '198.18.0.1', true]]);
});

test('a machine driver is told every address record, of both services', async () => {
  let told: readonly Name[] | undefined;
  const driver: MachineDriver = {
    ...noMachines,
    namesChanged: (names) => {
      told = names;
      return Promise.resolve();
    },
  };
  const { hetzner, cloudflare } = await startedCloud({ driver });
  expect(told).toEqual([]);
  await hetzner('POST', '/zones', {
    name: 'school.example',
    mode: 'primary',
    rrsets: [
      { name: '@', type: 'A', records: [{ value: '198.18.0.1' }] },
      { name: 'meet', type: 'AAAA', records: [{ value: '2001:db8:1::1' }] },
      { name: 'meet', type: 'TXT', records: [{ value: '"198.18.0.9 is not one"' }] },
    ],
  });
  await cloudflare('POST', `/zones/${'c'.repeat(32)}/dns_records`, {
    name: 'meet.other.example',
    type: 'A',
    content: '198.18.0.2',
    ttl: 60,
  });
  await vi.waitFor(() =>
    expect(told).toEqual([
      { name: 'meet.other.example', address: '198.18.0.2' },
      { name: 'meet.school.example', address: '2001:db8:1::1' },
      { name: 'school.example', address: '198.18.0.1' },
    ]),
  );
});
