/** Tells the engine what the player's playlists say: live parts that are new, and what plays now. */
import type { Fragment, LevelDetails } from 'hls.js'
import type { PartEngine, PartSource, Playing } from '../engine/part-request.ts'
import { hlsLimits as limits } from './limits.ts'
import { hasParts, sourceOf } from './renditions.ts'

/** A place in a rendition. */
interface Place {
  readonly sequence: number
  /** -1: a whole segment. */
  readonly part: number
}

/** What plays, as far as the player knows. */
export interface PlayerView {
  readonly rendition: string | undefined
  /** Of that rendition's playlist, when it was loaded. */
  readonly details: LevelDetails | undefined
  /** What is on the screen; undefined before the first picture. */
  readonly frag: Fragment | undefined
  /** Media time; undefined before there is anything to play. */
  readonly positionS: number | undefined
  /** How far behind the edge the player wants to be. */
  readonly targetLatencyS: number | undefined
  readonly isLowLatency: boolean
}

/** The watch over one player. */
export class PlaylistWatch {
  readonly #newest = new Map<string, Place>()
  #told: Playing | undefined

  /** A playlist came, or came anew. The first time nothing of it is new: what the player needs of it, it asks for. */
  listed(
    engine: PartEngine,
    rendition: string,
    details: LevelDetails,
    isLowLatency: boolean,
  ): void {
    if (!details.live) return
    const all = hasParts(details, isLowLatency) ? partsOf(details) : segmentsOf(details)
    const last = all.at(-1)
    if (last === undefined) return
    const before = this.#newest.get(rendition)
    this.#newest.delete(rendition)
    this.#newest.set(rendition, last.place)
    const [oldest] = this.#newest.keys()
    if (this.#newest.size > limits.renditionsMax) this.#newest.delete(oldest as string)
    if (before === undefined) return
    const fresh = all.filter(({ place }) => isAfter(place, before)).slice(-limits.publishedMax)
    const sources = fresh.map(({ source }) => source(rendition))
    if (sources.length > 0) engine.published(sources)
  }

  /** Something of what plays may have changed. */
  plays(engine: PartEngine, view: PlayerView): void {
    const next = this.#playing(view)
    if (next === undefined || isSame(next, this.#told)) return
    this.#told = next
    engine.playing(next)
  }

  /** Nothing plays any more. */
  ends(engine: PartEngine | undefined): void {
    if (this.#told !== undefined) engine?.playing(undefined)
    this.#told = undefined
    this.#newest.clear()
  }

  #playing(view: PlayerView): Playing | undefined {
    const { rendition, details, frag, isLowLatency } = view
    if (rendition === undefined || details === undefined) return undefined
    const partS = hasParts(details, isLowLatency) ? details.partTarget : details.targetduration
    return {
      rendition,
      sequence: typeof frag?.sn === 'number' ? frag.sn : Math.max(0, details.endSN),
      isLive: this.#isAtEdge(view, details),
      partMs: Math.max(1, Math.round(partS * 1_000)),
    }
  }

  /** At the edge is who is not much further behind than the player wants; one that left comes back when it is quite there. */
  #isAtEdge({ positionS, targetLatencyS }: PlayerView, details: LevelDetails): boolean {
    if (!details.live) return false
    if (positionS === undefined) return true
    const { edge, targetduration } = details
    const slack = limits.edgeSlack * (this.#told?.isLive === false ? 1 : 2)
    const targetS = targetLatencyS ?? 3 * targetduration
    return edge - positionS <= targetS + slack * targetduration
  }
}

interface Listed {
  readonly place: Place
  readonly source: (rendition: string) => PartSource
}

function partsOf({ partList }: LevelDetails): Listed[] {
  return (partList ?? [])
    .filter(({ gap }) => !gap)
    .map((part) => {
      const { sn } = part.fragment
      return {
        place: { sequence: sn, part: part.index },
        source: (rendition) => sourceOf(rendition, part, sn, part.index),
      }
    })
}

function segmentsOf({ fragments }: LevelDetails): Listed[] {
  return fragments
    .filter(({ gap }) => gap !== true)
    .map((segment) => ({
      place: { sequence: segment.sn, part: -1 },
      source: (rendition) => sourceOf(rendition, segment, segment.sn, undefined),
    }))
}

function isAfter(place: Place, before: Place): boolean {
  if (place.sequence !== before.sequence) return place.sequence > before.sequence
  return place.part > before.part
}

function isSame(a: Playing, b: Playing | undefined): boolean {
  return (
    a.rendition === b?.rendition &&
    a.sequence === b.sequence &&
    a.isLive === b.isLive &&
    a.partMs === b.partMs
  )
}
