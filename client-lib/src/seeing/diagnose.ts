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
  const { stats, allowed } = situation
  const { peers, httpBytes, peerBytes } = stats
  if (peerBytes === 0) return `No P2P: ${hindrance(situation)}.`
  const percent = Math.round(offloadOf(stats) * 100)
  const megabytes = ((httpBytes + peerBytes) / 1e6).toFixed(1)
  const given = allowed.mayGive ? '' : ` Nothing is sent to them: ${allowed.why}.`
  return `${percent} % of ${megabytes} MB came from other pages; ${peers.length} are connected now.${given}`
}

function hindrance({ stats, swarm, ...of }: Situation): string {
  const { edge, isEdgeOpen, peers, httpBytes, refusedParts } = stats
  if (!of.hasSource) return 'no player that this engine is bound to has loaded anything'
  if (of.edges === 0 && of.badEdges.length > 0)
    return `"${of.badEdges[0]}" is no address of an edge`
  if (of.edges === 0) return 'no edge is named in the settings'
  if (!of.canConnect) return 'this browser has no WebRTC'
  if (!of.allowed.mayTake) return `${of.allowed.why}`
  if (of.off !== undefined) return `the edge refused this page (${of.off})`
  const pages = `${peers.length} other pages in swarm "${swarm}" are connected`
  if (peers.length === 0) {
    return isEdgeOpen
      ? `${pages}; nobody watches the same now, or networks keep the pages apart`
      : `the edge ${edge} cannot be reached; it is tried again`
  }
  if (httpBytes === 0) return `${pages}, and nothing has been loaded yet`
  if (refusedParts > 0)
    return `${pages}, but ${refusedParts} parts had wrong bytes; is it the same media?`
  return `${pages}, but none had in time what this one plays`
}
