/**
 * Which of two records of one stream holds. From one peer it is the newer one. From two peers it is the one whose peer came to own the
 * stream later, by the fencing tokens of their region: clocks do not decide then.
 */
import type { FencingToken, StreamRecord } from '../stream.ts'

/** Below 0 when `a` is older than `b`; one that is absent is older than any. */
export function compareTokens(a: FencingToken | undefined, b: FencingToken | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  return a.term - b.term || a.index - b.index
}

/** True when `record` takes the place of `known`, both of one stream. */
export function replaces(known: StreamRecord, record: StreamRecord): boolean {
  const isNewer = record.sequence > known.sequence
  if (record.originPeer === known.originPeer) return isNewer
  // Whoever publishes without a region that could decide is heard once the owner has said that its own is over.
  if (known.state === 'ended' && record.state === 'live') return isNewer
  const order = compareTokens(record.token, known.token)
  return order === 0 ? isNewer : order > 0
}
