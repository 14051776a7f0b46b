/** Who owns which stream, as the region says it: what an operator looks at when a publisher is refused. Asks, and changes nothing. */
import type { Coordination, FencingToken } from '@kairo/tracker'
import { streamOwnerLimits as limits } from '../limits/stream-leases.ts'
import { OWNER_KEY, ownerKeyspace, readOwner, type StreamOwner } from './stream-lease-values.ts'
import type { StreamLeases } from './stream-leases.ts'
import { trackerFailure } from './tracker-errors.ts'

/** What it works with. */
export interface StreamOwnersComponents {
  readonly coordination: Coordination
  /** This peer's id, base58. */
  readonly peerId: string
  /** What this peer holds itself. */
  readonly leases: Pick<StreamLeases, 'leftMsOf'>
}

/** A stream and its owner. */
export interface OwnedStream {
  readonly id: string
  /** `free`: nobody in the region owns it; `unknown`: the region did not say. */
  readonly state: 'owned' | 'free' | 'unknown'
  /** Undefined too where a peer of another version owns it. */
  readonly owner: StreamOwner | undefined
  /** This peer is the owner. */
  readonly isSelf: boolean
  readonly token: FencingToken | undefined
  /** Milliseconds for which this peer owns it unless it renews the lease; undefined for other owners: only they and the leader know. */
  readonly leftMs: number | undefined
  /** Why the region did not say. */
  readonly problem: string | undefined
}

/** Reads owners. */
export class StreamOwners {
  readonly #components: StreamOwnersComponents

  constructor(components: StreamOwnersComponents) {
    this.#components = components
  }

  /** The owners of streams, at most `streamOwnerLimits.streamsMax`, in the order given. Never throws for a region that does not answer. */
  async read(ids: readonly string[]): Promise<OwnedStream[]> {
    return await Promise.all(ids.slice(0, limits.streamsMax).map((id) => this.#read(id)))
  }

  async #read(id: string): Promise<OwnedStream> {
    const { coordination, leases, peerId } = this.#components
    const nobody = {
      ...{ id, owner: undefined, isSelf: false, token: undefined },
      ...{ leftMs: undefined, problem: undefined },
    }
    try {
      const keyspace = coordination.keyspace(ownerKeyspace(id))
      const item = await keyspace.get(OWNER_KEY, { timeoutMs: limits.answerMsMax })
      if (item === undefined) return { ...nobody, state: 'free' }
      const owner = readOwner(item.value)
      const isSelf = owner?.peerId === peerId
      const leftMs = isSelf ? leases.leftMsOf(id) : undefined
      return { ...nobody, state: 'owned', owner, isSelf, token: item.token, leftMs }
    } catch (error) {
      return { ...nobody, state: 'unknown', problem: trackerFailure(error).message }
    }
  }
}
