import { spawn } from 'node:child_process';

/**
 * Runs a program to its end; answers its standard output.
 *
 * @throws with the program's own words when it fails
 */
export function run(command: readonly string[], input = ''): Promise<string> {
  const [program, ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { stdio: 'pipe' });
    const printed = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => (printed[stream] += text));
    }
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(printed.stdout);
      else
        reject(
          new Error(
            `${command.join(' ')}: ${(printed.stderr || printed.stdout).trim() || `exit status ${code}`}`,
          ),
        );
    });
    // A program that fails early does not read its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
