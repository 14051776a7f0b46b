/**
 * Which group a keyspace lies in: the keyspace `region` in group 0, any other in the shard that rendezvous hashing of its name chooses.
 * Part of the protocol: all peers of a region must agree, and so must those that come after them.
 */
import { regionKeyspace } from '../coordination.ts'

/** Shards of a region: groups 1 to 16. */
export const shardCount = 16

/** The group of what concerns the whole region. */
export const regionGroup = 0

const utf8 = new TextEncoder()

/** The group of a keyspace, 0 to {@link shardCount}. */
export function groupOf(keyspace: string): number {
  return keyspace === regionKeyspace ? regionGroup : shardOf(keyspace)
}

/**
 * The shard of a name, 1 to {@link shardCount}: the one with the largest hash of name and shard (rendezvous hashing, Thaler and
 * Ravishankar 1998). Were there more shards one day, only the names that they win would move.
 */
export function shardOf(name: string): number {
  const hash = hashOf(name)
  let shard = 1
  let largest = -1
  for (let candidate = 1; candidate <= shardCount; candidate++) {
    // The shard's number spread over all bits by the golden ratio, so that neighbours have nothing in common.
    const weight = mix(hash ^ Math.imul(candidate, 0x9e3779b9))
    if (weight > largest) {
      largest = weight
      shard = candidate
    }
  }
  return shard
}

/** FNV-1a, 32 bits, of the name's UTF-8 bytes. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5
  for (const byte of utf8.encode(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash
}

/** The finalizer of MurmurHash3, 32 bits: each bit of the input changes half of the output's. */
function mix(input: number): number {
  let bits = input
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
