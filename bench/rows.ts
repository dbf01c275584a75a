/** One line of a benchmark. */
export interface Row {
  what: string;
  value: number;
  unit: string;
  atMost?: number;
  atLeast?: number;
}

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** What `--runs N` says, else the given number of runs. */
export function runsWanted(otherwise: number): number {
  const at = process.argv.indexOf('--runs');
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}

export const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Prints rows with their bounds, and whether each was kept. */
export function printRows(rows: Row[]): void {
  say('');
  for (const { what, value, unit, atMost, atLeast } of rows) {
    const bounds = [
      ...(atMost === undefined ? [] : [`at most ${atMost}${value <= atMost ? '' : '  MISSED'}`]),
      ...(atLeast === undefined ? [] : [`at least ${atLeast}${value >= atLeast ? '' : '  MISSED'}`]),
    ];
    const number = value.toFixed(Number.isInteger(value) ? 0 : 2).padStart(8);
    say(`${number} ${unit.padEnd(6)} ${what}  ${bounds.join(', ')}`.trimEnd());
  }
}
