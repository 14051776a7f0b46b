/** In which order members are wanted in a group. */
import type { PlacementMember, PlacementSettings } from './placement-types.ts'

/**
 * Compares two members for a group: who can be reached before who cannot, who has room before who is overloaded, who is
 * steady before who is new, and by hash among equals.
 */
export function memberOrder(
  group: number,
  members: ReadonlyMap<number, PlacementMember>,
  settings: PlacementSettings,
): (a: number, b: number) => number {
  return (a, b) =>
    worth(members.get(b), settings) - worth(members.get(a), settings) ||
    rendezvous(group, b) - rendezvous(group, a) ||
    a - b
}

/** Steps of worth, not a sum of shares: a hash can only choose where there are equals. */
function worth(member: PlacementMember | undefined, settings: PlacementSettings): number {
  if (member === undefined) return -1
  return (
    (member.isReachable ? 4 : 0) +
    (member.load <= settings.loadMax ? 2 : 0) +
    ((member.presentMs ?? 0) >= settings.steadyMs ? 1 : 0)
  )
}

/** A number from 0 to 2^32 - 1 that a group and a member always give together (the mixing of MurmurHash3). */
export function rendezvous(group: number, memberId: number): number {
  let hash = mix(group + 1)
  hash = mix(hash ^ (memberId >>> 0))
  return mix(hash ^ Math.floor(memberId / 0x1_0000_0000)) >>> 0
}

function mix(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) + 0x9e3779b9
}
