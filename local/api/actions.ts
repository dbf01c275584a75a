import { setTimeout as delay } from 'node:timers/promises';
import { ApiError, type ErrorCode } from './errors';
import type { ActionRecord } from './state';
import type { Store } from './store';

export type ResourceType =
  'firewall' | 'network' | 'placement_group' | 'primary_ip' | 'server' | 'volume' | 'zone';

/** What an action does when it ends. */
export interface Effect<A> {
  /** The command as clients see it, e.g. `attach_to_network`. */
  command: string;
  /** Work outside the state, on a machine; may take long, may be repeated after a restart. */
  drive?(args: A): Promise<void>;
  /** The change of the state, in one go. Throwing an ApiError makes the action end with that error. */
  apply?(args: A): void;
  /** Work outside that needs the changed state; the action ends when it does. */
  settle?(args: A): Promise<void>;
}

/** How a fault has the next action go. */
export interface Outcome {
  failsWith?: { code: string; message: string };
  takesMs?: number;
}

/** Begins an action that was defined: on which resources, with what, and after which other one. */
export type Begin<A> = (
  resources: { type: ResourceType; id: number }[],
  args: A,
  after?: ActionRecord,
) => ActionRecord;

/** How many finished actions are remembered. */
const KEPT = 500;

/**
 * Actions: work that takes its time. An action is part of the state and names its effect, so one that was
 * running when the cloud stopped is completed by the next start.
 */
export class Actions {
  private readonly effects = new Map<string, Effect<unknown>>();
  private readonly stopped = new AbortController();
  private outcome: Outcome | undefined;

  /** @param takesMs how long an action takes when no fault says otherwise, in milliseconds */
  constructor(
    private readonly store: Store,
    private readonly takesMs: number,
  ) {}

  /** Defines an effect under a name that no other has. */
  define<A>(name: string, effect: Effect<A>): Begin<A> {
    if (this.effects.has(name)) throw new Error(`effect ${name} is defined twice`);
    this.effects.set(name, effect);
    return (resources, args, after) => this.begin(name, effect.command, resources, args, after);
  }

  /** Runs a handler whose first action goes as the fault says. Handlers are synchronous, so no other can take it. */
  withOutcome<T>(outcome: Outcome | undefined, handler: () => T): T {
    this.outcome = outcome;
    try {
      return handler();
    } finally {
      this.outcome = undefined;
    }
  }

  /** The action that works on a resource now, if one does: an action works on the first of its resources. */
  running(type: ResourceType, id: number): ActionRecord | undefined {
    return this.store.state.actions.find(
      ({ status, resources: [at] }) => status === 'running' && at?.type === type && at.id === id,
    );
  }

  /** @throws ApiError `locked` while an action works on the resource. */
  refuseWhileRunning(type: ResourceType, id: number, code: ErrorCode = 'locked'): void {
    const running = this.running(type, id);
    if (running) throw new ApiError(code, `${type} ${id} is locked: ${running.command} is running`);
  }

  /** Completes what was running when the cloud stopped, in the order in which it began. */
  resume(): void {
    for (const action of this.store.state.actions) {
      if (action.status === 'running' && action.after === null) void this.finish(action);
    }
  }

  /** Begins no further work; running actions stay running in the state. */
  stop(): void {
    this.stopped.abort();
  }

  private begin(
    effect: string,
    command: string,
    resources: ActionRecord['resources'],
    args: unknown,
    after?: ActionRecord,
  ): ActionRecord {
    const { failsWith = null, takesMs = this.takesMs } = this.outcome ?? {};
    this.outcome = undefined;
    const action = this.store.state.actions.add<ActionRecord>({
      id: this.store.state.nextId(),
      command,
      effect,
      args,
      status: 'running',
      started: new Date().toISOString(),
      finished: null,
      takesMs,
      after: after?.id ?? null,
      applied: false,
      failsWith,
      error: null,
      resources,
    });
    this.forgetOldest();
    if (!after) {
      delay(takesMs, undefined, { signal: this.stopped.signal }).then(
        () => this.finish(action),
        () => undefined,
      );
    }
    return action;
  }

  private async finish(action: ActionRecord): Promise<void> {
    const effect = this.effects.get(action.effect);
    let error = action.failsWith;
    try {
      if (!error) {
        if (!action.applied) {
          await effect?.drive?.(action.args);
          if (this.stopped.signal.aborted) return;
          effect?.apply?.(action.args);
          action.applied = true;
          this.store.touch();
        }
        await effect?.settle?.(action.args);
        if (this.stopped.signal.aborted) return;
      }
    } catch (thrown) {
      // It may have failed because everything is being stopped: the next start tries again.
      if (this.stopped.signal.aborted) return;
      const code = thrown instanceof ApiError ? thrown.code : 'server_error';
      error = { code, message: thrown instanceof Error ? thrown.message : String(thrown) };
    }
    action.status = error ? 'error' : 'success';
    action.error = error;
    action.finished = new Date().toISOString();
    this.store.touch();
    const followers = this.store.state.actions.filter(
      (next) => next.after === action.id && next.status === 'running',
    );
    for (const next of followers) {
      next.failsWith ??= error && { code: error.code, message: `${action.command} failed: ${error.message}` };
      void this.finish(next);
    }
    // A write that fails here fails again, and is answered, with the next request.
    await this.store.durable().catch(() => undefined);
  }

  private forgetOldest(): void {
    const { actions } = this.store.state;
    if (actions.size <= KEPT) return;
    const finished = actions.filter((action) => action.status !== 'running');
    for (const action of finished.slice(0, actions.size - KEPT)) actions.delete(action.id);
  }
}

/** An action as clients see it. Progress grows with time and is 100 only at the end. */
export function actionView(action: ActionRecord) {
  const elapsed = Date.now() - Date.parse(action.started);
  return {
    id: action.id,
    command: action.command,
    status: action.status,
    progress:
      action.status === 'running' ? Math.min(99, Math.floor((100 * elapsed) / (action.takesMs + 1))) : 100,
    started: action.started,
    finished: action.finished,
    resources: action.resources,
    error: action.error,
  };
}
