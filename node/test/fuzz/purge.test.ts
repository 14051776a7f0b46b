/**
 * The purge protocol from any bytes, on both sides of a stream: what is not a purge signed by its issuer takes nothing from a cache, the
 * other side gets an answer or is cut off, and the peer goes on.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { generateKeyPair } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { type Purge, readPurge, signPurge, verifyPurge } from '../../src/cdn/purge/purge-message.ts'
import { PurgeService } from '../../src/cdn/purge/purge-service.ts'
import { decodeState, encodeState } from '../../src/cdn/purge/purge-wire.ts'
import { isKairoError } from '../../src/errors.ts'
import { peerSigner } from '../../src/host/peer-signature.ts'
import type { PeerStream, Transport } from '../../src/host/transport.ts'
import { silentLogger } from '../../src/logger.ts'
import { encodeFrameHeader } from '../../src/protocol/frame-codec.ts'
import {
  PurgeAnswerSchema,
  PurgeRequestSchema,
  PurgeStateSchema,
  SignedPurgeSchema,
} from '../../src/protocol/generated/purge_pb.js'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { mutate, mutations } from '../support/mutate.ts'
import { MemoryPurgeStorage } from '../support/purge-network.ts'
import { SmallCache } from '../support/small-cache.ts'

const RUNS = 250

const [issuer, self] = [
  peerSigner(await generateKeyPair('Ed25519')),
  peerSigner(await generateKeyPair('Ed25519')),
]
const KEPT = 'https://cdn.example/kept'
const TAKEN = 'https://cdn.example/taken'
const epoch = '0123456789abcdef'

function purgeOf(sequence: number): Purge {
  const selector = { by: 'url', url: TAKEN } as const
  return {
    ...{ issuer: issuer.peerId, epoch, sequence, issuedAtMs: 1_000 },
    ...{ selector, mode: 'hard' as const },
  }
}

const signed = [1, 2, 3].map((sequence) => signPurge(issuer, purgeOf(sequence)).wire)
const state = encodeState([
  { issuer: issuer.peerId, epoch, through: 3, beyond: [5, 9], floor: 0 },
  { issuer: self.peerId, epoch, through: 1, beyond: [], floor: 0, ignored: true },
])

const requests = Buffer.concat([
  ...signed.map((purge, index) =>
    frameOf(PurgeRequestSchema, { version: 1, number: index + 1, purge }),
  ),
  frameOf(PurgeRequestSchema, { version: 1, number: 4, digest: Buffer.alloc(32) }),
  frameOf(PurgeRequestSchema, { version: 1, number: 5, state }),
])

/** What one who knows three purges answers to the two questions of one who knows none, and then to the next one. */
const answerFrames = [
  frameOf(PurgeAnswerSchema, { version: 1, number: 1, caughtUp: true }),
  frameOf(PurgeAnswerSchema, { version: 1, number: 2, caughtUp: true, purges: signed, state }),
  frameOf(PurgeAnswerSchema, { version: 1, number: 3, caughtUp: true, same: true }),
]
const answers = Buffer.concat(answerFrames)

function frameOf<Schema extends typeof PurgeRequestSchema | typeof PurgeAnswerSchema>(
  schema: Schema,
  message: Parameters<typeof create<Schema>>[1],
): Buffer {
  return encodeFrameHeader(schema, create(schema, message))
}

/** A stream that delivers bytes in pieces, then ends, or breaks off when it is aborted. */
function scripted(bytes: Buffer, pieceBytes: number) {
  const written: Buffer[] = []
  let failure: Error | undefined
  async function* incoming(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
      if (failure !== undefined) throw failure
      yield bytes.subarray(at, at + pieceBytes)
    }
  }
  const chunks = incoming()
  const stream: PeerStream = {
    remotePeer: issuer.peerId,
    incoming: { [Symbol.asyncIterator]: () => ({ next: () => chunks.next() }) },
    write: async (piece) => {
      if (failure !== undefined) throw failure
      written.push(Buffer.from(piece))
    },
    close: async () => {},
    abort: (reason) => {
      failure ??= reason
    },
  }
  return { stream, written }
}

/** A stream that delivers as much as one answer takes for each request, whatever is in it; then what is left, and ends. */
function replying(bytes: Buffer, pieceBytes: number): PeerStream {
  const { stream } = scripted(Buffer.alloc(0), 1)
  let asked = Promise.withResolvers<void>()
  let isOver = false
  async function* incoming(): AsyncGenerator<Uint8Array> {
    let from = 0
    for (const [index, { byteLength }] of answerFrames.entries()) {
      await asked.promise
      if (isOver) return
      asked = Promise.withResolvers<void>()
      const to = index === answerFrames.length - 1 ? bytes.byteLength : from + byteLength
      for (; from < to; from += pieceBytes) {
        yield bytes.subarray(from, Math.min(to, from + pieceBytes))
      }
      from = to
    }
  }
  const chunks = incoming()
  return {
    ...stream,
    incoming: { [Symbol.asyncIterator]: () => ({ next: () => chunks.next() }) },
    write: async () => asked.resolve(),
    abort: () => {
      isOver = true
      asked.resolve()
    },
  }
}

/** A peer whose neighbour is the issuer, and answers its questions with these bytes. */
async function peerBeside(answering: () => PeerStream) {
  let handler: ((stream: PeerStream) => Promise<void>) | undefined
  const transport: Transport = {
    peerId: self.peerId,
    open: async () => answering(),
    handle: async (_, given) => {
      handler = given
    },
  }
  let meet = (_peerId: string): void => {}
  const clock = new ManualClock()
  const cache = new SmallCache()
  const purges = new PurgeService(
    {
      ...{ clock, logger: silentLogger, registry: new Registry(), transport },
      ...{ signer: self, purgeable: cache, random: () => 0.5 },
      members: () => [issuer.peerId],
      hasLeft: () => false,
      peers: {
        watch: (_, listener) => {
          meet = listener
          return () => {}
        },
      },
    },
    {
      purgePeers: ['network'],
      storage: new MemoryPurgeStorage(),
      expectsPeers: () => false,
    },
  )
  await purges.start()
  for (const url of [KEPT, TAKEN]) cache.put(url, 'old', purges.generation())
  const serve = async (stream: PeerStream): Promise<void> => {
    // The one timer of a stream is that of its silence.
    const timers = clock.timers
    await handler?.(stream).catch((error: unknown) => {
      if (!isKairoError(error)) throw error
    })
    await settle()
    if (clock.timers > timers) throw new Error('a timer was left behind')
  }
  return { cache, purges, clock, serve, meet: () => meet(issuer.peerId) }
}

test('purges and states of any bytes', (t) => {
  const seed = Buffer.from(toBinary(SignedPurgeSchema, signed[0] as (typeof signed)[0]))
  const wanted = JSON.stringify(purgeOf(1))
  let forged = 0
  fc.assert(
    fc.property(mutations(), (changes) => {
      const read = parseOrRefuse(() => {
        const bytes = mutate(seed, changes)
        const purge = readPurge(tryDecode(() => fromBinary(SignedPurgeSchema, bytes)))
        verifyPurge(purge)
        return purge
      })
      if (read !== undefined && JSON.stringify(read.purge) !== wanted) forged += 1
    }),
    { numRuns: fuzzRuns(2_000) },
  )
  t.equal(forged, 0)
  const stateSeed = Buffer.from(toBinary(PurgeStateSchema, state))
  fc.assert(
    fc.property(mutations(), (changes) => {
      const bytes = mutate(stateSeed, changes)
      const origins = parseOrRefuse(() =>
        decodeState(tryDecode(() => fromBinary(PurgeStateSchema, bytes))),
      )
      for (const { through, floor, beyond } of origins ?? []) {
        t.ok(floor <= through && beyond.every((sequence) => sequence > through))
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  )
  t.end()
})

/** What the generated decoder says of bytes that are no message, as the readers of frames say it. */
function tryDecode<T>(decode: () => T): T {
  try {
    return decode()
  } catch {
    return fc.pre(false) as T
  }
}

test('as it should be, in pieces of any size', async (t) => {
  for (const piece of [1, 13, 10_000]) {
    const asked = await peerBeside(() => scripted(Buffer.alloc(0), 1).stream)
    const { stream, written } = scripted(requests, piece)
    await asked.serve(stream)
    t.equal(written.length, 5, 'each request has its answer')
    t.same([...asked.cache.responses.keys()], [KEPT])
    await asked.purges.stop()
    const asking = await peerBeside(() => replying(answers, piece))
    asking.meet()
    await asking.clock.pass(100)
    t.same([...asking.cache.responses.keys()], [KEPT])
    t.equal(asking.purges.ready(), true)
    await asking.purges.stop()
  }
})

test('requests of any bytes take nothing that their issuer has not signed', async (t) => {
  await fc.assert(
    fc.asyncProperty(mutations(), fc.integer({ min: 1, max: 300 }), async (changes, piece) => {
      const peer = await peerBeside(() => scripted(Buffer.alloc(0), 1).stream)
      await peer.serve(scripted(mutate(requests, changes), piece).stream)
      t.ok(peer.cache.responses.has(KEPT))
      // It goes on: what comes whole is done, whatever came before.
      await peer.serve(scripted(requests, 1_000).stream)
      t.notOk(peer.cache.responses.has(TAKEN))
      await peer.purges.stop()
    }),
    { numRuns: fuzzRuns(RUNS) },
  )
  for (let end = 0; end < requests.byteLength; end += 7) {
    const peer = await peerBeside(() => scripted(Buffer.alloc(0), 1).stream)
    await peer.serve(scripted(requests.subarray(0, end), 50).stream)
    t.ok(peer.cache.responses.has(KEPT))
    await peer.purges.stop()
  }
})

test('answers of any bytes make a peer forget too much at most, and never serve unsure', async (t) => {
  await fc.assert(
    fc.asyncProperty(mutations(), fc.integer({ min: 1, max: 300 }), async (changes, piece) => {
      const peer = await peerBeside(() => replying(mutate(answers, changes), piece))
      peer.meet()
      t.equal(peer.purges.ready(), false, 'whoever has come is heard first')
      await peer.clock.pass(6_000)
      const kept = peer.cache.purges.filter(({ selector }) => selector.by !== 'everything')
      t.ok(kept.every(({ selector }) => selector.by === 'url' && selector.url === TAKEN))
      const purging = peer.purges.purge({ by: 'url', url: KEPT }, 'hard').catch(() => undefined)
      await peer.clock.pass(6_000)
      const report = await purging
      t.notOk(report?.complete === true && peer.cache.responses.has(KEPT))
      await peer.purges.stop()
    }),
    { numRuns: fuzzRuns(RUNS) },
  )
})

test('noise on both sides', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      const peer = await peerBeside(() => scripted(Buffer.from(bytes), 64).stream)
      await peer.serve(scripted(Buffer.from(bytes), 64).stream)
      peer.meet()
      await peer.clock.pass(2_000)
      await peer.purges.stop()
    }),
    { numRuns: fuzzRuns(RUNS) },
  )
})
