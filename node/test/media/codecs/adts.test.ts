// ADTS frames: whole, cut, between noise, and those that are not taken.
import { test } from 'tap'
import { aacAudioConfig } from '../../../src/media/codecs/aac.ts'
import { adtsFrames } from '../../../src/media/codecs/adts.ts'
import { bits } from '../../support/bit-writer.ts'

const frame = (
  init: { crc?: boolean; blocks?: number; rate?: number; channels?: number; bytes?: number } = {},
) => {
  const { crc = false, blocks = 0, rate = 3, channels = 2, bytes = 5 } = init
  const header = bits(
    ...([
      [0xfff, 12],
      [0, 1],
      [0, 2],
      [crc ? 0 : 1, 1],
      [1, 2],
      [rate, 4],
      [0, 1],
    ] as const),
    ...([
      [channels, 3],
      [0, 4],
      [7 + (crc ? 2 : 0) + bytes, 13],
      [0x7ff, 11],
      [blocks, 2],
    ] as const),
  )
  return Buffer.concat([header, Buffer.alloc(crc ? 2 : 0), Buffer.alloc(bytes, 0x21)])
}

test('gives frames and their configuration', async (t) => {
  const { frames, consumed, skipped } = adtsFrames(Buffer.concat([frame(), frame({ crc: true })]))
  t.same([frames.length, consumed, skipped], [2, 26, 0])
  for (const one of frames) {
    t.same(one.data, Buffer.alloc(5, 0x21))
    t.equal(one.sampleRate, 48_000)
    t.match(aacAudioConfig(one.config), {
      sampleRate: 48_000,
      channels: 2,
      codecString: 'mp4a.40.2',
    })
  }
  const [eight] = adtsFrames(frame({ channels: 7, rate: 4 })).frames
  t.match(aacAudioConfig(eight?.config ?? Buffer.alloc(0)), { sampleRate: 44_100, channels: 8 })
})

test('keeps the begin of a frame for the next piece', async (t) => {
  const bytes = Buffer.concat([frame(), frame()])
  for (let length = 0; length < bytes.byteLength; length += 1) {
    const first = adtsFrames(bytes.subarray(0, length))
    t.equal(first.frames.length, Math.floor(length / 12))
    t.equal(first.consumed, first.frames.length * 12)
    t.equal(adtsFrames(bytes.subarray(first.consumed)).frames.length, 2 - first.frames.length)
  }
})

test('passes over what is no frame', async (t) => {
  const noise = Buffer.from('00fff7ff', 'hex')
  const { frames, skipped, consumed } = adtsFrames(Buffer.concat([noise, frame(), noise]))
  t.same([frames.length, skipped, consumed], [1, 4, 16])
  t.equal(adtsFrames(frame({ rate: 13 })).frames.length, 0)
  t.equal(adtsFrames(frame({ bytes: 0 })).frames.length, 0)
})

test('refuses several blocks a frame and channels told inside', async (t) => {
  const refused = { code: 'ERR_UNSUPPORTED_CODEC' }
  t.throws(() => adtsFrames(frame({ blocks: 1 })), refused)
  t.throws(() => adtsFrames(frame({ channels: 0 })), refused)
})
