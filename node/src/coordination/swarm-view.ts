/** Who holds what and who watches, as the leaders of the region's shards know it: what an operator looks at, and where else a stream may be had. */
import type { SoftTotals, StreamReply, Swarms } from '@kairo/tracker'
import type { Clock } from '../clock.ts'
import { deadline, unlessAborted } from '../deadline.ts'
import { KairoError } from '../errors.ts'
import { swarmAskLimits as limits } from '../limits/swarms.ts'
import { trackerFailure } from './tracker-errors.ts'

/** What it works with. */
export interface SwarmViewComponents {
  readonly clock: Clock
  /** Undefined while no tracker runs. */
  readonly swarms: () => Swarms | undefined
}

/** A stream in the region. */
export interface SwarmOfStream {
  readonly viewers: number
  /** Peers that hold something of it, or serve viewers. */
  readonly holders: number
  /** Why the region did not say; the figures are 0 then. */
  readonly problem: string | undefined
}

/** A peer that holds something of a rendition. */
export interface SwarmHolder {
  readonly peerId: string
  readonly uploadFreeKbps: number
  /** Thousandths of what it can do that are used. */
  readonly busyPermille: number
}

/** One rendition and some of those who hold something of it. */
export interface RenditionHolders {
  readonly rendition: string
  readonly holders: readonly SwarmHolder[]
  readonly problem: string | undefined
}

/** Looks into the region's swarms. */
export class SwarmView {
  readonly #components: SwarmViewComponents

  constructor(components: SwarmViewComponents) {
    this.#components = components
  }

  /** All shards together. @throws KairoError ERR_NO_QUORUM while no tracker runs */
  async totals(): Promise<SoftTotals> {
    try {
      return await this.#swarms().totals({ timeoutMs: limits.answerMsMax })
    } catch (error) {
      throw trackerFailure(error)
    }
  }

  /** Streams, at most `swarmAskLimits.streamsMax`, in the order given. @throws KairoError as {@link totals} */
  async streams(ids: readonly string[]): Promise<SwarmOfStream[]> {
    const asked = ids.slice(0, limits.streamsMax)
    const questions = asked.map((stream) => ({ type: 'viewers', stream, rendition: '' }) as const)
    return (await this.#ask(questions)).map((reply) =>
      reply.type === 'viewers'
        ? { viewers: reply.viewers, holders: reply.holders, problem: undefined }
        : { viewers: 0, holders: 0, problem: problemOf(reply) },
    )
  }

  /** Which others hold something of a stream's renditions, those with the most free upload first. @throws KairoError as {@link totals} */
  async holders(id: string, renditions: readonly string[]): Promise<RenditionHolders[]> {
    const asked = renditions.slice(0, limits.renditionsMax)
    const rest = { wanted: { type: 'any' }, order: 'upload', limit: limits.holdersMax } as const
    const questions = asked.map(
      (rendition) => ({ type: 'holders', stream: id, rendition, ...rest }) as const,
    )
    return (await this.#ask(questions)).map((reply, at) => {
      const rendition = asked[at] as string
      return reply.type === 'holders'
        ? { rendition, holders: reply.holders, problem: undefined }
        : { rendition, holders: [], problem: problemOf(reply) }
    })
  }

  /** Some peers to have a stream from, soon or not at all: a look-up goes on beside this and waits for nobody. */
  async peersOf(id: string, signal: AbortSignal): Promise<readonly string[]> {
    const swarms = this.#components.swarms()
    if (swarms === undefined) return []
    const limit = deadline(this.#components.clock, limits.providersMsMax)
    const { providersMax: limitMax } = limits
    const question = { type: 'swarm', stream: id, rendition: '', limit: limitMax } as const
    try {
      const asked = swarms.ask([question], { timeoutMs: limits.providersMsMax })
      const [reply] = await unlessAborted(asked, AbortSignal.any([signal, limit.signal]))
      return reply?.type === 'swarm' ? reply.peerIds : []
    } catch {
      // The DHT and the gossip are asked as well; a region that does not answer costs nothing.
      return []
    } finally {
      limit.clear()
    }
  }

  #swarms(): Swarms {
    const swarms = this.#components.swarms()
    if (swarms === undefined) throw new KairoError('ERR_NO_QUORUM', 'no tracker runs here')
    return swarms
  }

  async #ask(questions: Parameters<Swarms['ask']>[0]): Promise<StreamReply[]> {
    try {
      return await this.#swarms().ask(questions, { timeoutMs: limits.answerMsMax })
    } catch (error) {
      throw trackerFailure(error)
    }
  }
}

function problemOf(reply: StreamReply): string {
  return reply.type === 'unknown' ? reply.message : 'a leader of another version'
}
