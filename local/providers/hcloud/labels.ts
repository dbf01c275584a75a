import { map, text } from '../properties';

const word = /^[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;
const prefix = /^[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,251}[a-zA-Z0-9])?$/;

/** The service's rule: keys like `role` or `example.org/role`, values empty or up to 63 letters, digits, `-_.`. */
function complaint(labels: Record<string, unknown>): string | undefined {
  for (const [key, value] of Object.entries(labels)) {
    const parts = key.split('/');
    const name = parts.pop() ?? '';
    if (!word.test(name) || parts.length > 1 || (parts.length === 1 && !prefix.test(parts[0] ?? ''))) {
      return `label key ${JSON.stringify(key)} is not valid; for example role or example.org/role`;
    }
    if (typeof value === 'string' && value !== '' && !word.test(value)) {
      return `label ${key} has a value that is not valid (at most 63 letters, digits, "-", "_", "."); for example jitsi-1`;
    }
  }
  return undefined;
}

/** Labels of any resource. */
export const labels = () => map(text(), { check: complaint });
