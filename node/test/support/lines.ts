/** Lines between trackers over real hosts, with what they brought. */
import type { Lane } from '@kairo/tracker'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { type Clock, systemClock } from '../../src/clock.ts'
import { LineTransport } from '../../src/coordination/line-transport.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { startHost } from './hosts.ts'

/** What a line brought. */
export interface HeardFrame {
  readonly peerId: string
  readonly lane: Lane
  readonly frame: Uint8Array
}

/** One side. */
export interface LineSide {
  readonly host: Libp2pHost
  readonly lines: LineTransport
  readonly registry: Registry
  readonly frames: HeardFrame[]
  /** `+peer` and `-peer`. */
  readonly links: string[]
  /** Hears frames as they come. */
  onFrame: ((heard: HeardFrame) => void) | undefined
}

/** A host with started lines; both end with the test. */
export async function startLines(
  t: Test,
  init: { readonly join?: readonly LineSide[]; readonly clock?: Clock } = {},
): Promise<LineSide> {
  const { join = [], clock = systemClock } = init
  const host = await startHost(t)
  const registry = new Registry()
  const lines = new LineTransport({ clock, registry, host, random: Math.random })
  const side: LineSide = { host, lines, registry, frames: [], links: [], onFrame: undefined }
  t.teardown(() => lines.close())
  await lines.listen()
  lines.start({
    onFrame: (peerId, lane, frame) => {
      side.frames.push({ peerId, lane, frame })
      side.onFrame?.({ peerId, lane, frame })
    },
    onLink: (peerId, isUp) => side.links.push(`${isUp ? '+' : '-'}${peerId}`),
  })
  for (const other of join) {
    await host.dial(other.host.multiaddrs(), { signal: AbortSignal.timeout(60_000) })
  }
  return side
}
