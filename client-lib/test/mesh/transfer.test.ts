// Both sides of a connection against each other, over channels that overtake one another in any way: an honest peer is never at fault, and what it
// says was sent has come.
import fc from 'fast-check'
import { test } from 'tap'
import { PartMemory } from '../../src/memory/part-memory.ts'
import { Inbox } from '../../src/mesh/inbox.ts'
import { meshLimits as limits } from '../../src/mesh/limits.ts'
import { Outbox } from '../../src/mesh/outbox.ts'
import { UploadTurns } from '../../src/mesh/upload-turns.ts'
import { readChunk } from '../../src/protocol/chunk.ts'
import type { MeshMessage } from '../../src/protocol/mesh-messages.ts'
import { readMeshMessage } from '../../src/protocol/read-mesh-message.ts'
import { writeMessage } from '../../src/protocol/write-message.ts'
import { channelPair } from '../support/channel-pair.ts'
import { ManualClock } from '../support/manual-clock.ts'

const lengths = [1, 16_384, 70_000, 300_000]
const keys = lengths.map((_, index) => `r/${index}`)
/** What the parts hold. */
const pattern = Uint8Array.from({ length: 300_000 }, (_, at) => at * 7 + (at >> 8))

/** Two memories; the second one takes from the first. */
class Pair {
  readonly clock = new ManualClock()
  readonly source = createMemory()
  readonly target = createMemory()
  readonly turns = new UploadTurns(this, 1_000_000_000)
  readonly #chunks = channelPair()
  readonly #control = channelPair()
  readonly outbox: Outbox
  readonly inbox: Inbox
  /** Of each part: what came of the asks and pushes that ended uncut. */
  readonly ended: string[] = []

  constructor() {
    const [near, far] = this.#chunks
    near.bufferedAmountLowThreshold = limits.lowBytes
    const send =
      (end: 0 | 1) =>
      (message: MeshMessage): void =>
        this.#control[end].send(writeMessage(message))
    this.outbox = new Outbox(
      {
        ...{ clock: this.clock, memory: this.source, turns: this.turns, send: send(0) },
        chunks: near as unknown as RTCDataChannel,
      },
      { isPromised: () => false, onSent: () => {} },
    )
    near.onbufferedamountlow = () => this.outbox.resume()
    this.inbox = new Inbox({
      send: send(1),
      onHave: () => {},
      onLost: () => {},
      onPush: () => {},
      onChunk: (key, offset, bytes) => this.target.write(key, offset, bytes, 'a'),
      onLength: (key, bytes) => this.target.setBytes(key, bytes),
      onEnd: (key, isCut) => {
        if (!isCut) this.ended.push(key)
      },
    })
    far.onmessage = ({ data }) => this.inbox.takeChunk(readChunk(data))
    this.#control[0].onmessage = ({ data }) => this.#heard(data as string)
    this.#control[1].onmessage = ({ data }) => this.#heard(data as string)
  }

  flowControl(): void {
    this.#control[1].flow(1)
    this.#control[0].flow(1)
  }

  /** The next chunk, or one that overtakes it. */
  flowChunk(choice: number): void {
    this.#chunks[0].flow(1, (count) => choice % count)
  }

  flowAll(): void {
    const ends = [...this.#control, ...this.#chunks]
    while (ends.some(({ waiting }) => waiting.length > 0)) for (const end of ends) end.flow()
  }

  #heard(text: string): void {
    const message = readMeshMessage(text)
    if (message?.kind === 'ask') this.outbox.takeAsk(message)
    else if (message?.kind === 'cancel') this.outbox.takeCancel(message.no)
    else if (message?.kind === 'push') this.inbox.takePush(message)
    else if (message?.kind === 'end') this.inbox.takeEnd(message)
  }
}

function createMemory(): PartMemory {
  return new PartMemory({ bytesMax: 100_000_000, onEvicted: () => {} })
}

const part = fc.nat(keys.length - 1)
const step = fc.oneof(
  fc.tuple(part, fc.nat(100), fc.nat(100)).map(([index, from, to]) => (pair: Pair) => {
    const length = lengths[index] as number
    const [first, last] = [Math.floor((from * length) / 101), Math.floor((to * length) / 101)]
    pair.inbox.ask(keys[index] as string, first, last > first ? last : undefined)
  }),
  part.map((index) => (pair: Pair) => pair.outbox.push(keys[index] as string)),
  part.map((index) => (pair: Pair) => pair.inbox.cancel(keys[index] as string)),
  part.map((index) => (pair: Pair) => pair.source.drop(keys[index] as string)),
  fc.tuple(part, fc.nat(100)).map(([index, share]) => (pair: Pair) => {
    const length = lengths[index] as number
    const from = pair.source.available(keys[index] as string, 0)
    const to = Math.min(length, from + Math.ceil((share * length) / 100))
    if (to > from) pair.source.write(keys[index] as string, from, pattern.slice(from, to))
  }),
  part.map((index) => (pair: Pair) => {
    pair.source.setBytes(keys[index] as string, lengths[index] as number)
  }),
  fc.constant((pair: Pair) => pair.flowControl()),
  fc.nat(40).map((choice) => (pair: Pair) => pair.flowChunk(choice)),
  fc.constant((pair: Pair) => pair.flowAll()),
)

test('an honest peer is never at fault, and brings what it says', async (t) => {
  let ends = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pair = new Pair()
      for (const run of steps) run(pair)
      pair.flowAll()
      for (const [index, key] of keys.entries()) {
        const got = pair.target.read(key, 0, lengths[index] as number)
        if (Buffer.compare(got, pattern.subarray(0, got.length)) !== 0) throw new Error('wrong')
      }
      // Everything is there now, and all that is still under way comes to its end.
      for (const [index, key] of keys.entries()) {
        pair.source.setBytes(key, lengths[index] as number)
        pair.source.write(key, 0, pattern.slice(0, lengths[index]))
      }
      pair.flowAll()
      if (pair.inbox.asks > 0 || pair.outbox.size > 0) throw new Error('something hangs')
      for (const key of keys) pair.inbox.ask(key, 0)
      pair.flowAll()
      for (const key of keys) {
        if (!pair.target.isComplete(key)) throw new Error('not all came')
        if (!pair.ended.includes(key)) throw new Error('no end')
      }
      ends += pair.ended.length
    }),
    { numRuns: 80 },
  )
  t.ok(ends > 320)
})
