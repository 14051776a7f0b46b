/**
 * Two ends of a data channel in memory. What is sent waits, and counts as buffered, until the test or the network lets it flow; then it arrives at
 * the other end, and `bufferedamountlow` is told as a browser does: when the amount falls to the threshold, not while it is below.
 */
import assert from 'node:assert/strict'

/** What an end can be sent. */
export type ChannelData = string | ArrayBuffer

/** One end. */
export class TestChannel {
  readyState: RTCDataChannelState = 'connecting'
  bufferedAmount = 0
  bufferedAmountLowThreshold = 0
  binaryType: BinaryType = 'arraybuffer'
  onopen: (() => void) | null = null
  onclose: (() => void) | null = null
  onmessage: ((event: { readonly data: ChannelData }) => void) | null = null
  onbufferedamountlow: (() => void) | null = null
  /** The other end. */
  peer: TestChannel | undefined
  /** Called when something waits; without it the test lets it flow. */
  onWaiting: (() => void) | undefined
  /** The most that ever waited. */
  bufferedMax = 0
  readonly waiting: ChannelData[] = []

  send(data: ChannelData): void {
    if (this.readyState !== 'open') throw new DOMException('not open', 'InvalidStateError')
    this.waiting.push(data)
    this.bufferedAmount += sizeOf(data)
    this.bufferedMax = Math.max(this.bufferedMax, this.bufferedAmount)
    this.onWaiting?.()
  }

  /** Lets messages arrive until at least so many bytes have. `index` says which of them is next; default: the first. */
  flow(bytes = Number.POSITIVE_INFINITY, index: (count: number) => number = () => 0): void {
    for (let left = bytes; left > 0 && this.waiting.length > 0; ) {
      const [data] = this.waiting.splice(index(this.waiting.length), 1)
      assert(data !== undefined)
      left -= sizeOf(data)
      const was = this.bufferedAmount
      this.bufferedAmount -= sizeOf(data)
      if (this.peer?.readyState === 'open') this.peer.onmessage?.({ data })
      const threshold = this.bufferedAmountLowThreshold
      if (was > threshold && this.bufferedAmount <= threshold) this.onbufferedamountlow?.()
    }
  }

  open(): void {
    this.readyState = 'open'
    this.onopen?.()
  }

  close(): void {
    if (this.readyState === 'closed') return
    this.readyState = 'closed'
    this.waiting.length = 0
    this.onclose?.()
  }
}

/** Two ends, open. */
export function channelPair(): [TestChannel, TestChannel] {
  const pair: [TestChannel, TestChannel] = [new TestChannel(), new TestChannel()]
  const [first, second] = pair
  first.peer = second
  second.peer = first
  for (const end of pair) end.open()
  return pair
}

function sizeOf(data: ChannelData): number {
  return typeof data === 'string' ? data.length : data.byteLength
}
