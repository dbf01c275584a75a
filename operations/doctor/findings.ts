/** `unchecked`: it could not be seen from here, and counts neither as good nor as bad. */
export type State = 'ok' | 'warning' | 'failure' | 'unchecked';

/** One thing that was looked at. */
export interface Finding {
  /** A host's name, a shard's domain, or `platform`. */
  host: string;
  check: string;
  state: State;
  /** What is so, in one sentence. */
  says: string;
  /** What to do about it; empty when there is nothing to do. */
  do: string;
}

/** What `--json` prints. */
export interface Report {
  stack: string | null;
  /** ISO 8601, UTC. */
  at: string;
  findings: Finding[];
}

const columns = { ok: 'ok', warning: 'WARNING', failure: 'FAILURE', unchecked: 'unchecked' };

/** The findings for people, host by host; hosts that have the same checks and nothing to tell share a line. */
export function findingsText(findings: readonly Finding[]): string {
  const hosts = new Map<string, Finding[]>();
  for (const each of findings) hosts.set(each.host, [...(hosts.get(each.host) ?? []), each]);
  const lines: string[] = [];
  const well = new Map<string, string[]>();
  for (const [host, found] of hosts) {
    const pool = /^(recorder|bridge-\d+)-\d+$/.exec(host)?.[1];
    const checks = found.map(({ check }) => check).join(', ');
    if (pool && found.every(({ state }) => state === 'ok')) {
      well.set(checks, [...(well.get(checks) ?? []), host]);
      continue;
    }
    lines.push(host);
    for (const { check, state, says, do: remedy } of found) {
      lines.push(`  ${columns[state].padEnd(9)}  ${check}: ${says}`);
      if (remedy !== '') lines.push(`             do: ${remedy}`);
    }
  }
  for (const [checks, names] of well) lines.push(names.join(' '), `  ok         ${checks}`);
  const count = (state: State): number => findings.filter((each) => each.state === state).length;
  return [
    ...lines,
    '',
    `failures: ${count('failure')}, warnings: ${count('warning')}, ok: ${count('ok')}, unchecked: ${count('unchecked')}`,
  ].join('\n');
}

/**
 * Does work for many, some at a time; the answers are in the order of the items.
 *
 * @param atOnce most at a time, 1 or more
 */
export async function forEachOf<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = [...items.entries()];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
