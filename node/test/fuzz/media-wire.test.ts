// The pipe's reader against damaged and random bytes: a media child may crash in the middle of a write or lose its mind.
import fc from 'fast-check'
import { test } from 'tap'
import {
  encodeBlobHead,
  encodeMessage,
  encodeUnitHead,
  WireReader,
} from '../../src/media/child/wire.ts'
import { fuzzRuns, parseOrRefuse } from '../support/fuzz.ts'

const data = Buffer.alloc(40, 5)
const seed = Buffer.concat([
  encodeMessage({ type: 'ready', rssBytes: 1 }),
  encodeUnitHead(1, { kind: 'video', dts: 0, pts: 0, keyframe: true, data }),
  data,
  encodeBlobHead({ a: 1 }, 4),
  Buffer.alloc(4),
  encodeMessage({ type: 'done', result: [1, 2] }),
])

test('random bytes', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (chunks) => {
      const reader = new WireReader()
      parseOrRefuse(() => chunks.flatMap((chunk) => [...reader.push(Buffer.from(chunk))]))
    }),
  )
  t.pass('every input is read or refused')
})

test('a damaged stream', async (t) => {
  const flips = fc.array(fc.tuple(fc.nat(seed.byteLength - 1), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  })
  fc.assert(
    fc.property(flips, fc.integer({ min: 1, max: 60 }), (changes, size) => {
      const bytes = Buffer.from(seed)
      for (const [at, bits] of changes) bytes[at] = (bytes[at] ?? 0) ^ bits
      const reader = new WireReader()
      parseOrRefuse(() => {
        for (let at = 0; at < bytes.byteLength; at += size) {
          for (const item of reader.push(bytes.subarray(at, at + size))) {
            if (item.type === 'unit') Buffer.from(item.unit.data)
          }
        }
      })
    }),
    { numRuns: fuzzRuns(500) },
  )
  t.pass('every stream is read or refused')
})
