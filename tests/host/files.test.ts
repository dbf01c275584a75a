import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { userData } from '../../cloud-init/user-data';
import { access, extremeAccess, hostValues, plans } from '../unit/cloud-init-values';
import { missing } from './scratch-host';

const scratch = mkdtempSync(join(tmpdir(), 'host-files-'));
afterAll(() => rmSync(scratch, { recursive: true }));

function run(command: string, ...args: string[]): { code: number | null; output: string } {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: 60_000 });
  return { code: done.status, output: `${done.error?.message ?? ''}${done.stdout}${done.stderr}` };
}

interface Script {
  name: string;
  content: string;
  language: 'sh' | 'python';
}

/** Every script of every role as it lies on a host, each version once. */
function scripts(): Script[] {
  const found = new Map<string, Script>();
  for (const [role, make] of Object.entries(plans)) {
    if (role.includes('extreme')) continue;
    for (const [path, file] of Object.entries(make().files)) {
      const first = file.content.split('\n', 1)[0]!;
      const python = path.endsWith('.py') || /^#!.*python/.test(first);
      if (!python && !path.endsWith('.sh') && !/^#!.*\b(ba|da)?sh\b/.test(first)) continue;
      const content = file.content.replaceAll(/\{\{host\.\w+\}\}/g, '10.10.1.1');
      found.set(`${path} ${content}`, {
        name: `${role}: ${path}`,
        content,
        language: python ? 'python' : 'sh',
      });
    }
  }
  return [...found.values()];
}

/** Skips a test by name with the reason when a program is missing. */
function needing(program: string) {
  const reason = missing(program);
  return (name: string, test: () => void) =>
    reason ? it.skip(`${name}: ${reason}`, test) : it(name, test, 60_000);
}

describe('user data', () => {
  for (const [name, make] of Object.entries(plans)) {
    needing('cloud-init')(`of ${name} is valid by cloud-init's own schema`, () => {
      const plan = make();
      const file = join(scratch, 'user-data');
      writeFileSync(
        file,
        userData(plan, hostValues(plan.role), name.includes('extreme') ? extremeAccess : access),
      );
      const { code, output } = run('cloud-init', 'schema', '--config-file', file);
      expect(code, output).toBe(0);
      expect(output).not.toMatch(/deprecated|error/i);
    });
  }

  needing('cloud-init')('with a mistake is refused by the same schema', () => {
    const file = join(scratch, 'user-data');
    writeFileSync(file, '#cloud-config\nwrite_files: yes\n');
    expect(run('cloud-init', 'schema', '--config-file', file).code).not.toBe(0);
  });

  needing('cloud-init')('closes the metadata service by a line that sh and nft understand', () => {
    const text = userData(plans.bridge!(), hostValues('bridge'), access);
    const line = JSON.parse(/^bootcmd:\n {2}- (".*")$/m.exec(text)![1]!) as string;
    expect(run('sh', '-n', '-c', line)).toMatchObject({ code: 0 });
    const rules = /^nft '([^']+)'/.exec(line)![1]!;
    if (missing('nft') === null) expect(run('nft', '-c', rules)).toMatchObject({ code: 0, output: '' });
  });
});

describe('scripts', () => {
  it('are found in both languages', () => {
    expect(new Set(scripts().map((script) => script.language))).toEqual(new Set(['sh', 'python']));
  });

  needing('shellcheck')('for sh are clean under shellcheck', () => {
    const shell = scripts().filter((script) => script.language === 'sh');
    const folder = mkdtempSync(join(scratch, 'sh-'));
    const files = shell.map(({ name, content }) => {
      const file = join(folder, name.replaceAll(/[/ ]/g, '_'));
      writeFileSync(file, content);
      return file;
    });
    // A value that is filled in makes a condition constant (SC2050, SC2078) or a list of one (SC2043).
    const { code, output } = run('shellcheck', '--exclude=SC2043,SC2050,SC2078', ...files);
    expect(code, output).toBe(0);
  });

  it('in Python compile', () => {
    const python = scripts().filter((script) => script.language === 'python');
    const compile =
      'import json, sys\nfor s in json.load(sys.stdin): compile(s["content"], s["name"], "exec")';
    const done = spawnSync('/usr/bin/python3', ['-c', compile], {
      input: JSON.stringify(python),
      encoding: 'utf8',
    });
    expect(done.status, done.stderr).toBe(0);
  });
});

describe('files that every host has', () => {
  for (const [name, make] of Object.entries(plans)) {
    needing('nft')(`make a firewall for ${name} that nft accepts`, () => {
      const folder = mkdtempSync(join(scratch, 'nft-'));
      const files = make().files;
      for (const [path, file] of Object.entries(files)) {
        if (!path.startsWith('/etc/nftables')) continue;
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        const content = file.content
          .replaceAll('/etc/nftables.d/', `${folder}/etc/nftables.d/`)
          .replaceAll(/\{\{host\.(private|public)Address\}\}/g, '10.10.1.1');
        writeFileSync(join(folder, path), content);
      }
      const { code, output } = run('nft', '-c', '-f', join(folder, 'etc/nftables.conf'));
      expect(code, output).toBe(0);
    });
  }

  needing('sshd')('harden sshd in words that it knows', () => {
    const key = join(scratch, 'host-key');
    if (run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key).code !== 0) return;
    const file = join(scratch, 'sshd_config');
    writeFileSync(
      file,
      `HostKey ${key}\n${plans.bridge!().files['/etc/ssh/sshd_config.d/10-platform.conf']!.content}`,
    );
    // sshd wants the folder that its unit makes.
    if (process.getuid?.() === 0 && !existsSync('/run/sshd')) mkdirSync('/run/sshd', { mode: 0o755 });
    const { code, output } = run('/usr/sbin/sshd', '-T', '-f', file);
    expect(code, output).toBe(0);
    expect(output).toContain('passwordauthentication no');
    expect(output).toContain('permitrootlogin without-password');
  });

  needing('systemd-analyze')('bring units that systemd accepts', () => {
    const folder = mkdtempSync(join(scratch, 'units-'));
    const units: string[] = [];
    for (const make of Object.values(plans)) {
      for (const [path, file] of Object.entries(make().files)) {
        const found = /^\/etc\/systemd\/system\/(platform-[^/]+\.(service|timer))$/.exec(path);
        if (!found) continue;
        writeFileSync(join(folder, found[1]!), file.content.replaceAll(/\{\{host\.\w+\}\}/g, '10.10.1.1'));
        units.push(join(folder, found[1]!));
      }
    }
    const { output } = run('systemd-analyze', 'verify', '--man=no', ...new Set(units));
    // Programs of the host are not on this machine; all other complaints count.
    const complaints = output
      .split('\n')
      .filter((line) => line && !/is not executable|No such file|not found/.test(line));
    expect(complaints).toEqual([]);
  });
});
