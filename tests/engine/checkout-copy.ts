import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../local/command/paths';

/** A copy of this checkout as it is now, without what git ignores, in a new folder. */
export function copyOfCheckout(): string {
  const copy = mkdtempSync(join(tmpdir(), 'lesson-platform-copy-'));
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: projectRoot,
  })
    .toString()
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(projectRoot, file)));
  const packed = execFileSync('tar', ['-c', '--null', '-T', '-'], {
    cwd: projectRoot,
    input: files.join('\0'),
    maxBuffer: 1e9,
  });
  execFileSync('tar', ['-x'], { cwd: copy, input: packed });
  symlinkSync(join(projectRoot, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}
