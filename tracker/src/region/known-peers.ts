/** The peers that a region's agent has met or heard of: what each said last, and when it is to be asked again. */
import { regionLimits, regionTimes } from './region-limits.ts'
import type { Hello, HelloRegion } from './region-messages.ts'

/** One peer. */
export interface KnownPeer {
  readonly peerId: string
  isUp: boolean
  /** When it was last asked for a hello; undefined for never. */
  greetedAtMs: number | undefined
  hello: Hello | undefined
  heardAtMs: number
  /** Requests to join that it did not grant, since its last grant. */
  failures: number
}

/** A region that somebody speaks for. */
export interface HeardRegion extends HelloRegion {
  /** Who can be asked, best first. */
  readonly speakers: readonly string[]
}

/** All peers that are known, up to a limit. */
export class KnownPeers {
  readonly #peers = new Map<string, KnownPeer>()
  /** Peers that found no place. */
  dropped = 0

  get size(): number {
    return this.#peers.size
  }

  /** A peer, made known if there is room for it; those that are not connected make room for others. */
  meet(peerId: string): KnownPeer | undefined {
    const known = this.#peers.get(peerId)
    if (known !== undefined) return known
    if (this.#peers.size >= regionLimits.peersMax && !this.#makeRoom()) {
      this.dropped += 1
      return undefined
    }
    const made: KnownPeer = {
      peerId,
      isUp: false,
      greetedAtMs: undefined,
      hello: undefined,
      heardAtMs: 0,
      failures: 0,
    }
    this.#peers.set(peerId, made)
    return made
  }

  get(peerId: string): KnownPeer | undefined {
    return this.#peers.get(peerId)
  }

  /** Peers to say hello to now: those whose last hello is longest ago, those of `regionId` not at all. */
  due(atMs: number, everyMs: number, regionId: string | undefined): string[] {
    return [...this.#peers.values()]
      .filter(({ greetedAtMs, hello }) => {
        const isOurs = regionId !== undefined && hello?.region?.regionId === regionId
        return !isOurs && (greetedAtMs === undefined || atMs - greetedAtMs >= everyMs)
      })
      .sort((a, b) => (a.greetedAtMs ?? -1) - (b.greetedAtMs ?? -1))
      .slice(0, regionLimits.greetingsMax)
      .map(({ peerId }) => peerId)
  }

  /** Regions of a name that were heard of lately, with their newest figures. */
  regions(name: string, atMs: number): HeardRegion[] {
    const heard = new Map<string, { region: HelloRegion; atMs: number; speakers: KnownPeer[] }>()
    for (const peer of this.#peers.values()) {
      const { hello, heardAtMs } = peer
      const region = hello?.region
      if (region === undefined || hello?.name !== name) continue
      if (atMs - heardAtMs > regionTimes.conflictMs) continue
      const found = heard.get(region.regionId)
      if (found === undefined)
        heard.set(region.regionId, { region, atMs: heardAtMs, speakers: [peer] })
      else {
        found.speakers.push(peer)
        if (heardAtMs >= found.atMs) {
          found.region = region
          found.atMs = heardAtMs
        }
      }
    }
    return [...heard.values()].map(({ region, speakers }) => ({
      ...region,
      speakers: speakers.sort(bySuccess).map(({ peerId }) => peerId),
    }))
  }

  /** Peers that are connected and said that they look for a region of a name as well. */
  lookers(name: string): string[] {
    return [...this.#peers.values()]
      .filter(({ isUp, hello }) => isUp && hello?.name === name && hello.region === undefined)
      .map(({ peerId }) => peerId)
  }

  #makeRoom(): boolean {
    for (const [peerId, { isUp }] of this.#peers) {
      if (isUp) continue
      this.#peers.delete(peerId)
      return true
    }
    return false
  }
}

function bySuccess(a: KnownPeer, b: KnownPeer): number {
  return a.failures - b.failures || b.heardAtMs - a.heardAtMs || (a.peerId < b.peerId ? -1 : 1)
}
