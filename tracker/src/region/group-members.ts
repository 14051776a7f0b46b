/** Questions to the list of a group's members. */
import type { GroupMembers } from './region-messages.ts'

/** Everybody who has a part in a group, once each. */
export function everyone(members: GroupMembers): number[] {
  const { voters, votersOutgoing, learners, learnersNext } = members
  return [...new Set([...voters, ...votersOutgoing, ...learners, ...learnersNext])]
}
