/** Requests and answers on streams between peers, from any bytes: an answer or a KairoError, never more memory than the limits. */
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { isKairoError } from '../../src/errors.ts'
import { encodeHttpFrame, type FrameBody } from '../../src/host/peer-https/http-frames.ts'
import { PeerHttps } from '../../src/host/peer-https/peer-https.ts'
import type { PeerStream, Transport } from '../../src/host/transport.ts'
import { silentLogger } from '../../src/logger.ts'
import {
  PeerHttpChunkSchema,
  PeerHttpEndSchema,
  PeerHttpFailureSchema,
  PeerHttpRequestHeadSchema,
  PeerHttpResponseHeadSchema,
} from '../../src/protocol/generated/peer-http_pb.js'
import { never } from '../support/content-peer.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { mutate, mutations } from '../support/mutate.ts'

const RUNS = 400

/** A stream that delivers bytes, and keeps what is written. */
function scripted(bytes: Buffer, pieceBytes: number) {
  const written: Buffer[] = []
  let failure: Error | undefined
  let closed = false
  async function* incoming(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
      if (failure !== undefined) throw failure
      yield bytes.subarray(at, at + pieceBytes)
    }
    if (failure !== undefined) throw failure
  }
  const chunks = incoming()
  const stream: PeerStream = {
    remotePeer: 'other',
    incoming: { [Symbol.asyncIterator]: () => ({ next: () => chunks.next() }) },
    write: async (piece) => {
      if (failure !== undefined) throw failure
      written.push(Buffer.from(piece))
    },
    close: async () => {
      closed = true
    },
    abort: (reason) => {
      failure ??= reason
    },
  }
  return { stream, written, isOver: () => closed || failure !== undefined }
}

function peer(open: () => PeerStream) {
  let handler: ((stream: PeerStream) => Promise<void>) | undefined
  const transport: Transport = {
    peerId: 'me',
    open: async () => open(),
    handle: async (_, given) => {
      handler = given
    },
  }
  const clock = new ManualClock()
  const base = { clock, logger: silentLogger, registry: new Registry(), transport }
  const http = new PeerHttps({ ...base, endpointsOf: () => undefined }, {})
  const serve = async (stream: PeerStream): Promise<void> => await handler?.(stream)
  return { http, clock, serve }
}

function frame(body: FrameBody, payload: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([encodeHttpFrame(body, payload.byteLength), payload])
}

const request = frame(
  {
    case: 'request',
    value: create(PeerHttpRequestHeadSchema, {
      version: 1,
      method: 'POST',
      path: '/echo?a=b',
      fields: [{ name: 'x-a', value: 'b' }],
    }),
  },
  Buffer.from('the body of a request'),
)

const answer = Buffer.concat([
  frame({
    case: 'response',
    value: create(PeerHttpResponseHeadSchema, {
      status: 200,
      fields: [{ name: 'content-length', value: '10' }],
    }),
  }),
  frame({ case: 'chunk', value: create(PeerHttpChunkSchema) }, Buffer.from('01234')),
  frame({ case: 'chunk', value: create(PeerHttpChunkSchema) }, Buffer.from('56789')),
  frame({ case: 'end', value: create(PeerHttpEndSchema) }),
])

/** What an asker makes of these bytes. */
async function ask(bytes: Buffer, pieceBytes: number): Promise<string> {
  const { stream, isOver } = scripted(bytes, pieceBytes)
  const { http, clock } = peer(() => stream)
  let result: string
  try {
    const { status, body } = await http.request(
      'other',
      { method: 'GET', path: '/' },
      { signal: never },
    )
    result = `${status} `
    for await (const chunk of body) result += Buffer.from(chunk).toString('latin1')
  } catch (error) {
    if (!isKairoError(error)) throw error
    result = error.code
  }
  if (!isOver()) throw new Error('a stream was left open')
  if (clock.timers > 0) throw new Error('a timer was left behind')
  return result
}

/** What a server answers to these bytes. */
async function answerTo(bytes: Buffer, pieceBytes: number): Promise<string> {
  const { stream, written, isOver } = scripted(bytes, pieceBytes)
  const { http, clock, serve } = peer(() => stream)
  http.handle('/', async ({ body, path }) => ({ status: 200, headers: { path }, body: [body] }))
  await http.start()
  await serve(stream).catch((error: unknown) => {
    if (!isKairoError(error)) throw error
  })
  await settle()
  if (!isOver()) throw new Error('a stream was left open')
  if (clock.timers > 0) throw new Error('a timer was left behind')
  return Buffer.concat(written).toString('latin1')
}

test('as it should be, in pieces of any size', async (t) => {
  for (const piece of [1, 7, 1_000]) {
    t.equal(await ask(answer, piece), '200 0123456789')
    t.match(await answerTo(request, piece), /the body of a request/)
  }
  const failed = frame({ case: 'failure', value: create(PeerHttpFailureSchema, { code: 'ERR_X' }) })
  t.equal(await ask(failed, 100), 'ERR_NO_PROVIDER')
})

test('a body is whole or an error, whatever happens to it on the way', async (t) => {
  await fc.assert(
    fc.asyncProperty(mutations(), fc.integer({ min: 1, max: 200 }), async (changes, piece) => {
      await ask(mutate(answer, changes), piece)
    }),
    { numRuns: RUNS },
  )
  for (let end = 0; end < answer.byteLength; end += 1) {
    const result = await ask(answer.subarray(0, end), 50)
    if (/^\d/.test(result)) t.fail(`cut after ${end} bytes it counts as whole`)
  }
  t.pass()
})

test('changed requests', async (t) => {
  await fc.assert(
    fc.asyncProperty(mutations(), fc.integer({ min: 1, max: 200 }), async (changes, piece) => {
      await answerTo(mutate(request, changes), piece)
    }),
    { numRuns: RUNS / 4 },
  )
  t.pass()
})

test('noise', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      await ask(Buffer.from(bytes), 64)
    }),
    { numRuns: RUNS },
  )
  t.pass()
})
