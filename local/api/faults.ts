import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { parseBody } from './input';

const pattern = z.string().refine((text) => {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}, 'not a regular expression, e.g. ^/v1/servers$');

const nth = z.union([z.number().int().positive(), z.literal('every')]).default(1);
const times = z.number().int().positive().optional();
const failure = z.strictObject({ code: z.string().min(1), message: z.string() });
const milliseconds = z.number().int().min(0).max(3_600_000);

const requestThen = z.union(
  [
    z.strictObject({
      error: z.strictObject({
        status: z.number().int().min(400).max(599),
        code: z.union([z.string().min(1), z.number().int()]),
        message: z.string(),
      }),
    }),
    z.strictObject({ loseAnswer: z.literal(true) }),
    z.strictObject({ breakConnection: z.literal(true) }),
    z.strictObject({ actionFails: failure, afterMs: milliseconds.optional() }),
    z.strictObject({ actionTakesMs: milliseconds }),
    z.strictObject({ rateLimit: z.literal(true) }),
  ],
  'one of error, loseAnswer, breakConnection, actionFails, actionTakesMs, rateLimit',
);

const requestFault = z.strictObject({
  on: z.strictObject({
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).optional(),
    path: pattern.optional(),
    nth,
  }),
  then: requestThen,
  times,
});

const commandFault = z.strictObject({
  onCommand: z.strictObject({
    server: pattern.optional(),
    phase: z.enum(['create', 'update', 'delete']).optional(),
    command: pattern.optional(),
    nth,
  }),
  then: z.strictObject({
    exitCode: z.number().int().min(0).max(255).default(0),
    stdout: z.string().default(''),
    stderr: z.string().default(''),
    takesMs: milliseconds.default(0),
  }),
  times,
});

type RequestFault = z.infer<typeof requestFault>;
type CommandFault = z.infer<typeof commandFault>;
type Counted<F> = F & { matched: number; fired: number };

export type RequestOutcome = z.infer<typeof requestThen>;
export type CommandOutcome = z.infer<typeof commandFault>['then'];

/**
 * Failures on purpose. A fault counts the requests (or remote commands) that fit it and fires at the n-th and, with
 * `times`, at as many after it; with `nth: 'every'` at each one, as often as `times` says or without end. The first
 * fault that fires decides. They are kept in memory only: a restart clears them.
 */
export class Faults {
  private requests: Counted<RequestFault>[] = [];
  private commands: Counted<CommandFault>[] = [];

  /** @throws ApiError `invalid_input` for what is no fault. */
  add(body: unknown) {
    const isCommand = typeof body === 'object' && body !== null && 'onCommand' in body;
    if (isCommand) {
      const fault = { ...parseBody(commandFault, body), matched: 0, fired: 0 };
      this.commands.push(fault);
      return fault;
    }
    const fault = { ...parseBody(requestFault, body), matched: 0, fired: 0 };
    this.requests.push(fault);
    return fault;
  }

  list() {
    return [...this.requests, ...this.commands];
  }

  clear(): void {
    this.requests = [];
    this.commands = [];
  }

  /** @param path without the query, e.g. `/v1/servers/1000007/actions/poweroff` */
  forRequest(method: string, path: string): RequestOutcome | undefined {
    const fits = ({ on }: RequestFault) =>
      (on.method === undefined || on.method === method) &&
      (on.path === undefined || new RegExp(on.path).test(path));
    return firing(this.requests, fits, (fault) => fault.on.nth)?.then;
  }

  /** @param command.server its name, empty for an address that no server has */
  forCommand(command: { server: string; phase: string; command: string }): CommandOutcome | undefined {
    const fits = ({ onCommand: on }: CommandFault) =>
      (on.server === undefined || new RegExp(on.server).test(command.server)) &&
      (on.phase === undefined || on.phase === command.phase) &&
      (on.command === undefined || new RegExp(on.command).test(command.command));
    return firing(this.commands, fits, (fault) => fault.onCommand.nth)?.then;
  }
}

function firing<F extends { times?: number | undefined }>(
  faults: Counted<F>[],
  fits: (fault: F) => boolean,
  nthOf: (fault: F) => number | 'every',
): F | undefined {
  let first: F | undefined;
  for (const fault of faults) {
    if (!fits(fault)) continue;
    fault.matched++;
    const nth = nthOf(fault);
    const most = fault.times ?? (nth === 'every' ? Infinity : 1);
    const due = fault.fired < most && (nth === 'every' || fault.matched >= nth);
    if (due && first === undefined) {
      fault.fired++;
      first = fault;
    }
  }
  return first;
}

/** Waits as long as a command's fault says. */
export async function takeTime(outcome: CommandOutcome | undefined): Promise<void> {
  if (outcome?.takesMs) await delay(outcome.takesMs);
}
