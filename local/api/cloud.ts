import type { Actions } from './actions';
import type { Faults } from './faults';
import type { MachineDriver } from './machine-driver';
import type { Store } from './store';

/** The parts of a running local cloud that its modules share. */
export interface Cloud {
  store: Store;
  actions: Actions;
  faults: Faults;
  driver: MachineDriver;
  limits: Limits;
}

/** What one project may hold; the service's own defaults are lower and raised on request. */
export interface Limits {
  servers: number;
  primaryIps: number;
  volumes: number;
}

export const defaultLimits: Limits = { servers: 250, primaryIps: 500, volumes: 250 };
