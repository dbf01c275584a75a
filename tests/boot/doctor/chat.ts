import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { operatorAddress } from '../../../local/machines/network';
import { inNamespace, type Place } from '../../../local/machines/place';
import { ran } from '../booted-cloud';

const port = 8443;

/** An alert as it arrived. */
export interface Told {
  path: string;
  body: { text: string; alerts: { host: string; check: string; state: string }[] };
}

/** A chat's webhook among the operator's programs, with a certificate that only hosts trust which are told to. */
export class Chat {
  /** What it was told, the oldest first. */
  readonly told: Told[] = [];
  readonly url = `https://${operatorAddress}:${port}/hooks/T0KEN-0123456789`;
  readonly certificate: string;
  private readonly child: ChildProcess;

  private constructor(place: Place, key: string, certificateFile: string) {
    this.certificate = readFileSync(certificateFile, 'utf8');
    const program = [process.execPath, '--import', 'tsx', join(__dirname, 'receiver.ts')];
    const [command, ...args] = inNamespace(place.gateway, [
      ...program,
      ...[operatorAddress, String(port), key, certificateFile],
    ]);
    this.child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      this.told.push(...lines.map((line) => JSON.parse(line) as Told));
    });
  }

  /** @param folder for its key and certificate */
  static async start(place: Place, folder: string): Promise<Chat> {
    const [key, certificate] = [join(folder, 'chat.key'), join(folder, 'chat.crt')];
    const made = await ran([
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-days', '2', '-subj', '/CN=chat', '-addext', `subjectAltName=IP:${operatorAddress}`],
      ...['-keyout', key, '-out', certificate],
    ]);
    if (made.code !== 0) throw new Error(made.stderr);
    return new Chat(place, key, certificate);
  }

  stop(): void {
    this.child.kill();
  }
}
