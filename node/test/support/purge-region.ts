/** A region with a real tracker in memory and in virtual time, and peers of it whose purges lie in its log. */
import type { Keyspace } from '@kairo/tracker'
import type { Test } from 'tap'
import { groupOf } from '../../../tracker/src/region/shard-of.ts'
import { GroupsStage } from '../../../tracker/test/support/groups-stage.ts'
import type { PurgeReport } from '../../src/cdn/purge/purge-report.ts'
import type { PurgeMode, PurgeSelector } from '../../src/cdn/purge-selector.ts'
import { type PassingClock, PurgeNetwork, type PurgePeer } from './purge-network.ts'

/** Both, and what a test does with them. */
export class PurgeRegionStage {
  readonly stage: GroupsStage
  readonly network: PurgeNetwork<PassingClock>
  /** The log's keyspace, for whoever writes there directly. */
  readonly keyspace: Keyspace

  private constructor(stage: GroupsStage, memberTtlMs?: number) {
    this.stage = stage
    const view = this.stage.clock.view()
    const clock: PassingClock = {
      now: () => view.now(),
      monotonicMs: () => view.monotonicMs(),
      after: (delayMs, callback) => view.after(delayMs, callback),
      pass: (ms) => this.stage.clock.pass(ms),
    }
    const connect = () => {
      const { peerId, coordination } = this.stage.connect()
      const cut = (): void => this.stage.network.isolate(peerId)
      return { coordination, cut }
    }
    this.network = new PurgeNetwork({
      ...{ clock, random: this.stage.random },
      region: { clock, connect, ...(memberTtlMs !== undefined && { memberTtlMs }) },
    })
    this.keyspace = this.stage.connect().coordination.keyspace('purges')
  }

  /** Members that decide, one by default, for time costs the more the more there are; and no peer yet. */
  static async make(
    t: Test,
    { members = 1, memberTtlMs }: { members?: number; memberTtlMs?: number } = {},
  ): Promise<PurgeRegionStage> {
    const stage = new GroupsStage()
    await stage.found(members, [groupOf('purges')])
    const made = new PurgeRegionStage(stage, memberTtlMs)
    t.teardown(async () => {
      await made.network.stop()
      await made.stage.stop()
    })
    return made
  }

  /** What a promise brings, for which time passes. */
  result<Value>(work: Promise<Value>): Promise<Value> {
    return this.stage.clock.result(work)
  }

  /** Lets time pass until something holds, a minute at most. */
  until(holds: () => boolean): Promise<void> {
    return this.stage.clock.until(holds)
  }

  /** Purges at a peer. */
  purge(peer: PurgePeer, selector: PurgeSelector, mode: PurgeMode = 'hard'): Promise<PurgeReport> {
    return this.result(peer.purges.purge(selector, mode))
  }

  /** The purges that a peer tells of, newest last, after it has asked the others. */
  async reports(peer: PurgePeer): Promise<PurgeReport[]> {
    await this.result(peer.purges.refresh())
    return peer.purges.reports()
  }

  /** No member answers anybody, or all do again. */
  setQuorum(isThere: boolean): void {
    this.stage.network.settings.loses = () => !isThere
  }

  /** Keys of the log's keyspace under a prefix. */
  async keys(prefix: string): Promise<string[]> {
    const keys: string[] = []
    for (;;) {
      const after = keys.at(-1)
      const list = this.keyspace.list(prefix, after === undefined ? {} : { after })
      const { items, more } = await this.result(list)
      keys.push(...items.map(({ key }) => key))
      if (!more) return keys
    }
  }

  /** Writes a key of the keyspace. */
  async put(key: string, value: string | Uint8Array): Promise<void> {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    await this.result(this.keyspace.transact({ then: [{ type: 'put', key, value: bytes }] }))
  }
}
