// Sample entries of every codec, box by box.
import { test } from 'tap'
import { findBox } from '../../../src/media/cmaf/box-reader.ts'
import { audioInitSegment, videoInitSegment } from '../../../src/media/cmaf/init-segment.ts'
import { audioSampleEntry, videoSampleEntry } from '../../../src/media/cmaf/sample-entry.ts'
import { audioConfig, videoConfig } from '../../support/packaging-run.ts'

const text = (bytes: Buffer, start: number, end: number) => bytes.toString('latin1', start, end)
/** The content of a box inside an entry, found by its type. */
function content(entry: Buffer, type: string): Buffer {
  const at = entry.indexOf(type, 8, 'latin1')
  if (at === -1) throw new Error(`no ${type}`)
  return entry.subarray(at + 4, at - 4 + entry.readUInt32BE(at - 4))
}

test('each video codec has its entry and its configuration box', async (t) => {
  const description = Buffer.from('0102030405060708', 'hex')
  for (const [codec, entryType, boxType, before] of [
    ['h264', 'avc1', 'avcC', ''],
    ['hevc', 'hvc1', 'hvcC', ''],
    ['av1', 'av01', 'av1C', ''],
    ['vp9', 'vp09', 'vpcC', '01000000'],
  ] as const) {
    const entry = videoSampleEntry(videoConfig({ codec, description }))
    t.equal(entry.readUInt32BE(0), entry.byteLength)
    t.equal(text(entry, 4, 8), entryType)
    t.same([entry.readUInt16BE(32), entry.readUInt16BE(34)], [640, 360])
    t.equal(content(entry, boxType).toString('hex'), `${before}${description.toString('hex')}`)
    t.equal(entry.includes('colr'), false, 'colours only where they are known')
  }
})

test('colours and light levels follow the configuration', async (t) => {
  const masteringDisplay = Buffer.alloc(24, 7)
  const contentLight = Buffer.from('03e80190', 'hex')
  const colour = { primaries: 9, transfer: 16, matrix: 9, fullRange: true }
  const entry = videoSampleEntry(
    videoConfig({ colour: { ...colour, masteringDisplay, contentLight } }),
  )
  t.equal(content(entry, 'colr').toString('latin1', 0, 4), 'nclx')
  t.equal(content(entry, 'colr').subarray(4).toString('hex'), '00090010000980')
  t.same(content(entry, 'mdcv'), masteringDisplay)
  t.same(content(entry, 'clli'), contentLight)
  const plain = videoSampleEntry(videoConfig({ colour: { ...colour, fullRange: false } }))
  t.equal(content(plain, 'colr').subarray(4).toString('hex'), '00090010000900')
  t.equal(plain.includes('mdcv') || plain.includes('clli'), false)
})

test('each audio codec has its entry and its configuration box', async (t) => {
  const dOps = Buffer.from('000201380000bb8000' + '0000', 'hex')
  const opus = audioSampleEntry(audioConfig({ codec: 'opus', description: dOps }))
  t.equal(text(opus, 4, 8), 'Opus')
  t.same(content(opus, 'dOps'), dOps)
  t.same(
    [opus.readUInt16BE(24), opus.readUInt16BE(26), opus.readUInt32BE(32)],
    [2, 16, 48_000 * 65_536],
  )
  // STREAMINFO: 96 kHz, 2 channels, 24 bits.
  const info = `80000022${'12001200000000000000'}177002` + `f0${'00'.repeat(20)}`
  const description = Buffer.from(info.replace('177002f0', '17700370'), 'hex')
  const flac = audioSampleEntry(audioConfig({ codec: 'flac', sampleRate: 96_000, description }))
  t.equal(text(flac, 4, 8), 'fLaC')
  t.same(
    [flac.readUInt16BE(26), flac.readUInt32BE(32)],
    [24, 0],
    '24 bits, a rate that does not fit',
  )
  t.equal(content(flac, 'dfLa').toString('hex'), `00000000${description.toString('hex')}`)
})

test('the media header tells a three-letter language, and no other', async (t) => {
  const language = (value?: string) => {
    const init = audioInitSegment(audioConfig(value === undefined ? {} : { language: value }))
    const header = findBox(init, 'moov', 'trak', 'mdia', 'mdhd')
    const packed = init.readUInt16BE(header.body + 20)
    return String.fromCharCode(...[10, 5, 0].map((shift) => ((packed >> shift) & 31) + 0x60))
  }
  t.equal(language('fra'), 'fra')
  t.equal(language('pt-br'), 'und')
  t.equal(language(), 'und')
  t.ok(videoInitSegment(videoConfig({ codec: 'hevc' })).includes('hvc1'))
})
