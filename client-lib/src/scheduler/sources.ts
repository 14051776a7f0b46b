/**
 * Peers as sources: what each has shown so far, and which of them is asked for what.
 *
 * - A holder can be asked when it is up, has not failed at the part, has nothing of it under way and has a free place (`asksPerPeerMax`).
 * - Whole holders come before those that have the part coming in, as long as they can be expected to bring it in time: many may have turned to one. Among
 *   those that have it coming in the edge's order counts first, since it knows the lease's holder and who else waits.
 * - Else the one that would be done first counts: round trip, bytes by its measured rate shared among what it does already, made worse by faults.
 *   Among those that are nearly as good one is drawn, so that not all pages turn to the same peer.
 * - Much that is missing is split over up to three whole holders by the rates that can be expected of them, in whole chunks.
 */
import { protocolLimits } from '../protocol/limits.ts'
import type { PeerId } from './events.ts'
import { schedulerLimits } from './limits.ts'
import type { Part } from './part-state.ts'
import type { ByteRange } from './ranges.ts'
import { Rate } from './rate.ts'

/** Another page that is connected. */
export class Peer {
  readonly id: PeerId
  rttMs: number
  readonly rate = new Rate(schedulerLimits.peerBpsFirst)
  /** Parts that it holds, or is asked for, or pushes; the oldest first. */
  readonly parts = new Set<Part>()
  asks = 0
  pushes = 0
  faults = 0
  /** It has brought something: if it is silent now, it is busy, not idle. */
  hasGiven = false

  constructor(id: PeerId, rttMs: number) {
    this.id = id
    this.rttMs = rttMs
  }

  /** What another ask can expect of it, bits a second. */
  get expectedBps(): number {
    return this.rate.bps / (this.asks + 1) / (this.faults + 1)
  }

  /** How long it would take for so many bytes. */
  expectedMs(bytes: number): number {
    return this.rttMs + (bytes * 8_000) / this.expectedBps
  }

  /** How long it may send nothing. */
  get patienceMs(): number {
    return schedulerLimits.silentMs + 4 * this.rttMs
  }
}

/** One ask: of a peer, for a range. */
export interface Choice {
  readonly peer: Peer
  readonly range: ByteRange
}

/** Holders that can be asked for a part. */
export function candidates(
  part: Part,
  peers: ReadonlyMap<PeerId, Peer>,
): { whole: Peer[]; coming: Peer[] } {
  const whole: Peer[] = []
  const coming: Peer[] = []
  for (const [id, isWhole] of part.holders) {
    const peer = peers.get(id)
    if (peer === undefined || part.spent.has(id) || part.pulls.has(id)) continue
    if (peer.asks >= schedulerLimits.asksPerPeerMax) continue
    ;(isWhole ? whole : coming).push(peer)
  }
  return { whole, coming }
}

/** The best of some peers for so many bytes. */
export function best(
  peers: readonly Peer[],
  bytes: number,
  random: () => number,
): Peer | undefined {
  const times = peers.map((peer) => peer.expectedMs(bytes))
  const bound = Math.min(...times) * 1.2
  const good = peers.filter((_, at) => (times[at] ?? 0) <= bound)
  return good.length < 2 ? good[0] : good[Math.floor(random() * good.length)]
}

/** Who is asked for what of `gaps`, to be there within a time; what nobody is left for is not in it. */
export function choose(
  part: Part,
  peers: ReadonlyMap<PeerId, Peer>,
  gaps: readonly ByteRange[],
  withinMs: number,
  random: () => number,
): Choice[] {
  const choices: Choice[] = []
  const { whole, coming } = candidates(part, peers)
  const named = part.answer?.peers ?? []
  const ordered = named.flatMap((id) => coming.filter((peer) => peer.id === id))
  for (const gap of gaps) {
    const bytes = gap.to - gap.from
    const room = schedulerLimits.splitMax - part.pulls.size - choices.length
    if (bytes >= schedulerLimits.splitBytesMin && bytes < Number.POSITIVE_INFINITY && room > 1) {
      const several = fastest(whole, room)
      if (several.length > 1) {
        choices.push(...split(gap, several))
        for (const peer of several) remove(whole, peer)
        continue
      }
    }
    const expected = Number.isFinite(bytes) ? bytes : schedulerLimits.partBytesFirst
    const first = best(whole, expected, random)
    const isEnough = first !== undefined && first.expectedMs(expected) <= withinMs
    const other = isEnough ? undefined : (ordered[0] ?? best(coming, expected, random))
    const peer = isBetter(other, first, expected) ? other : first
    if (peer === undefined) break
    for (const list of [whole, coming, ordered]) remove(list, peer)
    choices.push({ peer, range: gap })
  }
  return choices
}

function isBetter(one: Peer | undefined, other: Peer | undefined, bytes: number): boolean {
  if (one === undefined || other === undefined) return other === undefined
  return one.expectedMs(bytes) < other.expectedMs(bytes)
}

function fastest(peers: readonly Peer[], count: number): Peer[] {
  return peers
    .toSorted((one, other) => other.expectedBps - one.expectedBps || one.rttMs - other.rttMs)
    .slice(0, count)
}

/** Shares by what can be expected; a peer whose share is less than a chunk gets none. */
function split(gap: ByteRange, peers: readonly Peer[]): Choice[] {
  const chunk = protocolLimits.chunkBytesMax
  const total = peers.reduce((sum, peer) => sum + peer.expectedBps, 0)
  const choices: Choice[] = []
  let from = gap.from
  let share = 0
  for (const [at, peer] of peers.entries()) {
    share += peer.expectedBps / total
    const cut = gap.from + Math.round((share * (gap.to - gap.from)) / chunk) * chunk
    const to = at === peers.length - 1 ? gap.to : Math.min(cut, gap.to)
    if (to > from) choices.push({ peer, range: { from, to } })
    from = Math.max(from, to)
  }
  return choices
}

function remove(list: Peer[], peer: Peer): void {
  const at = list.indexOf(peer)
  if (at >= 0) list.splice(at, 1)
}
