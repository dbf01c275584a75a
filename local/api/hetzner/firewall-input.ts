import { z } from 'zod';
import { isCidr } from '../addresses';
import { id } from '../input';

const cidrs = z
  .array(z.string().refine(isCidr, 'not a network in CIDR notation without host bits, e.g. 203.0.113.0/24'))
  .max(100)
  .default([]);

const port = z.string().refine((text) => {
  const [low, high = low, ...more] = text
    .split('-')
    .map((part) => (/^\d{1,5}$/.test(part) ? Number(part) : 0));
  return more.length === 0 && low! >= 1 && high! >= low! && high! <= 65535;
}, 'not a port or a range of ports, e.g. 443 or 1024-5000');

const rule = z
  .strictObject({
    direction: z.enum(['in', 'out']),
    protocol: z.enum(['tcp', 'udp', 'icmp', 'esp', 'gre']),
    port: port.nullish().transform((given) => given ?? null),
    source_ips: cidrs,
    destination_ips: cidrs,
    description: z
      .string()
      .max(255)
      .nullish()
      .transform((given) => given ?? null),
  })
  .superRefine((given, context) => {
    const wrong = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    const needsPort = given.protocol === 'tcp' || given.protocol === 'udp';
    if (needsPort && given.port === null) wrong('port', `${given.protocol} needs a port, e.g. 443`);
    if (!needsPort && given.port !== null) wrong('port', `${given.protocol} has no ports`);
    const [needed, idle] =
      given.direction === 'in'
        ? (['source_ips', 'destination_ips'] as const)
        : (['destination_ips', 'source_ips'] as const);
    if (given[needed].length === 0)
      wrong(needed, `direction ${given.direction} needs at least one, e.g. 0.0.0.0/0`);
    if (given[idle].length > 0) wrong(idle, `not for direction ${given.direction}`);
  });

/** The service's limit is 50 rules. */
export const rules = z.array(rule).max(50, 'a firewall holds 50 rules at most');

const selector = z.strictObject({ selector: z.string().min(1) });
/** What a firewall is applied to. */
export const resource = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('server'), server: z.strictObject({ id }) }),
  z.strictObject({ type: z.literal('label_selector'), label_selector: selector }),
]);
export type Resource = z.infer<typeof resource>;
