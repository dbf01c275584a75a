import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { installPlugins, installedPlugins, standInPlugins } from '../../local/providers/install';
import { pluginVersion } from '../../local/providers/plugin-version';

let home: string;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'lesson-platform home '));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const pluginFile = (name: string): string =>
  path.join(home, 'plugins', `resource-${name}-v${pluginVersion(name)}`, `pulumi-resource-${name}`);

it('a new home gets every stand-in, at the version of the installed package', () => {
  expect(installedPlugins(home)).toEqual([]);
  installPlugins(home);
  expect(installedPlugins(home)).toEqual(
    standInPlugins.map((name) => ({ name, version: pluginVersion(name), kind: 'stand-in' })),
  );
  expect(readdirSync(path.join(home, 'plugins'))).toContain(`language-nodejs-v${pluginVersion('pulumi')}`);
});

it('a real plugin that is there is never touched', () => {
  mkdirSync(path.dirname(pluginFile('hcloud')), { recursive: true });
  writeFileSync(pluginFile('hcloud'), 'the real one');
  installPlugins(home);
  expect(readFileSync(pluginFile('hcloud'), 'utf8')).toBe('the real one');
  expect(installedPlugins(home).find(({ name }) => name === 'hcloud')?.kind).toBe('real');
  expect(installedPlugins(home).find(({ name }) => name === 'tls')?.kind).toBe('stand-in');
});

it('a second run writes nothing', () => {
  installPlugins(home);
  const before = statSync(pluginFile('tls')).mtimeMs;
  installPlugins(home);
  expect(statSync(pluginFile('tls')).mtimeMs).toBe(before);
});

it.each(standInPlugins)('%s starts, says its port, and ends with its engine, whatever the path', (name) => {
  installPlugins(home);
  // Its standard input ends at once, as when the engine goes.
  const { status, stdout, stderr } = spawnSync(pluginFile(name), ['127.0.0.1:1'], {
    input: '',
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^\d+\n$/);
});
