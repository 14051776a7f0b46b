/** Answers "why is P2P at 0 %?" in a sentence, for who embeds the player: the first reason that applies, from the page outwards. */
import type { Allowed } from '../manners/manners.ts'
import { type KairoStats, offloadOf } from './stats.ts'

/** What is known. */
export interface Situation {
  /** Whether a source was loaded. */
  readonly hasSource: boolean
  readonly edges: number
  readonly badEdges: readonly string[]
  /** Whether this browser can connect to other pages at all. */
  readonly canConnect: boolean
  readonly allowed: Pick<Allowed, 'mayTake' | 'mayGive' | 'why'>
  readonly swarm: string | undefined
  /** What the edge said when it wanted nothing of this page. */
  readonly off: string | undefined
  readonly stats: KairoStats
}

/** The sentence. */
export function diagnose(situation: Situation): string {
  return hindrance(situation) ?? outcome(situation)
}

function hindrance(situation: Situation): string | undefined {
  const { badEdges, off, allowed, stats } = situation
  if (!situation.hasSource)
    return 'Nothing has been loaded: no source was given to a player that this engine is bound to.'
  if (situation.edges === 0 && badEdges.length > 0)
    return `No P2P: "${badEdges[0]}" is no address of an edge.`
  if (situation.edges === 0) return 'No P2P: no edge is named in the settings.'
  if (!situation.canConnect) return 'No P2P: this browser has no WebRTC, or it is turned off.'
  if (!allowed.mayTake) return `No P2P: ${allowed.why}.`
  if (off !== undefined) return `No P2P: the edge refused this page (${off}).`
  if (!stats.isEdgeOpen && stats.peers.length === 0) {
    return `No P2P: the edge ${stats.edge ?? ''} cannot be reached; it is tried again.`
  }
  return undefined
}

function outcome({ stats, swarm, allowed }: Situation): string {
  const { peers, httpBytes, peerBytes, refusedParts } = stats
  const bytes = httpBytes + peerBytes
  if (peerBytes === 0) {
    if (peers.length === 0) {
      return `No P2P yet: nobody else is connected in the swarm "${swarm}". Either nobody watches this now, or networks keep the pages apart.`
    }
    if (bytes === 0) return `${peers.length} pages are connected; nothing has been loaded yet.`
    if (refusedParts > 0)
      return `No P2P: ${refusedParts} parts of others were not what they should be. Do all viewers of "${swarm}" see the same media?`
    return `No P2P yet: ${peers.length} pages are connected, but none had in time what this one plays.`
  }
  const percent = Math.round(offloadOf(stats) * 100)
  const given = allowed.mayGive ? '' : ` Nothing is sent to others: ${allowed.why}.`
  return `${percent} % of ${megabytes(bytes)} came from other pages; ${peers.length} are connected now.${given}`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}
