import type { HostPlan } from '../../cloud-init/host-plan';
import { bridgeHostPlan } from '../../cloud-init/roles';

const jitsi = /jitsi|jvb/;

/**
 * The bridge's host plan with what Debian alone can carry: no package, user, unit or file of Jitsi's. All that every
 * host has is in it, and a service of our own on the private side.
 */
export function reducedPlan(adminCidrs: string[], adminSshKeys: string[]): HostPlan {
  const source = { uri: 'https://packages.example.org', suite: 'stable/', components: '', key: '' };
  const plan = bridgeHostPlan({
    adminCidrs,
    adminSshKeys,
    networkCidr: '10.10.0.0/16',
    packageSources: { prosody: source, jitsi: source },
    shard: 1,
    domain: 'meet.school.example',
    jitsiAddress: '10.10.1.1',
    relays: false,
  });
  const files = Object.entries(plan.files).filter(
    ([path, file]) => !jitsi.test(path + file.owner + file.group),
  );
  const directories = Object.entries(plan.directories).filter(
    ([path, { owner, group }]) => !jitsi.test(path + owner + group),
  );
  return {
    ...plan,
    aptSources: [],
    packages: plan.packages.filter((name) => !jitsi.test(name)),
    debconf: [],
    users: {},
    files: Object.fromEntries(files),
    directories: Object.fromEntries(directories),
    units: { ...plan.units, enabled: plan.units.enabled.filter((name) => !jitsi.test(name)) },
    services: plan.services.filter(({ unit }) => !jitsi.test(unit)),
    secrets: plan.secrets.filter((name) => !jitsi.test(name)),
    ready: 'systemctl is-active platform-bridge-status.service',
  };
}
