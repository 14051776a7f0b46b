// The RTMP chunk reader and whole sessions against changed recordings of real publishers. No sockets: bytes go straight in.
import fc from 'fast-check'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { ChunkReader } from '../../src/ingest/rtmp/chunk-reader.ts'
import { createRtmpMetrics } from '../../src/ingest/rtmp/metrics.ts'
import { Session } from '../../src/ingest/rtmp/session.ts'
import { rtmpLimits } from '../../src/limits.ts'
import { silentLogger } from '../../src/logger.ts'
import type { AccessUnit, TrackConfig } from '../../src/media/access-unit.ts'
import type { PublicationSink } from '../../src/media/sink.ts'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { mutate, mutations } from '../support/mutate.ts'
import { needs } from '../support/needs.ts'
import { captureFfmpegSession } from '../support/rtmp-capture.ts'
import {
  AUDIO_CONFIG_TAG,
  audioTag,
  commandBytes,
  controlBytes,
  mediaBytes,
  publishBytes,
  STREAM_ID,
  VIDEO_CONFIG_TAG,
  videoTag,
} from '../support/rtmp-wire.ts'

const HANDSHAKE_BYTES = 1 + 2 * 1536
/** Answers may exceed what was received by this factor and offset: nobody gains by making the server talk. */
const AMPLIFICATION_MAX = 10
const ANSWER_BYTES_FREE = 8_192
const metrics = createRtmpMetrics(new Registry())

/** A sink that fails on anything the contract forbids. */
class StrictSink implements PublicationSink {
  readonly streamName = 'fuzz'
  readonly #kinds = new Set<string>()
  #ended = false

  expect(): void {
    this.#live()
  }

  configure(config: TrackConfig): void {
    this.#live()
    this.#kinds.add(config.kind)
  }

  write(unit: AccessUnit): undefined {
    this.#live()
    const usable =
      this.#kinds.has(unit.kind) &&
      Number.isSafeInteger(unit.dts) &&
      Number.isSafeInteger(unit.pts) &&
      unit.data.byteLength > 0
    if (!usable)
      throw new Error(`an access unit that no packager can take: ${JSON.stringify(unit)}`)
    return undefined
  }

  end(): void {
    this.#live()
    this.#ended = true
  }

  #live(): void {
    if (this.#ended) throw new Error('the sink was used after its end')
  }
}

/** Gives a session these bytes in pieces and checks what must hold whatever they are. */
function feed(bytes: Buffer, pieceBytes: number): void {
  let sentBytes = 0
  let closed = 0
  const session = new Session(
    {
      ...{ clock: new ManualClock(), logger: silentLogger, metrics },
      publishing: { publish: () => new StrictSink() },
    },
    { remote: 'fuzz', readTimeoutMs: 15_000, handshakeTimeoutMs: 10_000 },
    {
      send: (answer) => {
        sentBytes += answer.byteLength
      },
      pause: () => {},
      resume: () => {},
      close: () => {
        closed += 1
      },
    },
  )
  for (let offset = 0; offset < bytes.byteLength; offset += pieceBytes) {
    session.receive(bytes.subarray(offset, offset + pieceBytes))
    if (session.retainedBytes > rtmpLimits.reassemblyBytesMax) throw new Error('too much retained')
  }
  session.end('closed', 'the input ends')
  if (closed !== 1) throw new Error(`closed ${closed} times`)
  if (sentBytes > bytes.byteLength * AMPLIFICATION_MAX + ANSWER_BYTES_FREE) {
    throw new Error(`${sentBytes} bytes answered to ${bytes.byteLength}`)
  }
}

async function internalFaults(): Promise<number> {
  const { values } = await metrics.disconnects.get()
  return values.find(({ labels }) => labels.reason === 'internal')?.value ?? 0
}

/** A session by hand with what ffmpeg does not send. */
function handmadeSession(): Buffer {
  const aggregate = Buffer.concat([
    Buffer.of(9, 0, 0, 17, 0, 0, 5, 0, 0, 0, 0),
    videoTag(false),
    Buffer.alloc(4),
  ])
  return Buffer.concat([
    publishBytes(),
    controlBytes(1, 256),
    controlBytes(5, 1_000),
    controlBytes(6, 5_000, 0),
    mediaBytes(9, 0, VIDEO_CONFIG_TAG),
    mediaBytes(8, 0, AUDIO_CONFIG_TAG),
    mediaBytes(9, 0xffffff, videoTag(true, 66, 300)),
    mediaBytes(8, 0x0100_0005, audioTag(90)),
    mediaBytes(22, 0x0100_0010, aggregate),
    controlBytes(2, 6),
    commandBytes(0, 'FCUnpublish', 6, null, 'key'),
    commandBytes(0, 'deleteStream', 7, null, STREAM_ID),
    commandBytes(STREAM_ID, 'publish', 8, null, 'key', 'live'),
  ])
}

const pieces = fc.constantFrom(1, 7, 128, 1_000, 1_000_000)

function fuzzSessions(seed: Buffer, numRuns: number): void {
  fc.assert(
    fc.property(mutations(8), fc.constantFrom(100, 1_000, 1_000_000), (changes, pieceBytes) =>
      feed(mutate(seed, changes, HANDSHAKE_BYTES), pieceBytes),
    ),
    { numRuns },
  )
}

async function expectNoFaults(t: Test): Promise<void> {
  t.equal(await internalFaults(), 0, 'every end had a reason')
}

test('changed recordings of ffmpeg', { skip: needs('ffmpeg') }, async (t) => {
  const seed = await captureFfmpegSession()
  t.ok(seed.byteLength > HANDSHAKE_BYTES + 2_000 && seed.byteLength < 60_000)
  feed(seed, 1_000)
  fuzzSessions(seed, 10_000)
  await expectNoFaults(t)
})

test('changed sessions by hand', async (t) => {
  feed(handmadeSession(), 1_000)
  fuzzSessions(handmadeSession(), 10_000)
  await expectNoFaults(t)
})

test('changed chunks', async () => {
  const seed = handmadeSession().subarray(HANDSHAKE_BYTES)
  fc.assert(
    fc.property(mutations(6), pieces, (changes, pieceBytes) => {
      const bytes = mutate(seed, changes)
      parseOrRefuse(() => readAll(bytes, pieceBytes))
    }),
    { numRuns: fuzzRuns(10_000) },
  )
})

test('noise', async (t) => {
  const noise = fc.uint8Array({ maxLength: 256 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(noise, pieces, (bytes, pieceBytes) => {
      parseOrRefuse(() => readAll(bytes, pieceBytes))
    }),
    { numRuns: fuzzRuns(10_000) },
  )
  fc.assert(
    fc.property(noise, (bytes) => feed(bytes, 1_000_000)),
    { numRuns: fuzzRuns(6_000) },
  )
  // A publisher may announce 16 MiB, which takes its time to reserve, so there are fewer of these.
  const published = publishBytes()
  fc.assert(
    fc.property(noise, (bytes) => feed(Buffer.concat([published, bytes]), 1_000_000)),
    { numRuns: fuzzRuns(1_000) },
  )
  await expectNoFaults(t)
})

function readAll(bytes: Buffer, pieceBytes: number): void {
  const reader = new ChunkReader(rtmpLimits.commandBytesMax)
  for (let start = 0; start < bytes.byteLength; start += pieceBytes) {
    const data = bytes.subarray(start, start + pieceBytes)
    let offset = 0
    for (;;) {
      offset = reader.read(data, offset)
      if (reader.take() === undefined) break
      if (reader.retainedBytes > rtmpLimits.commandBytesMax * rtmpLimits.chunkStreamsMax) {
        throw new Error('too much retained')
      }
    }
    if (offset !== data.byteLength) throw new Error('bytes were left without a message')
  }
}
