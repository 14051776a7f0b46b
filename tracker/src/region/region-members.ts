/**
 * The members of a region as its keyspace knows them: who belongs to it, who of them is alive, and how a new one gets its
 * id. Everything is a transaction of keyspace `region`, so it holds whichever member does it.
 */
import type { CallOptions, Keyspace, KeyValue, Operation } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import {
  counterKey,
  decodeCounter,
  decodePresence,
  decodeRoster,
  encodeCounter,
  encodeRoster,
  founderId,
  memberIdOf,
  type PresenceRecord,
  presenceKey,
  presencePrefix,
  type RosterRecord,
  rosterKey,
  rosterPrefix,
} from './member-record.ts'
import { regionLimits } from './region-limits.ts'

/** Times that two members may take the same next id, until one gives up: each time somebody else got one. */
const ADMIT_TRIES_MAX = 32
/** Ids of one peer that one admission retires; more could only be there if earlier ones had failed. */
const RETIRED_MAX = 16

/** One member. */
export interface RegionMember extends RosterRecord {
  readonly memberId: number
  /** What it says of itself; undefined while it is not alive. */
  readonly presence: PresenceRecord | undefined
}

/** Whether a member may go on as who it was. */
export type Claim =
  | 'confirmed'
  /** It was struck off, or its id is another peer's. */
  | 'unknown'
  /** A later start of the same member is known: this disk is older than what it promised. */
  | 'outdated'

/** The members of one region. All calls throw what the keyspace's calls throw. */
export class RegionMembers {
  readonly #keyspace: Keyspace

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace
  }

  /** Writes down the founder. Harmless when that is done already. */
  async found(peerId: string, options: CallOptions = {}): Promise<void> {
    const then: Operation[] = [
      { type: 'put', key: counterKey, value: encodeCounter(founderId) },
      { type: 'put', key: rosterKey(founderId), value: encodeRoster({ peerId, incarnation: 1 }) },
    ]
    await this.#keyspace.transact({ when: [{ key: counterKey, exists: false }], then }, options)
  }

  /**
   * Gives a peer an id that nobody has or had. Ids that the peer had before are retired: it asks because it lost what it
   * promised under them.
   */
  async admit(peerId: string, options: CallOptions = {}): Promise<number> {
    for (let tries = 0; tries < ADMIT_TRIES_MAX; tries++) {
      const counter = await this.#keyspace.get(counterKey, options)
      if (counter === undefined)
        throw new TrackerError('ERR_UNAVAILABLE', 'the region is not founded yet')
      const memberId = decodeCounter(counter.value) + 1
      const earlier = (await this.#roster(options))
        .filter((member) => member.peerId === peerId)
        .slice(0, RETIRED_MAX)
      const then: Operation[] = [
        { type: 'put', key: counterKey, value: encodeCounter(memberId) },
        { type: 'put', key: rosterKey(memberId), value: encodeRoster({ peerId, incarnation: 0 }) },
        ...earlier.flatMap((member) => removal(member.memberId)),
      ]
      const when = [{ key: counterKey, modRevision: counter.modRevision }]
      const { succeeded } = await this.#keyspace.transact({ when, then }, options)
      if (succeeded) return memberId
    }
    throw new TrackerError('ERR_OVERLOADED', 'many peers are let in at once')
  }

  /** Says that a member started again. @param incarnation one more than at its last start */
  async claim(
    memberId: number,
    peerId: string,
    incarnation: number,
    options: CallOptions = {},
  ): Promise<Claim> {
    for (;;) {
      const key = rosterKey(memberId)
      const found = await this.#keyspace.get(key, options)
      if (found === undefined) return 'unknown'
      const known = decodeRoster(found.value)
      if (known.peerId !== peerId) return 'unknown'
      // Equal is this very start, whose first claim's answer was lost.
      if (known.incarnation > incarnation) return 'outdated'
      if (known.incarnation === incarnation) return 'confirmed'
      const value = encodeRoster({ peerId, incarnation })
      const when = [{ key, modRevision: found.modRevision }]
      const then: Operation[] = [{ type: 'put', key, value }]
      const { succeeded } = await this.#keyspace.transact({ when, then }, options)
      if (succeeded) return 'confirmed'
    }
  }

  /** Ends a membership: the id is never used again. */
  async strikeOff(memberId: number, options: CallOptions = {}): Promise<void> {
    const then = removal(memberId)
    await this.#keyspace.transact({ then }, options)
  }

  /** All members by id, at most {@link regionLimits}.membersMax of them. */
  async list(options: CallOptions = {}): Promise<RegionMember[]> {
    const roster = await this.#roster(options)
    const presences = new Map<number, PresenceRecord>()
    for (const item of await this.#all(presencePrefix, options))
      presences.set(memberIdOf(item.key, presencePrefix), decodePresence(item.value))
    return roster
      .map((member) => ({ ...member, presence: presences.get(member.memberId) }))
      .sort((a, b) => a.memberId - b.memberId)
  }

  /** The presence of a member, undefined when it is not alive. */
  async presence(memberId: number, options: CallOptions = {}): Promise<PresenceRecord | undefined> {
    const found = await this.#keyspace.get(presenceKey(memberId), options)
    return found === undefined ? undefined : decodePresence(found.value)
  }

  /** Comes whenever somebody becomes alive, changes what it says of itself, or goes. @throws as a watch does */
  changes(signal: AbortSignal): AsyncIterable<unknown> {
    return this.#keyspace.watch(presencePrefix, { signal })
  }

  async #roster(options: CallOptions): Promise<(RosterRecord & { memberId: number })[]> {
    const items = await this.#all(rosterPrefix, options)
    return items.map(({ key, value }) => ({
      memberId: memberIdOf(key, rosterPrefix),
      ...decodeRoster(value),
    }))
  }

  async #all(prefix: string, options: CallOptions): Promise<KeyValue[]> {
    const items: KeyValue[] = []
    for (let after: string | undefined; items.length < regionLimits.membersMax; ) {
      const found = await this.#keyspace.list(prefix, {
        ...options,
        ...(after === undefined ? {} : { after }),
      })
      items.push(...found.items)
      after = found.items.at(-1)?.key
      if (!found.more || after === undefined) break
    }
    return items.slice(0, regionLimits.membersMax)
  }
}

function removal(memberId: number): Operation[] {
  return [
    { type: 'delete', key: rosterKey(memberId) },
    { type: 'delete', key: presenceKey(memberId) },
  ]
}
