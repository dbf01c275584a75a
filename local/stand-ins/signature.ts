import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../machines/run';

/** gpg with a home of its own, whose only key is made when there is none and goes with the folder. */
const gpg = (home: string, ...args: string[]): Promise<string> =>
  run([
    'gpg',
    '--homedir',
    home,
    '--batch',
    '--quiet',
    '--pinentry-mode',
    'loopback',
    '--passphrase',
    '',
    ...args,
  ]);

const owner = 'Stand-in packages of this machine';

async function ensureKey(home: string): Promise<void> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const known = await gpg(home, '--list-secret-keys', '--with-colons');
  if (!known.includes('sec:')) await gpg(home, '--quick-generate-key', owner, 'ed25519', 'sign', 'never');
}

/**
 * Signs a suite's `Release`: `InRelease` and `Release.gpg` are written beside it.
 *
 * @param home folder of the throwaway key; short, since gpg's agent listens on a socket in it
 */
export async function signRelease(home: string, suite: string): Promise<void> {
  await ensureKey(home);
  const release = join(suite, 'Release');
  const sign = ['--yes', '--digest-algo', 'SHA512', '--armor'];
  await gpg(home, ...sign, '--output', join(suite, 'InRelease'), '--clearsign', release);
  await gpg(home, ...sign, '--output', join(suite, 'Release.gpg'), '--detach-sign', release);
}

/** The public key, armoured. Ends gpg's agent, so that the folder can go. */
export async function exportedKey(home: string): Promise<string> {
  const key = await gpg(home, '--armor', '--export');
  await run(['gpgconf', '--homedir', home, '--kill', 'all']);
  return key;
}
