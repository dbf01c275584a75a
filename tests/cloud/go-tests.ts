import { spawn } from 'node:child_process';
import { expect } from 'vitest';

/** Runs the Go tests of a folder, with exactly the modules that its go.sum names, and shows their output when they fail. */
export async function goTestsPass(folder: string, env: Record<string, string>): Promise<void> {
  const { code, output } = await new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    const go = spawn('go', ['test', '-count=1', '.'], {
      cwd: folder,
      env: { ...process.env, GOFLAGS: '-mod=readonly', ...env },
    });
    let output = '';
    go.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    go.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    go.on('error', reject);
    go.on('close', (code) => resolve({ code, output }));
  });
  expect(code, output).toBe(0);
}
