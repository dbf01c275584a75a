import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FixtureStack, summary } from './fixture-stack';

interface Key {
  pem: string;
  pkcs8: string;
  openssh: string;
  publicOpenssh: string;
  publicPem: string;
  sha256: string;
  md5: string;
}

interface Outputs {
  certificates: Record<string, string>;
  caCertificate: string;
  keys: Record<string, Key>;
}

describe('keys and certificates', { timeout: 60_000 }, () => {
  let stack: FixtureStack;
  let outputs: Outputs;

  function tool(command: string, ...args: string[]): string {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: stack.folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  function file(name: string, content: string): string {
    writeFileSync(path.join(stack.folder, name), content);
    chmodSync(path.join(stack.folder, name), 0o600);
    return name;
  }

  beforeAll(async () => {
    stack = await FixtureStack.start('tls');
  }, 60_000);
  afterAll(() => stack.close());

  it('are made, with private keys in no output and no state', async () => {
    const ran = await stack.up();
    outputs = (await stack.outputs()) as unknown as Outputs;
    const state = await stack.exported();
    for (const key of Object.values(outputs.keys)) {
      for (const secret of [key.pem, key.pkcs8, key.openssh]) {
        const line = secret.split('\n')[1] ?? '';
        expect(line.length).toBeGreaterThan(40);
        expect(ran.text).not.toContain(line);
        expect(state).not.toContain(line);
      }
    }
  });

  it.each(['ed25519', 'rsa', 'ecdsa'])('openssl and ssh-keygen take the %s key', (name) => {
    const key = outputs.keys[name] as Key;
    for (const form of ['pem', 'pkcs8'] as const) {
      expect(tool('openssl', 'pkey', '-in', file(`${name}.${form}`, key[form]), '-pubout')).toBe(
        key.publicPem,
      );
    }
    expect(key.publicOpenssh.endsWith('\n')).toBe(true);
    const derived = tool('ssh-keygen', '-y', '-f', file(`${name}.openssh`, key.openssh));
    expect(derived.trim()).toBe(key.publicOpenssh.trim());
    file(`${name}.pub`, key.publicOpenssh);
    expect(tool('ssh-keygen', '-lf', `${name}.pub`)).toContain(` ${key.sha256} `);
    expect(tool('ssh-keygen', '-E', 'md5', '-lf', `${name}.pub`)).toContain(`MD5:${key.md5} `);
  });

  it.each(['ed25519', 'rsa'])('openssl verifies the certificate for the %s key', (name) => {
    file('ca.crt', outputs.caCertificate);
    file(`${name}.crt`, outputs.certificates[name] ?? '');
    for (const host of ['meet.example.org', 'auth.meet.example.org']) {
      tool(
        'openssl',
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-verify_hostname',
        host,
        '-CAfile',
        'ca.crt',
        `${name}.crt`,
      );
    }
    tool('openssl', 'verify', '-verify_ip', 'fd00::1', '-CAfile', 'ca.crt', `${name}.crt`);
    expect(() =>
      tool('openssl', 'verify', '-verify_hostname', 'evil.example.org', '-CAfile', 'ca.crt', `${name}.crt`),
    ).toThrow();
    expect(() =>
      tool('openssl', 'verify', '-purpose', 'sslclient', '-CAfile', 'ca.crt', `${name}.crt`),
    ).toThrow();
    const text = tool('openssl', 'x509', '-in', `${name}.crt`, '-noout', '-text');
    expect(text).toContain('CA:FALSE');
    expect(text).toContain('Digital Signature, Key Encipherment');
  });

  it('the CA signs certificates and nothing below it does', () => {
    const text = tool('openssl', 'x509', '-in', 'ca.crt', '-noout', '-text');
    expect(text).toContain('CA:TRUE, pathlen:0');
    expect(text).toContain('Certificate Sign, CRL Sign');
    expect(text).toContain('C = DE, O = Example School, CN = Lesson Platform CA');
  });

  it('stay as they are', async () => {
    expect(await stack.plan()).toEqual([]);
    await stack.refresh();
    expect(await stack.plan()).toEqual([]);
  });

  it('are renewed early, and only they', async () => {
    // Within its last 366 days is every certificate that is good for 365.
    const steps = await stack.planWith({ earlyRenewalHours: String(24 * 366) });
    expect(summary(steps)).toEqual(
      expect.arrayContaining(['replace ed25519-certificate', 'replace rsa-certificate']),
    );
    expect(summary(steps).join()).not.toMatch(/PrivateKey|replace (ca|rsa|ed25519|ecdsa)(,|$)/);
  });

  it('keep their keys and change in place when only the time of renewal changes', async () => {
    const steps = await stack.planWith({ earlyRenewalHours: '48' });
    expect(summary(steps)).toEqual(['update ed25519-certificate', 'update rsa-certificate']);
  });

  it('refuse an unknown use at its place in the list', async () => {
    stack.configure({ uses: '["server_auth","serve_auth"]' });
    const ran = await stack.failing('preview');
    expect(ran.text).toContain('allowedUses[1]');
    expect(ran.text).toContain('unknown use "serve_auth"');
    stack.configure({ uses: undefined });
  });
});
