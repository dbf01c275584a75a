import { OperationError, readStack, sshTarget } from './stack';
import { runOverSsh, SshError } from './ssh';

const help = `usage: npm run logs -- [--stack STACK] HOST [NAME…] [--since TIME] [--lines N] [--follow]

Shows logs of a host of a stack, over SSH: the host's own platform-logs. NAME is e.g. prosody, jicofo, jvb, nginx,
coturn, certificate, jibri, upload, converge, doctor; without one all that the host has. TIME is e.g. 30min, 2h, 1d or
"2026-01-31 08:00" (UTC). Without --stack it is the selected stack.`;

async function main(args: string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const at = args.indexOf('--stack');
  const stack = at === -1 ? undefined : args[at + 1];
  const [host, ...rest] = at === -1 ? args : args.toSpliced(at, 2);
  if (host === undefined || host.startsWith('-') || (at !== -1 && stack === undefined)) {
    process.stderr.write(`${help}\n`);
    return 2;
  }
  const target = sshTarget(await readStack(stack), host);
  const ending = new AbortController();
  let interrupted = false;
  process.once('SIGINT', () => {
    interrupted = true;
    ending.abort();
  });
  const quoted = rest.map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  try {
    const { code } = await runOverSsh(target, ['platform-logs', ...quoted].join(' '), {
      onOutput: (stream, text) => process[stream].write(text),
      signal: ending.signal,
    });
    return code;
  } catch (error) {
    if (interrupted) return 130;
    throw error;
  }
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    if (!(error instanceof OperationError || error instanceof SshError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  },
);
