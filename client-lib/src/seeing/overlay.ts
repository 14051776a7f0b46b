/** A small table over a player: who brings what. For who embeds it, not for viewers. */
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import type { KairoStats } from './stats.ts'

/** What the table shows. */
export interface Shown {
  stats(): KairoStats
  diagnose(): string
}

const everyMs = 1_000
/** Peers that are listed one by one. */
const rowsMax = 8

const style =
  'position:absolute;top:8px;left:8px;z-index:9;margin:0;padding:6px 8px;max-width:90%;overflow:hidden;white-space:pre-wrap;pointer-events:none;border-radius:4px;background:#000b;color:#fff;font:12px/1.4 monospace'

/**
 * Shows an engine's figures within an element (one that is positioned, around the video), and keeps them up to date.
 * @returns what takes the table away
 */
export function showOverlay(
  engine: Shown,
  parent: HTMLElement,
  clock: Clock = systemClock,
): () => void {
  const table = parent.ownerDocument.createElement('pre')
  table.style.cssText = style
  parent.append(table)
  let cancel = (): void => {}
  const show = (): void => {
    // As text: ids of peers and what an edge says come from elsewhere.
    table.textContent = overlayText(engine.stats(), engine.diagnose())
    cancel = clock.after(everyMs, show)
  }
  show()
  return () => {
    cancel()
    table.remove()
  }
}

/** The table's text. */
export function overlayText(stats: KairoStats, diagnosis: string): string {
  const { peers, latencyMs } = stats
  const rows = peers.slice(0, rowsMax).map(({ id, rttMs, receivedBytes, sentBytes }) => {
    const ms = String(Math.round(rttMs)).padStart(4)
    return `${id.slice(0, 6)} ${ms} ms  ↓ ${mega(receivedBytes)}  ↑ ${mega(sentBytes)}`
  })
  const more = peers.length > rowsMax ? [`and ${peers.length - rowsMax} more`] : []
  return [
    `P2P ${Math.round(stats.offload * 100)} %  saved ${mega(stats.peerBytes)}  HTTP ${mega(stats.httpBytes)}  sent ${mega(stats.sentBytes)}`,
    `${stats.isEdgeOpen ? 'edge' : 'no edge'}  ${peers.length} peers  ${stats.refusedParts} refused${latencyMs === undefined ? '' : `  ${(latencyMs / 1_000).toFixed(1)} s behind`}`,
    ...rows,
    ...more,
    diagnosis,
  ].join('\n')
}

function mega(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}
