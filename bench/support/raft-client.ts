/** A client of the region that is no member: a host of its own, whose calls go to the members over its lines. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../node/src/clock.ts'
import { CallLane } from '../../tracker/src/client/call-lane.ts'
import { regionNumber } from '../../tracker/src/client/coordination-codec.ts'
import { RegionCoordination } from '../../tracker/src/client/region-coordination.ts'
import type { Keyspace } from '../../tracker/src/coordination.ts'
import { TrackerError } from '../../tracker/src/errors.ts'
import { DirectTransport } from '../../tracker/src/lines/direct-transport.ts'
import { startRaftHost } from './raft-host.ts'
import type { RaftMembers } from './raft-members.ts'
import { clients, keyCount, keyName, readKey, valueBytes } from './raft-work.ts'
import { median } from './statistics.ts'

const CONNECT_MS = 20_000

/** The client. */
export class RaftClient {
  readonly #coordination: RegionCoordination
  readonly #stop: () => Promise<void>
  readonly #value = Buffer.alloc(valueBytes, 'v')
  #failures = 0

  private constructor(coordination: RegionCoordination, stop: () => Promise<void>) {
    this.#coordination = coordination
    this.#stop = stop
  }

  /** Connects to all members. */
  static async connect(home: string, members: RaftMembers): Promise<RaftClient> {
    const { addresses, peerIds } = members
    const { facts } = await members.view()
    if (facts === undefined) throw new Error('the members are in no region')
    // A host that listens nowhere would look for relays all the time, at the cost of all others.
    const listen = ['/ip4/127.0.0.1/tcp/0']
    const { lines, connected, stop } = await startRaftHost({ home, listen, others: addresses })
    // A member has the same in its tracker's thread; this process does nothing else.
    const transport = new DirectTransport({
      ...{ base: lines, introducer: lines.introducer, clock: systemClock, logger: {} },
      ...{ random: Math.random, randomBytes, mayInvite: () => true },
    })
    const lane = new CallLane({ transport, clock: systemClock, random: Math.random })
    transport.start({
      onFrame: (peerId, kind, frame) => {
        if (kind === 'call') lane.onFrame(peerId, frame)
      },
      onLink: (peerId, isUp) => lane.onLink(peerId, isUp),
    })
    const known = { candidates: () => peerIds, region: regionNumber(facts.regionId) }
    const coordination = new RegionCoordination({ lane, clock: systemClock, members: known })
    const end = async (): Promise<void> => {
      await coordination.stop()
      lane.stop()
      transport.stop()
      await stop()
    }
    const endMs = performance.now() + CONNECT_MS
    while (connected().length < addresses.length) {
      if (performance.now() > endMs) {
        await end()
        throw new Error(`the client reaches ${connected().length} of ${addresses.length} members`)
      }
      await delay(20)
    }
    return new RaftClient(coordination, end)
  }

  /** Calls that brought no answer; what they asked for is in no figure. None, unless leaders change while it is measured. */
  get failures(): number {
    return this.#failures
  }

  keyspace(name: string): Keyspace {
    return this.#coordination.keyspace(name)
  }

  /** So many puts by many clients at once, each in the keyspace of its turn. Returns puts a second. */
  async putMany(names: readonly string[], total: number): Promise<number> {
    const keyspaces = names.map((name) => this.keyspace(name))
    let begun = 0
    let done = 0
    const client = async (): Promise<void> => {
      while (begun < total) {
        const keyspace = keyspaces[begun++ % keyspaces.length] as Keyspace
        if (await this.#put(keyspace, keyName(Math.floor(Math.random() * keyCount)))) done++
      }
    }
    const startMs = performance.now()
    await Promise.all(Array.from({ length: clients }, client))
    return (done / (performance.now() - startMs)) * 1_000
  }

  /** So many puts, one after the other. Returns the median, milliseconds. */
  async putOneByOne(name: string, total: number): Promise<number> {
    const keyspace = this.keyspace(name)
    return await medianOf(total, () =>
      this.#put(keyspace, keyName(Math.floor(Math.random() * keyCount))),
    )
  }

  /** So many linearizable reads of one key, one after the other. Returns the median, milliseconds. */
  async readOneByOne(name: string, total: number): Promise<number> {
    const keyspace = this.keyspace(name)
    await this.#put(keyspace, readKey)
    return await medianOf(total, () =>
      this.#isAnswered(async () => {
        const item = await keyspace.get(readKey)
        if (item?.value.length !== valueBytes) throw new Error('a read brings something else')
      }),
    )
  }

  async stop(): Promise<void> {
    await this.#stop()
  }

  #put(keyspace: Keyspace, key: string): Promise<boolean> {
    const then = [{ type: 'put', key, value: this.#value }] as const
    return this.#isAnswered(() => keyspace.transact({ then }))
  }

  async #isAnswered(call: () => Promise<unknown>): Promise<boolean> {
    try {
      await call()
      return true
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error
      this.#failures++
      return false
    }
  }
}

/** @param work returns whether it was done */
async function medianOf(total: number, work: () => Promise<boolean>): Promise<number> {
  const ms: number[] = []
  for (let index = 0; index < total; index++) {
    const startMs = performance.now()
    if (await work()) ms.push(performance.now() - startMs)
  }
  return median(ms)
}
