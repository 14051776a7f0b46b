// The pipe between the peer and a media child: what goes in comes out, in pieces of any size, and junk is refused.
import fc from 'fast-check'
import { test } from 'tap'
import { mediaChildLimits } from '../../../src/limits/media-child.ts'
import type { AccessUnit } from '../../../src/media/access-unit.ts'
import {
  type ChildMessage,
  encodeBlobHead,
  encodeMessage,
  encodeUnitHead,
  type WireItem,
  WireReader,
} from '../../../src/media/child/wire.ts'

const messages: ChildMessage[] = [
  { type: 'ready', rssBytes: 12 },
  { type: 'finish' },
  { type: 'note', note: { a: [1, null, 'x'] } },
  {
    type: 'progress',
    progress: { unitsIn: 1, unitsOut: 2, position: -3, cpuS: 0.5, rssBytes: 4, damaged: 0 },
  },
  { type: 'done', result: null },
  { type: 'failed', code: 'ERR_MEDIA', message: 'no pictures' },
  { type: 'job', job: { type: 'thumbnail', width: 16, height: 9 } },
  {
    type: 'config',
    port: 3,
    config: {
      kind: 'video',
      track: 1,
      codec: 'hevc',
      codecString: 'hvc1.2.4.L60.90',
      width: 320,
      height: 180,
      frameRate: undefined,
      description: Buffer.from([1, 2, 255]),
      colour: {
        ...{ primaries: 9, transfer: 16, matrix: 9, fullRange: false },
        masteringDisplay: Buffer.alloc(24, 7),
        contentLight: Buffer.alloc(4, 1),
      },
    },
  },
  {
    type: 'config',
    port: 0,
    config: {
      ...{ kind: 'audio', language: 'de', codec: 'aac', codecString: 'mp4a.40.2' },
      ...{ sampleRate: 48_000, channels: 2, samplesPerFrame: 1_024 },
      description: Buffer.from([0x11, 0x90]),
    },
  },
]
const units: AccessUnit[] = [
  { kind: 'video', dts: -3_000, pts: 2 ** 40, keyframe: true, data: Buffer.from('picture') },
  { kind: 'audio', track: 2, dts: 0.5, pts: 0.5, keyframe: false, data: Buffer.alloc(0) },
]

const stream = Buffer.concat([
  ...messages.map(encodeMessage),
  ...units.flatMap((unit, port) => [encodeUnitHead(port, unit), unit.data]),
  encodeBlobHead({ sprite: 1 }, 5),
  Buffer.from('bytes'),
])
const items: WireItem[] = [
  ...messages,
  ...units.map((unit, port): WireItem => ({ type: 'unit', port, unit })),
  { type: 'blob', about: { sprite: 1 }, bytes: Buffer.from('bytes') },
]

/** What a reader makes of pieces of these sizes, in turns. */
function readInPieces(bytes: Buffer, sizes: readonly number[]): WireItem[] {
  const reader = new WireReader()
  const found: WireItem[] = []
  let at = 0
  for (let turn = 0; at < bytes.byteLength; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    found.push(...reader.push(Buffer.from(bytes.subarray(at, at + size))))
    at += size
  }
  return found
}

test('everything comes out as it went in', async (t) => {
  t.same(readInPieces(stream, [stream.byteLength]), items)
})

test('the size of the pieces does not matter', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (sizes) => {
      t.same(readInPieces(stream, sizes), items)
    }),
    { numRuns: 50 },
  )
  t.same(readInPieces(stream, [1]), items)
})

test('what no child says is refused', async (t) => {
  const framed = (type: number, body: Buffer): Buffer => {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(body.byteLength + 1)
    head[4] = type
    return Buffer.concat([head, body])
  }
  const huge = Buffer.alloc(4)
  huge.writeUInt32BE(mediaChildLimits.frameBytesMax + 1)
  const cases: Record<string, Buffer> = {
    'an empty frame': Buffer.alloc(4),
    'a huge frame': huge,
    'an unknown type': framed(9, Buffer.from('x')),
    'no JSON': framed(1, Buffer.from('{')),
    'an unknown message': framed(1, Buffer.from('{"type":"hello"}')),
    'a message with more than it should have': framed(1, Buffer.from('{"type":"finish","x":1}')),
    'half a unit': framed(2, Buffer.alloc(10)),
    'a unit of an impossible port': framed(2, Buffer.alloc(30, 255)),
    'half a blob': framed(3, Buffer.from([0, 0])),
    'a blob about nothing': framed(3, Buffer.from([0, 0, 0, 1, 0x7b])),
    'a blob that claims too much': framed(3, Buffer.from([0, 0, 1, 0, 0x7b])),
  }
  for (const [name, bytes] of Object.entries(cases)) {
    t.throws(() => readInPieces(bytes, [3]), { code: 'ERR_PROTOCOL' }, name)
  }
})

test('an unknown code of an error is the child’s own fault', async (t) => {
  const text = JSON.stringify({ type: 'failed', code: 'constructor', message: 'x'.repeat(5_000) })
  const frame = Buffer.concat([Buffer.alloc(5), Buffer.from(text)])
  frame.writeUInt32BE(text.length + 1)
  frame[4] = 1
  const [item] = readInPieces(frame, [100])
  t.match(item, { type: 'failed', code: 'ERR_WORKER' })
  t.equal(item?.type === 'failed' && item.message.length, mediaChildLimits.reasonCharsMax)
})
