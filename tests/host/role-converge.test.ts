import { afterEach, describe, expect, it } from 'vitest';
import type { HostPlan } from '../../cloud-init/host-plan';
import { rolePlans } from './role-values';
import { ScratchHost } from './scratch-host';

/**
 * Whole role plans, carried out by converge in a scratch folder. The services' own checks need the services and
 * are left out; packages, units and users are stand-ins, so everything is root's.
 */
const inScratch = (plan: HostPlan): HostPlan => {
  const mine = { owner: 'root', group: 'root' };
  const owned = <T>(table: Record<string, T>) =>
    Object.fromEntries(Object.entries(table).map(([path, each]) => [path, { ...each, ...mine }]));
  return {
    ...plan,
    directories: owned(plan.directories),
    // The tests say how many lessons run.
    files: Object.fromEntries(
      Object.entries(owned(plan.files)).filter(([path]) => !path.endsWith('/platform-lessons')),
    ),
    services: plan.services.map(
      ({ check: _check, verify: _verify, reloadCommand: _reload, ...service }) => service,
    ),
  };
};

const hosts: ScratchHost[] = [];
afterEach(() => hosts.splice(0).forEach((host) => host.remove()));

const secretsOf = (plan: HostPlan, changed: Record<string, string> = {}): Record<string, string> => ({
  ...Object.fromEntries(plan.secrets.map((name) => [name, `${name}-0123456789`])),
  ...changed,
});

function converged(plan: HostPlan): ScratchHost {
  const host = new ScratchHost();
  hosts.push(host);
  const role = plan.role === 'jitsi' ? 'jitsi-1' : `${plan.role}-1`;
  host.write(
    '/etc/platform/host.json',
    JSON.stringify({ name: role, role: plan.role, privateAddress: '10.10.1.1', publicAddress: '198.18.0.5' }),
  );
  host.secrets(secretsOf(plan));
  host.plan(inScratch(plan));
  host.lessons(0);
  const { code, output } = host.converge();
  expect(code, output).toBe(0);
  for (const secret of Object.values(secretsOf(plan))) expect(output).not.toContain(secret);
  return host;
}

const actions = (host: ScratchHost) => host.status().actions.map(({ action, unit }) => `${action} ${unit}`);

describe.each(['jitsi, all options', 'recorder', 'bridge'])('%s', (name) => {
  const plan = rolePlans()[name]!;
  it('converges, has every file with its mode, and changes nothing the second time', () => {
    const host = converged(plan);
    for (const [path, file] of Object.entries(plan.files)) {
      if (path.endsWith('/platform-lessons')) continue;
      expect(host.mode(path), path).toBe(file.mode);
      expect(host.read(path), path).not.toMatch(/\{\{(host|secret)\.[a-zA-Z-]+\}\}/);
    }
    expect(host.converge().code).toBe(0);
    expect(host.status()).toMatchObject({ state: 'converged', actions: [], failures: [] });
  }, 60_000);
});

describe('the Jitsi host', () => {
  const plan = rolePlans().jitsi!;
  const changed = (...paths: string[]): HostPlan => {
    const more = paths.map((path) => [
      path,
      { ...plan.files[path]!, content: `${plan.files[path]!.content}\n` },
    ]);
    return inScratch({
      ...plan,
      files: { ...plan.files, ...(Object.fromEntries(more) as HostPlan['files']) },
    });
  };
  const apply = (host: ScratchHost, next: HostPlan): string[] => {
    host.plan(next);
    expect(host.converge().code).toBe(0);
    return actions(host);
  };
  const rotate = (host: ScratchHost, values: Record<string, string>): string[] => {
    // The command itself starts converge.
    expect(host.secrets(secretsOf(plan, values)).code).toBe(0);
    expect(host.status().state).toBe('converged');
    return actions(host);
  };

  it('carries each file and secret to what reads it, reloads what can be reloaded, in order', () => {
    const host = converged(plan);
    const files = [
      '/etc/nginx/sites-available/meet.example.org.conf',
      '/etc/prosody/conf.avail/meet.example.org.cfg.lua',
      '/etc/jitsi/jicofo/jicofo.conf',
      '/etc/jitsi/videobridge/jvb.conf',
      '/etc/turnserver.conf',
      '/etc/nftables.d/50-jitsi.nft',
      '/usr/local/sbin/platform-doctor',
    ];
    expect(apply(host, changed(...files))).toEqual([
      'reload nftables.service',
      'reload nginx.service',
      'restart prosody.service',
      'restart coturn.service',
      'restart jicofo.service',
      'restart jitsi-videobridge2.service',
    ]);
    expect(apply(host, changed(...files, '/etc/jitsi/meet/meet.example.org-config.js'))).toEqual([
      'reload nginx.service',
    ]);
    expect(rotate(host, { 'jwt-secret': 'another-0123456789' })).toEqual(['reload prosody.service']);
    expect(
      rotate(host, {
        'jwt-secret': 'another-0123456789',
        'xmpp-certificate': 'another-0123456789',
        'fallback-certificate': 'another-0123456789',
        'xmpp-focus-password': 'another-0123456789',
        'turn-secret': 'another-0123456789',
      }),
    ).toEqual([
      'restart platform-certificate.service',
      'reload prosody.service',
      'restart platform-accounts.service',
      'restart coturn.service',
      'restart jicofo.service',
    ]);
  }, 60_000);

  it('while a lesson runs: what ends it waits, what can be reloaded does not', () => {
    const host = converged(plan);
    host.lessons(1);
    expect(apply(host, changed('/etc/prosody/conf.avail/meet.example.org.cfg.lua'))).toEqual([]);
    expect(host.status().pending).toMatchObject([{ unit: 'prosody.service' }]);
    expect(rotate(host, { 'jwt-secret': 'another-0123456789' })).toEqual(['reload prosody.service']);
  }, 60_000);

  it('before the secrets have come: packages, and what lies there before them', () => {
    const host = new ScratchHost();
    hosts.push(host);
    host.write(
      '/etc/platform/host.json',
      JSON.stringify({
        name: 'jitsi-1',
        role: 'jitsi',
        privateAddress: '10.10.1.1',
        publicAddress: '198.18.0.5',
      }),
    );
    host.plan(inScratch(plan));
    expect(host.converge().code).toBe(3);
    expect(host.has('/etc/prosody/conf.avail/meet.example.org.cfg.lua')).toBe(true);
    expect(host.has('/etc/turnserver.conf')).toBe(false);
    expect(host.status()).toMatchObject({ state: 'waiting', failures: [] });
    expect(host.status().installed).toContain('jitsi-meet-prosody');
    // Without a token secret a start would only be a broken one.
    expect(actions(host)).not.toContain('restart prosody.service');
  });
});

describe('a recorder', () => {
  it('restarts only the instance whose settings changed, and only when it records nothing', () => {
    const plan = rolePlans().recorder!;
    const host = converged(plan);
    host.lessons(1);
    const path = '/etc/jitsi/jibri/instance-2/jibri.conf';
    const file = plan.files[path]!;
    host.plan(
      inScratch({ ...plan, files: { ...plan.files, [path]: { ...file, content: `${file.content}\n` } } }),
    );
    expect(host.converge().code).toBe(0);
    expect(actions(host)).toEqual([]);
    expect(host.status().pending).toMatchObject([{ unit: 'platform-jibri@2.service' }]);
    host.lessons(0);
    expect(host.converge('--nightly').code).toBe(0);
    expect(actions(host)).toEqual(['restart platform-jibri@2.service']);
  });
});
