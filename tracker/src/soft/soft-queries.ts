/** What the leader of a shard replies to questions about its soft state. What a question costs is bounded whatever is asked. */
import { coordinateScale } from './holding.ts'
import { peerColumns } from './peer-table.ts'
import type { Holder, SoftQuestion, SoftReply } from './questions.ts'
import { softLimits } from './soft-limits.ts'
import type { SoftState } from './soft-state.ts'

/** No peer has it: asks for nobody. */
const NOBODY = -1

type HoldersQuestion = SoftQuestion & { readonly type: 'holders' }

/**
 * Replies to a question.
 * @param askerId who asks: it is not among its own holders, and `near` means near to it
 */
export function replyTo(state: SoftState, question: SoftQuestion, askerId: string): SoftReply {
  switch (question.type) {
    case 'holders':
      return { type: 'holders', holders: holdersOf(state, question, askerId) }
    case 'swarm':
      return { type: 'swarm', peerIds: swarmOf(state, question, askerId) }
    case 'viewers': {
      const subject = state.subjects.find(question.stream, question.rendition)
      if (subject === -1) return { type: 'viewers', viewers: 0, holders: 0 }
      const viewers = state.subjects.viewers(subject)
      return { type: 'viewers', viewers, holders: state.subjects.holders(subject) }
    }
    case 'totals':
      return {
        type: 'totals',
        peers: state.peers.size,
        subjects: state.subjects.size,
        entries: state.entries.rows.size,
        viewers: state.viewersTotal,
      }
    case 'holdings':
      return holdingsOf(state, question.peerId, question.from)
    case 'names':
      return {
        type: 'names',
        peerIds: question.handles.map((handle) => state.peers.nameOfHandle(handle)),
      }
  }
}

/**
 * Looks at holders in a row from a place drawn at random, at most so many, and keeps the best: with more holders than that, the best of a
 * sample, which also keeps all who ask at once from going to the same one.
 */
function holdersOf(state: SoftState, question: HoldersQuestion, askerId: string): Holder[] {
  const { stream, rendition, wanted, limit } = question
  const subject = state.subjects.find(stream, rendition)
  if (subject === -1) return []
  const asker = state.peers.find(askerId)
  const askerHandle = asker === -1 ? NOBODY : state.peers.handleOf(asker)
  const rank = rankBy(state, question.order, asker)
  const found: { peer: number; rank: number }[] = []
  state.scanHolders(subject, softLimits.holdersScannedMax, (entry) => {
    const handle = state.entries.handle(entry)
    if (handle === askerHandle) return
    if (wanted.type === 'part' && !state.entries.hasPart(entry, wanted.segment, wanted.part)) return
    if (
      wanted.type === 'segments' &&
      !state.entries.hasSegments(entry, wanted.first, wanted.count)
    ) {
      return
    }
    const peer = state.peers.rowOf(handle)
    keepBest(found, { peer, rank: rank(peer) }, limit)
  })
  return found.map(({ peer }) => {
    const row = state.peers.rows.chunk(peer)
    const at = state.peers.rows.offset(peer)
    return {
      peerId: state.peers.nameOf(peer),
      uploadFreeKbps: row[at + peerColumns.uploadFreeKbps] as number,
      busyPermille: row[at + peerColumns.busyPermille] as number,
    }
  })
}

/** Puts one in its place; of equals the one that was found first stays before. */
function keepBest(
  found: { peer: number; rank: number }[],
  candidate: { peer: number; rank: number },
  limit: number,
): void {
  const last = found[found.length - 1]
  if (found.length === limit && last !== undefined && candidate.rank >= last.rank) return
  let place = found.length
  while (place > 0 && (found[place - 1] as { rank: number }).rank > candidate.rank) place -= 1
  found.splice(place, 0, candidate)
  if (found.length > limit) found.pop()
}

/** A function that gives the best peers the lowest numbers. */
function rankBy(
  state: SoftState,
  order: HoldersQuestion['order'],
  asker: number,
): (peer: number) => number {
  const { rows } = state.peers
  const column = (peer: number, name: keyof typeof peerColumns): number =>
    rows.chunk(peer)[rows.offset(peer) + peerColumns[name]] as number
  const byUpload = (peer: number): number => -column(peer, 'uploadFreeKbps')
  if (order === 'upload') return byUpload
  if (order === 'idle') return (peer) => column(peer, 'busyPermille')
  // Who has told no coordinate cannot be near to anybody: then what they can send decides.
  if (asker === -1 || column(asker, 'hasCoordinate') === 0) return byUpload
  const own = coordinateOf(column(asker, 'coordinateXy'), column(asker, 'coordinateZh'))
  return (peer) => {
    if (column(peer, 'hasCoordinate') === 0) return FAR_MS
    const other = coordinateOf(column(peer, 'coordinateXy'), column(peer, 'coordinateZh'))
    const [x, y, z] = [own.x - other.x, own.y - other.y, own.z - other.z]
    const distance = Math.sqrt(x * x + y * y + z * z) + own.height + other.height
    // The nearest that can send nothing comes after the farthest that can.
    return distance / coordinateScale + (column(peer, 'uploadFreeKbps') === 0 ? FULL_MS : 0)
  }
}

/** Farther than any coordinate. */
const FAR_MS = 100_000
const FULL_MS = 200_000

interface Point {
  readonly x: number
  readonly y: number
  readonly z: number
  readonly height: number
}

function coordinateOf(xy: number, zh: number): Point {
  return { x: (xy << 16) >> 16, y: xy >> 16, z: (zh << 16) >> 16, height: zh >>> 16 }
}

function swarmOf(
  state: SoftState,
  { stream, rendition, limit }: SoftQuestion & { readonly type: 'swarm' },
  askerId: string,
): string[] {
  const subject = state.subjects.find(stream, rendition)
  if (subject === -1) return []
  const asker = state.peers.find(askerId)
  const handles = new Uint32Array(limit)
  const count = state.chooseHolders(subject, asker, limit, handles)
  return Array.from(handles.subarray(0, count), (handle) =>
    state.peers.nameOf(state.peers.rowOf(handle)),
  )
}

function holdingsOf(state: SoftState, peerId: string, from: number): SoftReply {
  const peer = state.peers.find(peerId)
  if (peer === -1) return { type: 'holdings', held: [], next: undefined }
  const entries = state.entriesOf(peer, from, softLimits.holdingsPageMax + 1)
  const page = entries.slice(0, softLimits.holdingsPageMax)
  const following = entries[softLimits.holdingsPageMax]
  return {
    type: 'holdings',
    held: page.map((entry) => ({
      ...state.subjects.nameOf(state.entries.subject(entry)),
      ...state.entries.holding(entry),
    })),
    next: following === undefined ? undefined : state.entries.id(following),
  }
}
