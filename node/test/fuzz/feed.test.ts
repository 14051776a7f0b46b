/**
 * Fuzzing of what other peers may send on a feed: noise, and real feeds with a few changes. Nothing but a KairoError may come
 * of it, memory stays within the limits, and nothing that was not verified reaches the sink.
 */
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { Registry } from 'prom-client'
import { t as root, test } from 'tap'
import { digestOf, digestToBytes } from '../../src/content/digest.ts'
import { FeedMetrics } from '../../src/content/feed/feed-metrics.ts'
import { type FeedSink, FeedSubscription } from '../../src/content/feed/subscription.ts'
import {
  decodeEntry,
  decodeHead,
  encodeEntry,
  encodeHead,
} from '../../src/content/index/index-codec.ts'
import { IndexWindow } from '../../src/content/index/index-window.ts'
import type { IndexEntry, IndexHead } from '../../src/content/stream.ts'
import { generateStreamKey } from '../../src/content/stream-key.ts'
import { isKairoError } from '../../src/errors.ts'
import type { PeerStream, Transport } from '../../src/host/transport.ts'
import { encodeFrameHeader, FrameDecoder } from '../../src/protocol/frame-codec.ts'
import { FeedFrameSchema } from '../../src/protocol/generated/feed_pb.js'
import { never } from '../support/content-peer.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { mutate, mutations } from '../support/mutate.ts'

root.setTimeout(180_000)

const NOISE_RUNS = 30_000
const MUTATION_RUNS = 25_000
const CODEC_RUNS = 23_000
const FEED_RUNS = 4_000

const key = generateStreamKey()
const limits = { headerBytesMax: 4_096, payloadBytesMax: 4_096 }
const baseHead: IndexHead = {
  rendition: 'source',
  firstMsn: 3,
  discontinuitySequence: 1,
  targetDurationS: 2,
  partTargetUs: 200_000,
  ended: false,
}

function contentOf(msn: number, part: number): Buffer {
  return Buffer.from(`content of ${msn}.${part}`)
}

const initSegment = Buffer.from('init segment')

function entry(msn: number, part: number): IndexEntry {
  const endOfSegment = part === 2
  return {
    msn,
    part,
    digest: digestOf(contentOf(msn, part)),
    bytes: contentOf(msn, part).byteLength,
    durationUs: 200_000,
    independent: part === 0,
    endOfSegment,
    segmentDigest: endOfSegment ? digestOf(contentOf(msn, 99)) : undefined,
    programDateTimeMs: part === 0 ? 1_700_000_000_000 : undefined,
    discontinuity: false,
    initDigest: digestOf(initSegment),
  }
}

/** A whole feed: window, backlog, new parts, end of the stream. */
function recordFeed(): Buffer {
  const frames: Buffer[] = []
  type Init = Parameters<typeof create<typeof FeedFrameSchema>>[1]
  const send = (body: NonNullable<Init>['body'], payload: Buffer = Buffer.alloc(0)): void => {
    const header = create(FeedFrameSchema, {
      payloadBytes: payload.byteLength,
      ...(body && { body }),
    })
    frames.push(encodeFrameHeader(FeedFrameSchema, header), payload)
  }
  let window = IndexWindow.create(key, baseHead)
  for (const part of [0, 1, 2]) window = window.append(key, baseHead, entry(3, part))
  send({
    case: 'window',
    value: {
      head: window.headBytes,
      entries: window.encodedEntries,
      signature: window.signature,
      backlogMsn: 3n,
      backlogPart: 0,
      route: ['upstream'],
    },
  })
  send({ case: 'object', value: { digest: digestToBytes(digestOf(initSegment)) } }, initSegment)
  for (const { digest, msn, part } of window.entries) {
    send({ case: 'object', value: { digest: digestToBytes(digest) } }, contentOf(msn, part))
  }
  for (const part of [0, 1]) {
    window = window.append(key, baseHead, entry(4, part))
    const value = { head: window.headBytes, entry: window.lastEncoded, signature: window.signature }
    send({ case: 'part', value }, contentOf(4, part))
  }
  send({ case: 'route', value: { peers: ['upstream', 'origin'] } })
  window = window.withHead(key, { ...baseHead, ended: true })
  send({ case: 'update', value: { head: window.headBytes, signature: window.signature } })
  send({ case: 'end', value: { code: 'ERR_STOPPED', message: 'going down' } })
  return Buffer.concat(frames)
}

const feed = recordFeed()

/** Frames, or the code of the error, from bytes cut into pieces of a size. */
function decode(bytes: Uint8Array, pieceBytes: number): string {
  const decoder = new FrameDecoder(FeedFrameSchema, (frame) => frame.payloadBytes, limits)
  let seen = ''
  try {
    for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
      for (const { header, payload } of decoder.push(bytes.subarray(at, at + pieceBytes))) {
        seen += `${header.body.case ?? 'none'}:${payload.toString('hex')};`
      }
      if (decoder.bufferedBytes > 4_096) throw new Error('more is buffered than the limits allow')
    }
  } catch (error) {
    if (!isKairoError(error)) throw error
    seen += error.code
  }
  return seen
}

/** A stream that delivers bytes and then closes or stays. */
function transportOf(bytes: Buffer, pieceBytes: number): Transport {
  let failure: Error | undefined
  const stream: PeerStream = {
    remotePeer: 'upstream',
    incoming: (async function* () {
      for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
        if (failure !== undefined) throw failure
        yield bytes.subarray(at, at + pieceBytes)
      }
    })(),
    write: async () => {},
    close: async () => {},
    abort: (reason) => {
      failure = reason
    },
  }
  return { peerId: 'me', open: async () => stream, handle: async () => {} }
}

const metrics = new FeedMetrics(new Registry())

/** Runs a subscription over these bytes with a sink that believes nothing. */
async function subscribe(
  bytes: Buffer,
  pieceBytes: number,
): Promise<{ code: string; last: string }> {
  let window: IndexWindow | undefined
  const kept = new Set<string>()
  const sink: FeedSink = {
    get window() {
      return window
    },
    apply: (next) => {
      IndexWindow.verify(key, {
        head: next.headBytes,
        entries: next.encodedEntries,
        signature: next.signature,
      })
      window = next
    },
    lacks: (digest) => !kept.has(digest),
    isLive: true,
    expect: () => {},
    keep: (digest, content) => {
      if (digestOf(content) !== digest) throw new Error('an unverified object was kept')
      kept.add(digest)
    },
    missing: () => {},
    route: (peers) => {
      if (peers.length > 0 && peers[0] !== 'upstream') throw new Error('a route of another peer')
    },
  }
  const clock = new ManualClock()
  const subscription = new FeedSubscription(
    { clock, transport: transportOf(bytes, pieceBytes), metrics, sink },
    { peerId: 'upstream', key, rendition: 'source' },
  )
  const reason = await subscription.run(never)
  if (clock.timers > 0) throw new Error('a timer was left behind')
  return { code: reason.code, last: `${window?.last?.msn}.${window?.last?.part}` }
}

test('the feed as recorded is taken whole', async (t) => {
  t.same(await subscribe(feed, feed.byteLength), { code: 'ERR_STOPPED', last: '4.1' })
  t.same(await subscribe(feed, 1), { code: 'ERR_STOPPED', last: '4.1' })
  t.equal(decode(feed, 1), decode(feed, 1_000))
  t.match(decode(feed, 7), /^window:;object:.*update:;end:;$/)
})

test('noise', async (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 1, max: 64 }),
      (bytes, piece) => {
        return decode(bytes, piece) === decode(bytes, 512)
      },
    ),
    { numRuns: fuzzRuns(NOISE_RUNS) },
  )
  t.pass(`${NOISE_RUNS} inputs`)
})

test('changed feeds, frame by frame', async (t) => {
  fc.assert(
    fc.property(mutations(), fc.integer({ min: 1, max: 700 }), (changes, piece) => {
      const bytes = mutate(feed, changes)
      return decode(bytes, piece) === decode(bytes, bytes.byteLength || 1)
    }),
    { numRuns: fuzzRuns(MUTATION_RUNS) },
  )
  t.pass(`${MUTATION_RUNS} inputs`)
})

test('changed feeds, all the way to the sink', async (t) => {
  await fc.assert(
    fc.asyncProperty(mutations(3), fc.integer({ min: 20, max: 2_000 }), async (changes, piece) => {
      await subscribe(mutate(feed, changes), piece)
    }),
    { numRuns: fuzzRuns(FEED_RUNS) },
  )
  t.pass(`${FEED_RUNS} inputs`)
})

test('index messages', async (t) => {
  const seeds = [encodeEntry(entry(3, 0)), encodeEntry(entry(3, 2)), encodeHead(baseHead)]
  const check = (bytes: Uint8Array): void => {
    try {
      // What is accepted is something that a correct publisher could have encoded.
      encodeEntry(decodeEntry(bytes))
    } catch (error) {
      if (!isKairoError(error, 'ERR_PROTOCOL')) throw error
    }
    try {
      encodeHead(decodeHead(bytes))
    } catch (error) {
      if (!isKairoError(error, 'ERR_PROTOCOL')) throw error
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), {
    numRuns: fuzzRuns(CODEC_RUNS),
  })
  fc.assert(
    fc.property(fc.nat(2), mutations(), (which, changes) => {
      check(mutate(Buffer.from(seeds[which] ?? []), changes))
    }),
    { numRuns: fuzzRuns(CODEC_RUNS) },
  )
  t.pass(`${2 * CODEC_RUNS} inputs`)
})
