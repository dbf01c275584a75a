import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writtenFiles } from '../../../local/machines/inside';
import { until } from '../booted-cloud';
import type { LoneRecorder } from './lone-recorder';

const program = '/srv/session.py';

/** What came of a session. */
export interface Finished<Facts> {
  /** The recording, as a file of this machine. */
  video: string;
  /** What the page said of itself. */
  facts: Facts;
}

/** A recording by one instance of a page's picture and sound: `session.py` in Jibri's place. */
export class Session {
  private constructor(
    private readonly recorder: LoneRecorder,
    readonly instance: number,
  ) {}

  /**
   * Begins to record, and waits until ffmpeg does.
   *
   * @param address of the page
   * @param seconds how long
   * @throws when it does not begin within two minutes, with what its unit said
   */
  static async begin(
    recorder: LoneRecorder,
    instance: number,
    address: string,
    seconds: number,
  ): Promise<Session> {
    const session = new Session(recorder, instance);
    const { host } = recorder;
    await recorder.write(program, readFileSync(join(__dirname, 'session.py'), 'utf8'), '0755');
    await recorder.write(
      `/etc/systemd/system/${session.unit}.d/session.conf`,
      `[Service]\nExecStart=\nExecStart=${program} ${instance} "${address.replaceAll('%', '%%')}" ${seconds}\n`,
    );
    // It would be taken for the new one's.
    await host.run(
      `rm -rf ${session.folder}; systemctl daemon-reload && systemctl restart ${session.unit} && systemctl --quiet is-active ${session.unit}`,
    );
    await session.has('recording', 120);
    return session;
  }

  get unit(): string {
    return `platform-jibri@${this.instance}.service`;
  }

  private get folder(): string {
    return `/var/lib/jibri/${this.instance}/session`;
  }

  private async has(file: string, seconds: number): Promise<void> {
    const { host } = this.recorder;
    try {
      const there = () => host.attempt(`test -e ${this.folder}/${file}`);
      await until(`instance ${this.instance}: ${file}`, there, ({ code }) => code === 0, seconds);
    } catch (error) {
      const said = await host.attempt(`journalctl -u ${this.unit} -o cat | tail -n 20`);
      throw new Error(`${String(error)}\n${said.stdout}`, { cause: error });
    }
  }

  /** Waits for the end of the recording. @throws when there is none within two minutes more than it takes */
  async finished<Facts>(seconds: number): Promise<Finished<Facts>> {
    await this.has('facts.json', seconds + 120);
    const folder = join(writtenFiles(this.recorder.host.place, this.recorder.host.id), this.folder);
    return {
      video: join(folder, 'video.mp4'),
      facts: JSON.parse(readFileSync(join(folder, 'facts.json'), 'utf8')) as Facts,
    };
  }

  /** Gives the instance back to Jibri. */
  async end(): Promise<void> {
    await this.recorder.host.run(
      `rm -rf /etc/systemd/system/${this.unit}.d; systemctl daemon-reload && systemctl restart ${this.unit}`,
    );
  }
}
