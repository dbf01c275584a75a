import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { domain, type LoneRecorder } from './lone-recorder';

/** Another site, which recorders have no business with. */
export const otherSite = 'elsewhere.example';

export interface Certificates {
  /** Certificate of the authority, PEM. */
  authority: string;
  /** Certificate and key of the lesson's page, PEM. */
  certificate: string;
  key: string;
}

/** Makes an authority and, by it, a certificate of the lesson's site and of another one. */
export function makeCertificates(folder: string): Certificates {
  const file = (name: string) => join(folder, name);
  const request = (name: string, ...more: string[]) => {
    const { status, stderr } = spawnSync(
      'openssl',
      [
        ...[
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-days',
          '2',
        ],
        ...['-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), ...more],
      ],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(stderr);
  };
  request('authority', '-addext', 'keyUsage=critical,keyCertSign');
  request(
    'site',
    ...['-CA', file('authority.crt'), '-CAkey', file('authority.key')],
    ...['-addext', 'basicConstraints=critical,CA:FALSE'],
    ...['-addext', `subjectAltName=DNS:${domain},DNS:${otherSite}`],
  );
  const read = (name: string) => readFileSync(file(name), 'utf8');
  return { authority: read('authority.crt'), certificate: read('site.crt'), key: read('site.key') };
}

/** Serves the pages beside this file on the recorder's own loopback, under the names of both sites. */
export async function servePages(recorder: LoneRecorder, { certificate, key }: Certificates): Promise<void> {
  const { host } = recorder;
  const local = (name: string) => readFileSync(join(__dirname, name), 'utf8');
  await host.run(`printf '127.0.0.1 ${domain} ${otherSite}\\n' >>/etc/hosts`);
  await recorder.write('/srv/lesson.crt', certificate);
  await recorder.write('/srv/lesson.key', key, '0600');
  for (const page of ['lesson.html', 'nine.html', 'inner.html'])
    await recorder.write(`/srv/pages/${page}`, local(`pages/${page}`));
  await recorder.write('/srv/page_server.py', local('page_server.py'), '0755');
  await host.run(
    'systemd-run --quiet --unit=pages /srv/page_server.py /srv/pages /srv/lesson.crt /srv/lesson.key',
  );
}
