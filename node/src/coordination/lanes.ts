/** How the lanes of the tracker lie on protocols and streams. */
import type { Lane } from '@kairo/tracker'
import { RAFT_PROTOCOL, TRACKER_PROTOCOL } from '../host/protocols.ts'

/** The protocol of a lane's streams. */
export function protocolOf(lane: Lane): string {
  return lane === 'call' ? TRACKER_PROTOCOL : RAFT_PROTOCOL
}

/** What the streams of a lane begin with. */
export function preambleOf(lane: Lane): Uint8Array {
  if (lane === 'call') return new Uint8Array(0)
  return Uint8Array.of(lane === 'raft' ? 1 : 2)
}

/** The lane that the first byte of a stream of {@link RAFT_PROTOCOL} names. */
export function laneOf(byte: number): Lane | undefined {
  if (byte === 1) return 'raft'
  return byte === 2 ? 'bulk' : undefined
}
