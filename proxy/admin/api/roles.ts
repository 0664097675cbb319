import type { Principal } from '../../core/types.ts';

/** What somebody may do here, from the least: see; decide approvals; end sessions. Each may do what those before it may. */
export const roles = ['viewer', 'approver', 'admin'] as const;
/** One of {@link roles}. */
export type Role = (typeof roles)[number];

/** Groups that have a role, by role. */
export type RoleGroups = Readonly<Record<Role, readonly string[]>>;

/** The highest role that somebody's groups give; undefined for none. */
export function roleOf({ groups }: Principal, byRole: RoleGroups): Role | undefined {
  return roles.findLast((role) => byRole[role].some((group) => groups.includes(group)));
}

/** Whether a role is, or is above, the one that is needed. */
export function atLeast(role: Role, needed: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed);
}
