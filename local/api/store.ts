import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { State } from './state';

/**
 * Keeps the cloud's state in one JSON file (mode 0600: user data may hold a host key) that is whole at any
 * moment: each write goes to a file beside it, is synced, and takes its place by a rename. Changes that come
 * in while a write runs share the next one.
 */
export class Store {
  private changes = 0;
  private written = 0;
  private writing: Promise<void> | undefined;
  /** Told after each write. */
  onWritten: (state: State) => void = () => undefined;

  private constructor(
    private readonly file: string,
    readonly state: State,
  ) {}

  /**
   * Opens the file, or begins with an empty cloud when there is none.
   *
   * @throws when the file is there but is not the state of a local cloud.
   */
  static async open(file: string): Promise<Store> {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Store(file, new State());
      throw error;
    }
    try {
      return new Store(file, new State(JSON.parse(text) as ConstructorParameters<typeof State>[0]));
    } catch (error) {
      throw new Error(`${file} is not the state of a local cloud; move it away to begin with an empty one`, {
        cause: error,
      });
    }
  }

  /** Says that the state has changed. */
  touch(): void {
    this.changes++;
  }

  /** Resolves when everything that has changed up to now is on the disk. */
  async durable(): Promise<void> {
    const wanted = this.changes;
    while (this.written < wanted) {
      this.writing ??= this.write().finally(() => (this.writing = undefined));
      await this.writing;
    }
  }

  private async write(): Promise<void> {
    const version = this.changes;
    const next = `${this.file}.next`;
    const handle = await open(next, 'w', 0o600);
    try {
      await handle.writeFile(JSON.stringify(this.state));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(next, this.file);
    await syncDirectory(dirname(this.file));
    this.written = version;
    this.onWritten(this.state);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory, and needs no sync of one.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
