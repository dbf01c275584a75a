import { invalidInput } from './errors';
import { isLabelKey, isLabelValue } from './input';

/** Tells whether a resource's labels fit a selector. */
export type LabelSelector = (labels: Record<string, string>) => boolean;

const has = (labels: Record<string, string>, key: string) => Object.hasOwn(labels, key);

/**
 * Reads a label selector: comma-separated requirements that must all hold. Supported as in the service:
 * `key`, `!key`, `key=value`, `key==value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`. As in Kubernetes,
 * `!=` and `notin` also fit resources without the key.
 *
 * @throws ApiError `invalid_input` for text that is no selector.
 */
export function parseLabelSelector(text: string): LabelSelector {
  if (text.trim() === '') return () => true;
  // Commas inside parentheses belong to a set, not between requirements.
  const requirements = text.split(/,(?![^(]*\))/).map((part) => parseRequirement(part.trim(), text));
  return (labels) => requirements.every((fits) => fits(labels));
}

function parseRequirement(text: string, whole: string): LabelSelector {
  const wrong = () =>
    invalidInput('label_selector', `'${whole}' is not a label selector, e.g. role=recorder,pool in (a,b)`);

  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    if (!isLabelKey(key) || !values.every(isLabelValue)) throw wrong();
    return operator === 'in'
      ? (labels) => has(labels, key) && values.includes(labels[key]!)
      : (labels) => !has(labels, key) || !values.includes(labels[key]!);
  }

  const comparison = /^([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)$/.exec(text);
  if (comparison) {
    const [, key = '', operator, value = ''] = comparison;
    if (!isLabelKey(key) || !isLabelValue(value)) throw wrong();
    return operator === '!='
      ? (labels) => !has(labels, key) || labels[key] !== value
      : (labels) => has(labels, key) && labels[key] === value;
  }

  const negated = text.startsWith('!');
  const key = negated ? text.slice(1).trim() : text;
  if (!isLabelKey(key)) throw wrong();
  return (labels) => has(labels, key) !== negated;
}
