import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { operatorAddress } from '../../../local/machines/network';
import { inNamespace, placeOf } from '../../../local/machines/place';
import { App } from '../../prosody/app';
import type { School } from '../../engine/school';
import { ran, until } from '../booted-cloud';

/** The school's app where its hosts find it: by the name in the settings, with a certificate that they trust. */
export interface LessonApp {
  app: App;
  stop(): Promise<void>;
}

/** The key of the stack's own authority, which no output tells. */
async function authorityKey(school: School): Promise<string> {
  const { stdout } = await school.run('stack', 'export', '--show-secrets', '--stack', school.stack);
  const { deployment } = JSON.parse(stdout) as {
    deployment: { resources: { urn: string; outputs: { privateKeyPem: { plaintext: string } } }[] };
  };
  const { outputs } = deployment.resources.find(({ urn }) => urn.endsWith('::ca-key'))!;
  return JSON.parse(outputs.privateKeyPem.plaintext) as string;
}

/** Starts the app of a school that has been carried out; its name is `lessons` in the school's zone. */
export async function startLessonApp(school: School): Promise<LessonApp> {
  const place = placeOf(school.paths.cloud);
  const outputs = await school.outputs(true);
  const name = 'lessons.school.example';
  const file = (ending: string) => join(school.paths.root, `app.${ending}`);
  writeFileSync(file('ca.key'), await authorityKey(school), { mode: 0o600 });
  writeFileSync(file('ca.crt'), outputs['caCertificate'] as string);
  const openssl = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await ran(['openssl', ...args]);
    if (code !== 0) throw new Error(stderr);
  };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  await openssl('req', '-new', ...curve, ...subject, '-keyout', file('key'), '-out', file('csr'));
  const authority = [
    '-CA',
    file('ca.crt'),
    '-CAkey',
    file('ca.key'),
    '-days',
    '2',
    '-copy_extensions',
    'copy',
  ];
  await openssl('x509', '-req', '-in', file('csr'), ...authority, '-out', file('crt'));
  rmSync(file('ca.key'));
  const pair = { key: readFileSync(file('key'), 'utf8'), certificate: readFileSync(file('crt'), 'utf8') };
  const app = await App.start(outputs['webhookSecret'] as string, pair, file('socket'));
  const listen = `TCP-LISTEN:443,bind=${operatorAddress},fork,reuseaddr`;
  const [program, ...args] = inNamespace(place.gateway, ['socat', listen, `UNIX-CONNECT:${file('socket')}`]);
  const way = spawn(program!, args, { stdio: 'ignore' });
  await school.api('POST', '/zones/school.example/rrsets', {
    name: 'lessons',
    type: 'A',
    ttl: 60,
    records: [{ value: operatorAddress }],
  });
  await until(
    'the app can be reached',
    () => ran(inNamespace(place.gateway, ['ss', '-Hltn', 'src', `${operatorAddress}:443`])),
    ({ stdout }) => stdout !== '' && existsSync(file('socket')),
  );
  return {
    app,
    async stop() {
      way.kill();
      await app.stop();
    },
  };
}
