/**
 * A paced RTMP publisher that notes when each picture left. It speaks just enough of the protocol (Adobe RTMP 1.0, 5 to 7)
 * to publish one stream to a well-behaved server, and is no encoder: it replays a clip's tags at their timestamps.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { FlvTag } from './clip.ts'

const HANDSHAKE_BYTES = 1536
const CHUNK_BYTES = 65_536
const ANSWER_MS = 10_000
/** Bytes at the end of a picture by which it is known again; muxers rewrite its beginning. */
const TAIL_BYTES = 24
const message = { setChunkSize: 1, command: 20 } as const

/** When a picture was handed to the socket. */
export interface SentFrame {
  /** Its place in the stream, from 0. */
  readonly index: number
  /** `performance.now()` after its last byte was written. */
  readonly sentAtMs: number
}

/** A running push. */
export interface Push {
  /** Pictures sent so far, by {@link frameTail}. */
  readonly sent: ReadonlyMap<string, SentFrame>
  /** Settles when the whole clip is out, or `stop` was called, or the connection broke (then it rejects). */
  readonly done: Promise<void>
  /** Ends the stream in order. */
  stop(): void
}

/** The end of a coded picture in hex: what it is known by after remuxing. */
export function frameTail(picture: Uint8Array): string {
  return Buffer.from(picture.subarray(-TAIL_BYTES)).toString('hex')
}

/** Connects, publishes and begins to replay; resolves when the server has accepted. `url` is `rtmp://host:port/app`. */
export async function startPush(url: string, key: string, tags: readonly FlvTag[]): Promise<Push> {
  const { hostname, port, pathname } = new URL(url.replace(/^rtmp:/, 'http:'))
  const socket = connect(Number(port), hostname)
  socket.setNoDelay(true)
  await once(socket, 'connect')
  const answers = await shakeHands(socket)
  socket.write(chunked(2, message.setChunkSize, 0, 0, uint32(CHUNK_BYTES)))
  const app = pathname.slice(1)
  socket.write(command(0, ['connect', 1, { app, type: 'nonprivate', tcUrl: url }]))
  await answers.has('NetConnection.Connect.Success')
  socket.write(command(0, ['releaseStream', 2, null, key]))
  socket.write(command(0, ['FCPublish', 3, null, key]))
  socket.write(command(0, ['createStream', 4, null]))
  const streamId = await answers.createdStream()
  socket.write(command(streamId, ['publish', 5, null, key, 'live']))
  await answers.has('NetStream.Publish.Start')
  answers.ignoreTheRest()
  return replay(socket, streamId, tags)
}

function replay(socket: Socket, streamId: number, tags: readonly FlvTag[]): Push {
  const sent = new Map<string, SentFrame>()
  let stopped = false
  const broken = new Promise<never>((_, reject) => {
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the server closed the publishing connection')))
  })
  const work = async (): Promise<void> => {
    const startedAtMs = performance.now()
    let index = 0
    for (const tag of tags) {
      const waitMs = startedAtMs + tag.timestampMs - performance.now()
      if (waitMs > 0.5) await new Promise((resolve) => setTimeout(resolve, waitMs))
      if (stopped) break
      const chunkStream = tag.type === 9 ? 6 : 4
      const wrote = socket.write(
        chunked(chunkStream, tag.type, tag.timestampMs, streamId, tag.data),
      )
      if (tag.type === 9 && tag.isFrame) {
        sent.set(frameTail(tag.data), { index, sentAtMs: performance.now() })
        index += 1
      }
      if (!wrote) await once(socket, 'drain')
    }
    socket.end()
  }
  const done = Promise.race([work(), broken])
  // Whoever awaits `done` later still gets the rejection; until then it must not end the process.
  done.catch(() => {})
  return {
    sent,
    done,
    stop: () => {
      stopped = true
    },
  }
}

interface Answers {
  /** Waits until the server has said this word. */
  has(word: string): Promise<void>
  /** The stream id of the answer to `createStream` (transaction 4). */
  createdStream(): Promise<number>
  ignoreTheRest(): void
}

/** RTMP 1.0, 5.2, without the digest that only Flash asked for. */
async function shakeHands(socket: Socket): Promise<Answers> {
  let received = Buffer.alloc(0)
  let wake = (): void => {}
  const collect = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk])
    wake()
  }
  socket.on('data', collect)
  socket.once('close', () => wake())
  const until = async (what: string, ready: () => boolean): Promise<void> => {
    const timer = setTimeout(() => socket.destroy(new Error(`no answer to ${what}`)), ANSWER_MS)
    while (!ready()) {
      if (socket.destroyed) throw new Error(`the server closed the connection at ${what}`)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    clearTimeout(timer)
  }
  const hello = Buffer.concat([Buffer.alloc(8), randomBytes(HANDSHAKE_BYTES - 8)])
  socket.write(Buffer.concat([Buffer.from([3]), hello]))
  await until('the handshake', () => received.byteLength >= 1 + 2 * HANDSHAKE_BYTES)
  socket.write(received.subarray(1, 1 + HANDSHAKE_BYTES))
  received = received.subarray(1 + 2 * HANDSHAKE_BYTES)
  const result = Buffer.concat([amf('_result'), amf(4), amf(null), Buffer.from([0])])
  return {
    has: (word) => until(word, () => received.includes(word)),
    createdStream: async () => {
      await until('createStream', () => {
        const at = received.indexOf(result)
        return at !== -1 && received.byteLength >= at + result.byteLength + 8
      })
      return received.readDoubleBE(received.indexOf(result) + result.byteLength)
    },
    ignoreTheRest: () => {
      socket.off('data', collect)
      socket.resume()
    },
  }
}

type AmfValue = string | number | null | { readonly [key: string]: string }

/** AMF0 (Adobe AMF0, 2), the types that publishing needs. */
function amf(value: AmfValue): Buffer {
  if (value === null) return Buffer.from([5])
  if (typeof value === 'string') return Buffer.concat([Buffer.from([2]), shortText(value)])
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9)
    bytes.writeDoubleBE(value, 1)
    return bytes
  }
  const fields = Object.entries(value).flatMap(([key, text]) => [shortText(key), amf(text)])
  return Buffer.concat([Buffer.from([3]), ...fields, Buffer.from([0, 0, 9])])
}

function shortText(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.byteLength)
  return Buffer.concat([length, bytes])
}

function command(streamId: number, values: readonly AmfValue[]): Buffer {
  return chunked(3, message.command, 0, streamId, Buffer.concat(values.map(amf)))
}

/** One message as chunks: a full header (type 0), then type 3 (RTMP 1.0, 5.3.1). */
function chunked(
  chunkStream: number,
  type: number,
  timestampMs: number,
  streamId: number,
  data: Buffer,
): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt8(chunkStream, 0)
  header.writeUIntBE(timestampMs, 1, 3)
  header.writeUIntBE(data.byteLength, 4, 3)
  header.writeUInt8(type, 7)
  header.writeUInt32LE(streamId, 8)
  // The first message is sent before the larger chunk size holds, and is shorter than any.
  const pieces: Buffer[] = [header, data.subarray(0, CHUNK_BYTES)]
  for (let at = CHUNK_BYTES; at < data.byteLength; at += CHUNK_BYTES) {
    pieces.push(Buffer.from([0xc0 | chunkStream]), data.subarray(at, at + CHUNK_BYTES))
  }
  return Buffer.concat(pieces)
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
