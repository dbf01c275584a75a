import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from '../api/machine-driver';
import { endCgroup, makeCgroup, processesIn } from './cgroup';
import { machineCgroup } from './inside';
import { machineNamespace, type Place } from './place';
import { rootFileSystem } from './root-file-system';
import { storeCertificate } from '../store/local-store';
import { writeSeed } from './seed';

/** What is kept of a machine's disk beside its content. */
interface Disk {
  /** The root file system below it. */
  lower: string;
}

/** How long an operating system may take to shut down before its plug is pulled, in milliseconds. */
const SHUTDOWN_MS = 20_000;

const exited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** One machine: its disk and, while it is on, its systemd-nspawn. */
export class BootedMachine {
  private child: ChildProcess | undefined;
  private stopping = false;

  constructor(
    private readonly place: Place,
    readonly id: number,
    private readonly say: (line: string) => void,
  ) {}

  /** Folder of disk and logs. */
  get folder(): string {
    return join(this.place.disks, String(this.id));
  }

  private get cgroup(): string {
    return machineCgroup(this.place, this.id);
  }

  private get diskFile(): string {
    return join(this.folder, 'disk.json');
  }

  private disk(): Disk | undefined {
    return existsSync(this.diskFile) ? (JSON.parse(readFileSync(this.diskFile, 'utf8')) as Disk) : undefined;
  }

  /** Makes the disk, unless it is there. */
  async makeDisk(machine: Machine): Promise<void> {
    if (!this.disk()) await this.replaceDisk(machine);
  }

  /** Makes a fresh disk in place of the one that is there, if one is; the machine is off. */
  async replaceDisk(machine: Machine): Promise<void> {
    rmSync(this.diskFile, { force: true });
    const lower = await rootFileSystem(machine.image.name, this.say);
    for (const part of ['upper', 'work', 'root']) {
      rmSync(join(this.folder, part), { recursive: true, force: true });
      mkdirSync(join(this.folder, part), { recursive: true, mode: 0o755 });
    }
    writeSeed(join(this.folder, 'upper'), machine, storeCertificate(this.place.store));
    const disk: Disk = { lower };
    // Last: a disk that is half made is made again.
    writeFileSync(this.diskFile, JSON.stringify(disk));
  }

  /** Powers on; resolves when the operating system has begun to boot. */
  async powerOn(machine: Machine): Promise<void> {
    if (this.child) return;
    const disk = this.disk();
    if (!disk) throw new Error(`${machine.name} has no disk`);
    if (!existsSync(disk.lower)) {
      throw new Error(
        `${disk.lower}, the root file system below ${machine.name}'s disk, has gone; rebuild the server`,
      );
    }
    // What an earlier life left would keep the disk busy.
    await endCgroup(this.cgroup);
    this.stopping = false;
    const child = this.boot(machine, disk);
    this.child = child;
    for (let tries = 0; tries < 1200; tries++) {
      if (exited(child)) throw new Error(`${machine.name} does not boot: ${this.lastWords()}`);
      // The container's own systemd beside nspawn and its child that sets up.
      if (processesIn(this.cgroup).length > 2) return;
      await sleep(25);
    }
    throw new Error(`${machine.name} does not boot within 30 s: ${this.lastWords()}`);
  }

  private boot(machine: Machine, disk: Disk): ChildProcess {
    makeCgroup(this.cgroup);
    const console = openSync(join(this.folder, 'console.log'), 'a', 0o600);
    const child = spawn(
      'unshare',
      [
        '--mount',
        '--propagation',
        'slave',
        join(__dirname, 'boot.sh'),
        this.cgroup,
        disk.lower,
        this.folder,
        machine.name,
        machineNamespace(this.place, this.id),
      ],
      { stdio: ['ignore', console, console], detached: true },
    );
    closeSync(console);
    child.unref();
    child.on('exit', (code) => {
      if (this.child !== child) return;
      this.child = undefined;
      // The machine's own wish to reboot.
      if (code === 133 && !this.stopping) {
        endCgroup(this.cgroup)
          .then(() => {
            if (!this.child && !this.stopping) this.child = this.boot(machine, disk);
          })
          .catch((error: unknown) => this.say(`${machine.name} does not reboot: ${String(error)}`));
      }
    });
    return child;
  }

  private lastWords(): string {
    const log = join(this.folder, 'console.log');
    const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
    return lines.slice(-3).join(' / ');
  }

  /** @param hard pulls the plug; otherwise it shuts down first, for 20 s at most */
  async powerOff(hard: boolean): Promise<void> {
    this.stopping = true;
    const { child } = this;
    if (child && !hard) {
      child.kill('SIGTERM');
      for (const started = Date.now(); !exited(child) && Date.now() - started < SHUTDOWN_MS;) await sleep(50);
    }
    await endCgroup(this.cgroup);
    this.child = undefined;
  }

  /** Powers off and removes the disk. */
  async remove(): Promise<void> {
    await this.powerOff(true);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
