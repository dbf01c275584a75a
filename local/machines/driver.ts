import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine, MachineDriver, Name } from '../api/machine-driver';
import { BootedMachine } from './booted-machine';
import { endCgroup } from './cgroup';
import { cloudFirewall, type Protected } from './cloud-firewall';
import type { Metadata } from './metadata';
import { forward } from './forward';
import { storeName } from '../store/local-store';
import { connect, disconnect, makeOutside, removeNamespaces, routerAddress } from './network';
import { inNamespace, placeOf, type Place } from './place';
import { run } from './run';
import { startGateway, startNames, startPackageCache, startStore } from './services';

/** How long the end waits for what is under way, in milliseconds: longer than an orderly shutdown takes. */
const CLOSE_MS = 25_000;

export interface MachinesOptions {
  /** Folder of the local cloud's state; disks and logs go to `machines` in it. */
  cloudFolder: string;
  /** Told of what takes time. */
  say: (line: string) => void;
  /** Folder of a signed apt repository that machines reach at `http://172.31.1.1:8180`. */
  packageRepository?: string | undefined;
  /** S3 server to run for them at `storeName`. */
  storeProgram?: string | undefined;
}

/** Takes away all that a place has on this machine outside its folder; there may be nothing. */
export async function takeAway(place: Place): Promise<void> {
  await endCgroup(place.cgroup);
  await removeNamespaces(place);
  rmSync(place.run, { recursive: true, force: true });
}

/** Boots the servers of a local cloud with systemd-nspawn, in network namespaces of their own. */
export class BootedMachines implements MachineDriver {
  readonly boots = true;
  private readonly place: Place;
  private readonly machines = new Map<number, BootedMachine>();
  private readonly protectedOnes = new Map<number, Protected>();
  private turn: Promise<unknown> = Promise.resolve();
  private names: { server: ChildProcess; text: string } | undefined;
  private wantedNames: readonly Name[] = [];
  /** From the gateway's namespace to this machine's loopback. */
  private ways: Server[] = [];
  private readonly underWay = new Set<Promise<unknown>>();
  private closed: Promise<void> | undefined;

  constructor(private readonly options: MachinesOptions) {
    this.place = placeOf(options.cloudFolder);
  }

  /** Makes the outside, after removing what a crash has left, and boots what is to run. */
  adopt(machines: { machine: Machine; running: boolean }[]): Promise<void> {
    return this.work(async () => {
      await this.clear();
      this.removeStrangers(new Set(machines.map(({ machine }) => machine.id)));
      mkdirSync(join(this.place.run, 'metadata'), { recursive: true, mode: 0o700 });
      await makeOutside(this.place);
      this.ways.push(await this.wayOut('packages', await startPackageCache(this.place)));
      if (this.options.storeProgram !== undefined) await startStore(this.place, this.options.storeProgram);
      for (const { machine, running } of machines) {
        // One whose creation was broken off is made by the action, which is repeated.
        await this.make(machine);
        if (running) await this.machine(machine.id).powerOn(machine);
      }
    });
  }

  /** Serves the cloud's API in the gateway's namespace as well, at the same address. */
  serve(url: string): Promise<void> {
    return this.work(async () => {
      const apiPort = Number(new URL(url).port);
      this.ways.push(await this.wayOut('api', apiPort));
      const repository = this.options.packageRepository ?? null;
      await startGateway(this.place, { run: this.place.run, apiPort, repository });
    });
  }

  create(machine: Machine): Promise<void> {
    return this.work(() => this.make(machine));
  }

  powerOn(machine: Machine): Promise<void> {
    return this.work(() => this.machine(machine.id).powerOn(machine));
  }

  powerOff(machine: Machine, hard: boolean): Promise<void> {
    return this.work(() => this.machine(machine.id).powerOff(hard));
  }

  rebuild(machine: Machine): Promise<void> {
    this.protect(machine);
    return this.work(async () => {
      const booted = this.machine(machine.id);
      await booted.powerOff(true);
      await booted.replaceDisk(machine);
      await this.connect(machine);
      await booted.powerOn(machine);
    });
  }

  delete(machine: Machine): Promise<void> {
    return this.work(async () => {
      await this.machine(machine.id).remove();
      this.machines.delete(machine.id);
      this.protectedOnes.delete(machine.id);
      if (machine.publicIpv4) rmSync(this.metadataFile(machine.publicIpv4), { force: true });
      await this.inTurn(() => disconnect(this.place, machine.id));
      await this.applyFirewall();
    });
  }

  networksChanged(machine: Machine): Promise<void> {
    this.protect(machine);
    return this.work(() => this.connect(machine));
  }

  firewallChanged(machine: Machine): Promise<void> {
    // One whose deletion has ended, or whose creation has not begun, is told of with the next that happens to it.
    if (!this.machines.has(machine.id)) return Promise.resolve();
    this.protect(machine);
    return this.work(() => this.applyFirewall());
  }

  namesChanged(names: readonly Name[]): Promise<void> {
    this.wantedNames = names;
    return this.work(() => this.inTurn(() => this.applyNames()));
  }

  /** Powers everything off at once and removes all but the disks. What is asked of it later is refused. */
  close(): Promise<void> {
    this.closed ??= (async () => {
      // What is under way would go on in what is being removed. The making of a root file system is not waited for.
      await Promise.race([Promise.allSettled(this.underWay), sleep(CLOSE_MS, undefined, { ref: false })]);
      for (const way of this.ways.splice(0)) way.close();
      await Promise.all([...this.machines.values()].map((machine) => machine.powerOff(true)));
      await this.clear();
    })();
    return this.closed;
  }

  /** Everything that is asked for passes here, so that the end can wait for it. */
  private async work(job: () => Promise<unknown>): Promise<void> {
    if (this.closed) throw new Error('the local cloud is being stopped');
    const running = job();
    this.underWay.add(running);
    try {
      await running;
    } finally {
      this.underWay.delete(running);
    }
  }

  private async make(machine: Machine): Promise<void> {
    const booted = this.machine(machine.id);
    this.protect(machine);
    await booted.makeDisk(machine);
    await this.connect(machine);
  }

  private async connect(machine: Machine): Promise<void> {
    await this.inTurn(() => connect(this.place, machine));
    this.writeMetadata(machine);
    await this.applyFirewall();
  }

  /** Notes at once what a call says, so that the latest one counts, whichever work ends first. */
  private protect({ id, publicIpv4, publicIpv6, firewallRules }: Machine): void {
    this.protectedOnes.set(id, { id, publicIpv4, publicIpv6, firewallRules });
  }

  private wayOut(name: string, port: number): Promise<Server> {
    return forward({ path: join(this.place.run, `${name}.sock`) }, { port, host: '127.0.0.1' });
  }

  private machine(id: number): BootedMachine {
    const known = this.machines.get(id) ?? new BootedMachine(this.place, id, this.options.say);
    this.machines.set(id, known);
    return known;
  }

  private async clear(): Promise<void> {
    this.names = undefined;
    await takeAway(this.place);
  }

  /** Disks of servers that are no more: the cloud was killed while it deleted one, or its state was thrown away. */
  private removeStrangers(known: ReadonlySet<number>): void {
    mkdirSync(this.place.disks, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.place.disks)) {
      if (!known.has(Number(name))) rmSync(join(this.place.disks, name), { recursive: true, force: true });
    }
  }

  /**
   * What machines share is changed by one at a time, each with what is wanted then: none may put an older
   * state in the place of a newer, or find missing what another is making.
   */
  private inTurn(job: () => Promise<unknown>): Promise<unknown> {
    this.turn = this.turn.then(job, job);
    return this.turn;
  }

  private applyFirewall(): Promise<unknown> {
    return this.inTurn(() =>
      run(
        inNamespace(this.place.gateway, ['nft', '-f', '-']),
        cloudFirewall([...this.protectedOnes.values()]),
      ),
    );
  }

  private async applyNames(): Promise<void> {
    const store =
      this.options.storeProgram === undefined ? [] : [{ name: storeName, address: routerAddress }];
    const text = [...store, ...this.wantedNames].map(({ name, address }) => `${address} ${name}\n`).join('');
    if (this.names?.text === text) return;
    const file = join(this.place.run, 'hosts');
    writeFileSync(`${file}.next`, text);
    renameSync(`${file}.next`, file);
    if (this.names) {
      this.names.text = text;
      // nsenter and sh have become the server itself.
      this.names.server.kill('SIGHUP');
    } else {
      this.names = { server: await startNames(this.place, file), text };
    }
  }

  private metadataFile(address: string): string {
    return join(this.place.run, 'metadata', `${address}.json`);
  }

  private writeMetadata({ userData: _userData, ...machine }: Machine): void {
    if (machine.publicIpv4 === null) return;
    const booted = this.machine(machine.id);
    const metadata: Metadata = {
      machine,
      userDataFile: join(booted.folder, 'upper/var/lib/cloud/seed/nocloud/user-data'),
    };
    const file = this.metadataFile(machine.publicIpv4);
    writeFileSync(`${file}.next`, JSON.stringify(metadata), { mode: 0o600 });
    renameSync(`${file}.next`, file);
  }
}
