// Opus and FLAC headers.
import { test } from 'tap'
import { audioConfigFrom } from '../../../src/media/codecs/audio-config.ts'
import { flacAudioConfig } from '../../../src/media/codecs/flac.ts'
import { opusAudioConfig } from '../../../src/media/codecs/opus.ts'
import { bits } from '../../support/bit-writer.ts'

const head = (channels: number, family = 0, mapping: readonly number[] = [], version = 1) => {
  const fields = Buffer.from([version, channels, 0x38, 0x01, 0x44, 0xac, 0, 0, 0x00, 0xff, family])
  return Buffer.concat([Buffer.from('OpusHead'), fields, Buffer.from(mapping)])
}

test('an Opus header becomes a dOps box in the other byte order', async (t) => {
  const config = opusAudioConfig(head(2))
  t.match(config, { codecString: 'opus', sampleRate: 48_000, channels: 2, samplesPerFrame: 960 })
  // Version 0, 2 channels, pre-skip 312, 44,100 Hz before encoding, gain -1 dB, family 0.
  t.equal(Buffer.from(config.description).toString('hex'), '000201380000ac44ff0000')
  const surround = opusAudioConfig(head(6, 1, [4, 2, 0, 4, 1, 2, 3, 5]))
  t.equal(Buffer.from(surround.description).subarray(10).toString('hex'), '010402000401020305')
  t.equal(opusAudioConfig(head(1, 1, [1, 0, 255])).channels, 1, 'a silent channel')
})

test('refuses Opus headers that cannot be, and what browsers do not play', async (t) => {
  const refused = { code: 'ERR_PROTOCOL' }
  t.throws(() => opusAudioConfig(Buffer.alloc(19)), refused)
  t.throws(() => opusAudioConfig(head(2).subarray(0, 18)), refused)
  t.throws(() => opusAudioConfig(head(2, 0, [], 16)), refused, 'version')
  t.throws(() => opusAudioConfig(head(0)), refused)
  t.throws(() => opusAudioConfig(head(2, 1, [1, 1, 0])), refused, 'a mapping too short')
  t.throws(() => opusAudioConfig(head(2, 1, [1, 1, 0, 2])), refused, 'a channel not decoded')
  t.throws(() => opusAudioConfig(head(2, 1, [1, 2, 0, 1])), refused, 'more coupled than streams')
  const unsupported = { code: 'ERR_UNSUPPORTED_CODEC' }
  t.throws(() => opusAudioConfig(head(3)), unsupported)
  t.throws(() => opusAudioConfig(head(9, 1)), unsupported)
  t.throws(() => opusAudioConfig(head(4, 2)), unsupported, 'ambisonics')
})

const streamInfo = (rate: number, channels = 2, block = 4_608) =>
  bits(
    ...([
      [block, 16],
      [block, 16],
      [0, 24],
      [0, 24],
      [rate, 20],
      [channels - 1, 3],
      [23, 5],
    ] as const),
    ...([
      [0, 4],
      [0, 32],
      [0, 32],
      [0, 32],
      [0, 32],
      [0, 32],
    ] as const),
  )

test('a FLAC header counts bare, with its block header, and behind the file marker', async (t) => {
  const info = streamInfo(96_000)
  t.equal(info.byteLength, 34)
  const block = Buffer.concat([Buffer.from('80000022', 'hex'), info])
  const open = Buffer.concat([Buffer.from('00000022', 'hex'), info, Buffer.from('84000000', 'hex')])
  for (const header of [info, block, open, Buffer.concat([Buffer.from('fLaC'), open])]) {
    const config = flacAudioConfig(header)
    t.match(config, {
      codecString: 'flac',
      sampleRate: 96_000,
      channels: 2,
      samplesPerFrame: 4_608,
    })
    t.same(config.description, block)
  }
  t.equal(audioConfigFrom('flac', info).codec, 'flac')
  t.equal(audioConfigFrom('opus', head(2)).codec, 'opus')
  t.equal(audioConfigFrom('aac', Buffer.from('1190', 'hex')).codec, 'aac')
})

test('refuses FLAC headers that cannot be', async (t) => {
  const refused = { code: 'ERR_PROTOCOL' }
  t.throws(() => flacAudioConfig(Buffer.alloc(0)), refused)
  t.throws(() => flacAudioConfig(Buffer.from('fLaC')), refused)
  t.throws(
    () => flacAudioConfig(Buffer.concat([Buffer.from('84000022', 'hex'), streamInfo(1)])),
    refused,
  )
  t.throws(() => flacAudioConfig(streamInfo(0)), refused)
  t.throws(() => flacAudioConfig(streamInfo(48_000, 2, 0)), refused)
  t.throws(() => flacAudioConfig(streamInfo(384_000)), { code: 'ERR_UNSUPPORTED_CODEC' })
})
