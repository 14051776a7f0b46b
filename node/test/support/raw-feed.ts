/** Both ends of a feed by hand, for tests that send what a correct peer would not. */
import { create } from '@bufbuild/protobuf'
import type { IndexWindow } from '../../src/content/index/index-window.ts'
import { parseStreamId } from '../../src/content/stream-key.ts'
import { FEED_PROTOCOL } from '../../src/host/protocols.ts'
import type { PeerStream } from '../../src/host/transport.ts'
import { contentLimits } from '../../src/limits.ts'
import { encodeFrameHeader, FrameDecoder } from '../../src/protocol/frame-codec.ts'
import { FeedFrameSchema, FeedRequestSchema } from '../../src/protocol/generated/feed_pb.js'
import { ContentPeer, never, SharedDirectory, type TestPublisher } from './content-peer.ts'
import { ManualClock } from './manual-clock.ts'
import { MemoryNet } from './memory-transport.ts'

/** An empty network; `start` adds peers. */
export async function network(latencyMs = 0) {
  const clock = new ManualClock()
  const net = new MemoryNet({ clock, latencyMs, random: () => 0.5 })
  const directory = new SharedDirectory()
  const start = (id: string): Promise<ContentPeer> =>
    new ContentPeer(id, { clock, net, directory }).start()
  return { clock, net, directory, start }
}

/** The raw public key of a publisher's stream. */
export function keyOf(publisher: TestPublisher): Uint8Array {
  return parseStreamId(publisher.publication.record.id) ?? new Uint8Array()
}

/** Opens a feed by hand. */
export async function request(
  net: MemoryNet,
  from: string,
  to: string,
  fields: {
    version?: number
    publicKey?: Uint8Array
    rendition?: string
    afterPart?: number
    resume?: boolean
    afterMsn?: bigint
  },
): Promise<PeerStream> {
  const stream = await net.peer(from).open(to, FEED_PROTOCOL, { signal: never })
  const message = create(FeedRequestSchema, { version: 1, rendition: 'source', ...fields })
  await stream.write(encodeFrameHeader(FeedRequestSchema, message))
  return stream
}

/** What a feed says, as words, until it ends. */
export async function frames(stream: PeerStream, countMax = 1_000): Promise<string[]> {
  const decoder = new FrameDecoder(FeedFrameSchema, (frame) => frame.payloadBytes, {
    headerBytesMax: contentLimits.frameHeaderBytesMax,
    payloadBytesMax: contentLimits.objectBytesMax,
  })
  const seen: string[] = []
  const chunks = stream.incoming[Symbol.asyncIterator]()
  while (seen.length < countMax) {
    const { done, value } = await chunks.next()
    if (done === true) break
    for (const { header } of decoder.push(value)) {
      const { body } = header
      seen.push(body.case === 'end' ? `end ${body.value.code}` : `${body.case}`)
    }
  }
  return seen
}

/** A provider that sends recorded windows: the first whole, the others as parts, and then nothing more. */
export async function serveRecorded(
  net: MemoryNet,
  peerId: string,
  recorded: {
    readonly windows: readonly IndexWindow[]
    readonly bytes: (digest: string) => Buffer | undefined
    readonly route: readonly string[]
  },
): Promise<void> {
  await net.peer(peerId).handle(FEED_PROTOCOL, async (stream) => {
    type Body = NonNullable<Parameters<typeof create<typeof FeedFrameSchema>>[1]>['body']
    const send = async (body: Body, payload: Buffer = Buffer.alloc(0)): Promise<void> => {
      const header = create(FeedFrameSchema, {
        payloadBytes: payload.byteLength,
        ...(body && { body }),
      })
      await stream.write(Buffer.concat([encodeFrameHeader(FeedFrameSchema, header), payload]))
    }
    const [first, ...others] = recorded.windows
    if (first === undefined) return
    const { headBytes: head, encodedEntries: entries, signature } = first
    const route = [...recorded.route]
    const value = { head, entries, signature, route, backlogMsn: 1_000n, backlogPart: 0 }
    await send({ case: 'window', value })
    for (const { headBytes, lastEncoded, signature, last } of others) {
      await send(
        { case: 'part', value: { head: headBytes, entry: lastEncoded, signature } },
        recorded.bytes(last?.digest ?? ''),
      )
    }
    await new Promise(() => {})
  })
}
