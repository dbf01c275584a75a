import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { packageRepositoryUri } from '../../local/machines/network';
import { rootFileSystem } from '../../local/machines/root-file-system';
import { booted, checkout, inside, ran, removeCheckouts, scratchFolder } from './booted-cloud';

beforeAll(async () => {
  for (const image of ['debian-12', 'debian-13']) await rootFileSystem(image, () => undefined);
}, 600_000);
afterEach(removeCheckouts, 60_000);

test('Debian 12 boots as well, with its keys and packages', async () => {
  const cloud = await checkout().start();
  const { publicKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const field = (data: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, data.length]), data]);
  const text = Buffer.concat([field(Buffer.from('ssh-ed25519')), field(raw)]).toString('base64');
  const { ssh_key: key } = await cloud.api<{ ssh_key: { id: number } }>('POST', '/v1/ssh_keys', {
    name: 'admin',
    public_key: `ssh-ed25519 ${text}`,
  });
  const { id } = await cloud.server({
    name: 'app-1',
    image: 'debian-12',
    ssh_keys: [key.id],
    user_data: '#cloud-config\npackages: [tree]\n',
  });
  await booted(cloud.place, id);
  const check =
    'cat /root/.ssh/authorized_keys; . /etc/os-release; echo "$VERSION_ID"; tree --version; ip -6 route';
  const { stdout } = await inside(cloud.place, id, check);
  expect(stdout).toContain(text);
  expect(stdout).toMatch(/^12$/m);
  expect(stdout).toMatch(/^tree v/m);
  expect(stdout).toMatch(/^default via fe80::1/m);
}, 120_000);

test('an image that does not boot here fails the action with the reason', async () => {
  const cloud = await checkout().start();
  await expect(cloud.server({ name: 'app-1', image: 'ubuntu-24.04' })).rejects.toThrow(
    /debian-12, debian-13/,
  );
});

test('a repository of our own is there for hosts, signed', async () => {
  const repository = scratchFolder();
  const control =
    'Package: school-tool\nVersion: 1.0\nArchitecture: all\nMaintainer: School <it@school.example>\n';
  mkdirSync(join(repository, 'tool/DEBIAN'), { recursive: true, mode: 0o755 });
  writeFileSync(join(repository, 'tool/DEBIAN/control'), `${control}Description: a tool\n`);
  const keys = join(repository, 'keys');
  mkdirSync(keys, { mode: 0o700 });
  const script = `
    chmod -R go-w tool && dpkg-deb --root-owner-group --build tool school-tool.deb
    apt-ftparchive packages . >Packages && apt-ftparchive release . >Release
    gpg --batch --passphrase '' --quick-gen-key school@school.example ed25519 sign never
    gpg --batch --clearsign --output InRelease Release && gpg --armor --export >key.asc`;
  const made = await ran(['sh', '-ec', `cd "$0"; export GNUPGHOME="$1"; ${script}`, repository, keys]);
  expect(made.code, made.stderr).toBe(0);

  const cloud = await checkout().start(['--packages', repository]);
  const { id } = await cloud.server({ name: 'app-1' });
  await booted(cloud.place, id);
  const list = `deb [signed-by=/etc/apt/keyrings/school.asc] ${packageRepositoryUri} ./`;
  const { code, stdout, stderr } = await inside(
    cloud.place,
    id,
    `mkdir -p /etc/apt/keyrings && curl -sf -o /etc/apt/keyrings/school.asc ${packageRepositoryUri}/key.asc &&
    echo '${list}' >/etc/apt/sources.list.d/school.list &&
    apt-get update && apt-get install -y school-tool && dpkg-query -W school-tool`,
  );
  expect(code, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/school-tool\s+1\.0/);
  expect(stderr).not.toMatch(/not signed|GPG error/);
}, 120_000);
