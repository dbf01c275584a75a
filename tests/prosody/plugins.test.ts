import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { rolePlans } from '../host/role-values';

const project = join(__dirname, '..', '..');
const standIns = join('local', 'stand-ins', 'prosody-plugins');

describe.each(['lua-plugins', standIns])('%s', (folder) => {
  it('has nothing that luacheck minds', () => {
    const { status, stdout } = spawnSync('luacheck', ['--no-color', '.'], {
      cwd: join(project, folder),
      encoding: 'utf8',
    });
    expect({ status, stdout }).toMatchObject({ status: 0 });
  });
});

it('every stand-in says in its first line that it is one', () => {
  const files = readdirSync(join(project, standIns), { recursive: true, encoding: 'utf8' });
  const silent = files
    .filter((file) => file.endsWith('.lua'))
    .filter((file) => !/^-- Stand-in for tests: /.test(readFileSync(join(project, standIns, file), 'utf8')));
  expect(silent).toEqual([]);
});

it('Jitsi’s own module for roles by token is brought by its package and enabled nowhere', () => {
  expect(readdirSync(join(project, standIns))).toContain('mod_token_affiliation.lua');
  for (const [name, plan] of Object.entries(rolePlans())) {
    const lua = Object.entries(plan.files).filter(([path]) => /\.cfg\.lua$/.test(path));
    for (const [path, { content }] of lua)
      expect(content, `${name}: ${path}`).not.toContain('token_affiliation');
    if (name.startsWith('jitsi')) {
      expect(lua.map(([, { content }]) => content).join('')).toMatch(
        /"token_moderation";[^]*"token_moderation";/,
      );
    }
  }
});

it('every option of the project’s modules is in their README', () => {
  const folder = join(project, 'lua-plugins');
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.lua'))) {
    const text = readFileSync(join(folder, file), 'utf8');
    for (const [, option = ''] of text.matchAll(/get_option\w*\("((?:token|log|lesson)_[a-z_]+)"/g)) {
      expect(readme, `${file}: ${option}`).toContain(`\`${option}\``);
    }
  }
});
