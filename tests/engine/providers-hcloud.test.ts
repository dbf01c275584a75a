import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FixtureStack, kinds, summary } from './fixture-stack';

interface Server {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
}

describe('the hcloud plugin', { timeout: 90_000 }, () => {
  let stack: FixtureStack;

  const servers = async (): Promise<Server[]> =>
    (await stack.call<{ servers: Server[] }>('GET', '/v1/servers')).servers;
  const server = async (): Promise<Server> => {
    const [only] = await servers();
    if (!only) throw new Error('there is no server');
    return only;
  };
  /** What was written since a request, without reads. */
  const written = async (since: number): Promise<string[]> =>
    (await stack.requests(since))
      .filter(({ method, path }) => method !== 'GET' && path.startsWith('/v1/'))
      .map(({ method, path }) => `${method} ${path.replace('/v1/', '').replace(/\d{3,}/g, 'N')}`);

  beforeAll(async () => {
    stack = await FixtureStack.start('hcloud');
  }, 60_000);
  afterAll(() => stack.close());

  describe('life of a stack', () => {
    it('a first preview knows what it can and writes nothing', async () => {
      const ran = await stack.run('preview', '--diff');
      expect(ran.text).toContain('privateAddress : "10.10.1.1"');
      expect(ran.text).toContain('publicAddress  : [unknown]');
      expect(ran.text).toMatch(/\+ 15 to create/);
      expect(ran.text).not.toMatch(/warning:|error:/);
      expect(await written(0)).toEqual([]);
    });

    it('up makes everything, keeps user data as its SHA-1, and the token in no state', async () => {
      await stack.up();
      const outputs = await stack.outputs();
      expect(outputs.userDataInState).toBe('wK9leoEi2xH7hUH5D+q3hxwsPXE=');
      expect(outputs.publicAddress).toMatch(/^198\.1[89]\./);
      const made = await server();
      expect(made).toMatchObject({ name: 'jitsi-1', status: 'running', labels: { role: 'jitsi' } });
      expect(await stack.exported()).not.toContain(stack.token);
      const unnamed = await stack.resource('unnamed');
      expect(unnamed.inputs?.name).toMatch(/^unnamed-[0-9a-f]{7}$/);
      expect(unnamed.inputs?.__defaults).toEqual(['name']);
    });

    it('then nothing changes, without a single call to the API', async () => {
      const before = await stack.mark();
      expect(await stack.plan()).toEqual([]);
      await stack.up();
      expect(await stack.requests(before)).toEqual([]);
    });

    it('a refresh finds everything as it was', async () => {
      const ran = await stack.refresh();
      expect(ran.text).toMatch(/15 unchanged/);
      expect(await stack.plan()).toEqual([]);
    });

    it('functions look up servers and server types', async () => {
      stack.configure({ lookup: 'true' });
      await stack.up();
      expect(await stack.outputs()).toMatchObject({ found: ['jitsi-1'], cores: 2 });
      stack.configure({ lookup: undefined });
    });
  });

  // As the real provider 1.41 plans the same changes.
  describe('what a change means', () => {
    it('of user data or image replaces the server and its place in the network', async () => {
      const steps = await stack.planWith({ userData: '#cloud-config\n# changed\n', image: 'debian-13' });
      expect(summary(steps)).toEqual(
        expect.arrayContaining(['replace server', 'replace attachment', 'replace mount']),
      );
      expect(kinds(steps, 'server')).toEqual({ userData: 'update-replace', image: 'update-replace' });
      // A type on the newer plugin framework: no property is named.
      expect(kinds(steps, 'attachment')).toEqual({});
    });

    it('of anything else is made in place', async () => {
      const steps = await stack.planWith({
        serverType: 'cx33',
        labels: '{"role":"jitsi","shard":"1"}',
        protected: 'true',
        placed: 'false',
        addressName: 'kept',
        port: '8443',
        domain: 'meet-2.example.org',
      });
      expect(summary(steps)).toEqual(['update address', 'update firewall', 'update rdns', 'update server']);
      expect(kinds(steps, 'server')).toEqual({
        serverType: 'update',
        'labels.shard': 'add',
        deleteProtection: 'update',
        rebuildProtection: 'update',
        placementGroupId: 'delete',
      });
      expect(kinds(steps, 'firewall')).toEqual({ rules: 'update' });
      expect(kinds(steps, 'address')).toEqual({});
      expect(kinds(steps, 'rdns')).toEqual({});
    });

    it('of the private address replaces the place in the network, told by reason only', async () => {
      const steps = await stack.planWith({ privateAddress: '10.10.1.2' });
      expect(summary(steps)).toEqual(['replace attachment']);
      expect(steps[0]?.replaceReasons).toEqual(['ip']);
      expect(kinds(steps, 'attachment')).toEqual({});
    });
  });

  describe('changing', () => {
    it('several things in place calls what the real provider calls, and leaves a server off after its type', async () => {
      stack.configure({
        serverType: 'cx33',
        port: '8443',
        domain: 'meet-2.example.org',
        labels: '{"role":"app"}',
      });
      const before = await stack.mark();
      await stack.up();
      expect((await written(before)).sort()).toEqual([
        'POST firewalls/N/actions/set_rules',
        'POST primary_ips/N/actions/change_dns_ptr',
        'POST servers/N/actions/change_type',
        'POST servers/N/actions/poweroff',
        'PUT servers/N',
      ]);
      expect(await server()).toMatchObject({ status: 'off', labels: { role: 'app' } });
      expect((await stack.resource('server')).outputs?.status).toBe('off');
      await stack.refresh();
      expect(await stack.plan()).toEqual([]);
      await stack.call('POST', `/v1/servers/${(await server()).id}/actions/poweron`);
    });

    it('user data deletes a named server first and keeps its address', async () => {
      const address = (await stack.outputs()).publicAddress;
      const { id } = await server();
      stack.configure({ userData: '#cloud-config\n# second\n' });
      const before = await stack.mark();
      await stack.up();
      const calls = await written(before);
      expect(calls.indexOf('DELETE servers/N')).toBeGreaterThanOrEqual(0);
      expect(calls.indexOf('DELETE servers/N')).toBeLessThan(calls.indexOf('POST servers'));
      expect((await server()).id).not.toBe(id);
      expect((await stack.outputs()).publicAddress).toBe(address);
      expect(await stack.plan()).toEqual([]);
    });
  });

  describe('drift', () => {
    it('is found by refresh, shown, and mended', async () => {
      const { id } = await server();
      await stack.call('PUT', `/v1/servers/${id}`, { labels: { role: 'app', sneaked: 'in' } });
      const firewall = await stack.resource('firewall');
      await stack.call('POST', `/v1/firewalls/${firewall.id}/actions/set_rules`, { rules: [] });
      const ran = await stack.refresh();
      expect(ran.text).toMatch(/~ 2 updated/);
      const steps = await stack.plan();
      expect(summary(steps)).toEqual(['update firewall', 'update server']);
      expect(kinds(steps, 'server')).toEqual({ 'labels.sneaked': 'delete' });
      await stack.up();
      expect((await server()).labels).toEqual({ role: 'app' });
    });

    it('of a server that is gone makes a new one', async () => {
      const { id } = await server();
      await stack.call('DELETE', `/v1/servers/${id}`);
      await stack.refresh();
      const steps = await stack.plan();
      expect(summary(steps)).toEqual(['create attachment', 'create mount', 'create server']);
      await stack.up();
      expect((await server()).id).not.toBe(id);
      expect(await stack.plan()).toEqual([]);
    });
  });

  describe('what is wrong', () => {
    it.each([
      ['labels', { labels: '{"role":"not a label"}' }, ['property labels', 'has a value that is not valid']],
      ['a combination', { port: '' }, ['rules[0].port', 'tcp needs a port; for example 443']],
    ])('with %s is told in the preview, at the property', async (_name, config, expected) => {
      stack.configure(config);
      const ran = await stack.failing('preview');
      for (const part of expected) expect(ran.text).toContain(part);
      stack.configure(Object.fromEntries(Object.keys(config).map((key) => [key, undefined])));
      stack.configure({ labels: '{"role":"app"}', port: '8443' });
    });

    it("with a request is told in the service's words, with its code", async () => {
      stack.configure({ serverType: 'cx11' });
      const ran = await stack.failing('up', '--yes', '--skip-preview');
      expect(ran.text).toMatch(/\((invalid_server_type|invalid_input|not_found)\)|not found/);
      stack.configure({ serverType: 'cx33' });
      await stack.up();
      await stack.call('POST', `/v1/servers/${(await server()).id}/actions/poweron`);
    });

    it('for a moment is tried again', async () => {
      await stack.call('POST', '/local/faults', {
        on: { method: 'POST', path: 'set_rules$' },
        then: { error: { status: 409, code: 'conflict', message: 'try again' } },
        times: 2,
      });
      stack.configure({ port: '8444' });
      const before = await stack.mark();
      await stack.up();
      expect((await written(before)).filter((call) => call.endsWith('set_rules')).length).toBeGreaterThan(1);
      await stack.call('DELETE', '/local/faults');
    });

    it('after a server was made keeps it in the state: the next up finishes and makes no second one', async () => {
      const { id } = await server();
      await stack.call('DELETE', `/v1/servers/${id}`);
      await stack.refresh();
      await stack.call('POST', '/local/faults', {
        on: { method: 'POST', path: '/servers$' },
        then: { actionFails: { code: 'server_error', message: 'the host caught fire' } },
      });
      const ran = await stack.failing('up', '--yes', '--skip-preview');
      expect(ran.text).toContain('the host caught fire');
      await stack.call('DELETE', '/local/faults');
      const left = await servers();
      expect((await stack.resource('server')).id).toBe(String(left[0]?.id));
      await stack.up();
      expect((await servers()).map(({ name }) => name)).toEqual(['jitsi-1']);
      expect(await stack.plan()).toEqual([]);
    });

    it('with the environment is refused before a call is made', async () => {
      const outcome = async (environment: Record<string, string>): Promise<string> => {
        Object.assign(stack.extra, environment);
        const ran = await stack.failing('refresh', '--yes', '--skip-preview');
        for (const key of Object.keys(environment)) delete stack.extra[key];
        return ran.text;
      };
      expect(await outcome({ HCLOUD_ENDPOINT: 'https://cloud.example.org/v1' })).toContain(
        'is not on this machine',
      );
      expect(await outcome({ HCLOUD_TOKEN: 'short' })).toContain(
        "has 5 characters: the service's tokens have 64",
      );
    });
  });

  it('imports what was made elsewhere, with nothing to change afterwards', async () => {
    const { network } = await stack.call<{ network: { id: number } }>('POST', '/v1/networks', {
      name: 'older',
      ip_range: '10.99.0.0/16',
      labels: { owner: 'school' },
    });
    await stack.run(
      'import hcloud:index/network:Network',
      ...['older', String(network.id), '--yes', '--skip-preview', '--protect=false', '--generate-code=false'],
    );
    const imported = await stack.resource('older');
    expect(imported.inputs).toMatchObject({
      ipRange: '10.99.0.0/16',
      name: 'older',
      labels: { owner: 'school' },
    });
    // The program does not declare it: the plan is to delete it, and nothing else.
    expect(summary(await stack.plan())).toEqual(['delete older']);
  });

  it('a cancelled up leaves no process of the plugins behind', async () => {
    await stack.call('POST', '/local/faults', {
      on: { path: 'set_rules$' },
      then: { actionTakesMs: 60_000 },
    });
    stack.configure({ port: '8445' });
    const ran = stack.interruptible('up', '--yes', '--skip-preview');
    await stack.seen(({ path }) => path.endsWith('set_rules'));
    ran.interrupt();
    expect((await ran.done).code).not.toBe(0);
    const processes = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout;
    expect(processes).not.toContain(`${stack.folder}/home/plugins`);
    await stack.call('DELETE', '/local/faults');
    await stack.run('refresh', '--yes', '--skip-preview', '--clear-pending-creates');
    await stack.up();
  });

  it('destroy leaves nothing', async () => {
    await stack.destroy();
    for (const kind of [
      'servers',
      'networks',
      'firewalls',
      'primary_ips',
      'ssh_keys',
      'placement_groups',
      'volumes',
      'zones',
    ]) {
      const answer = await stack.call<Record<string, unknown[]>>('GET', `/v1/${kind}`);
      expect(answer[kind], kind).toEqual([]);
    }
  });
});
