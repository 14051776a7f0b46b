// Tracks of every codec: what the record tells, what the first keyframe adds, what a later one changes.
import { test } from 'tap'
import { joinNals } from '../../../src/media/codecs/nal-units.ts'
import { openVideoBitstream } from '../../../src/media/codecs/video-bitstream.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
/** x265, 640x480 4:4:4, its colours changed to BT.2020 and PQ. */
const HDR_RECORD = hex(
  `0104080000009e08000000005af000fcfff8f800000f03
   a00001001740010c01ffff0408000003009e0800000300005a959809
   a10001002d4201010408000003009e0800000300005a9000a0403c2cb2b349265780b7091009040000030004000003007820
   a2000100084401c172860c4624`.replaceAll(/\s/g, ''),
)
const IDR = hex('2601af')
const LIGHT = hex('4e01 9004 03e80190 80')

test('HDR10 waits for the light levels of the first keyframe', async (t) => {
  const track = openVideoBitstream('hevc', HDR_RECORD)
  t.equal(track.config, undefined)
  t.match(track.read(joinNals([hex('0201d0')])), { keyframe: false, config: undefined })
  const first = track.read(joinNals([LIGHT, IDR]))
  t.match(first, { keyframe: true, config: { codec: 'hevc', colour: { transfer: 16 } } })
  t.same(first?.config?.colour?.contentLight, hex('03e80190'))
  t.equal(track.read(joinNals([LIGHT, IDR]))?.config, undefined, 'told once')
  t.equal(track.read(hex('00000009')), undefined)
  const silent = openVideoBitstream('hevc', HDR_RECORD).read(joinNals([IDR]))
  t.match(silent?.config, { colour: { transfer: 16 } }, 'or goes without')
})

test('SDR HEVC is known at once', async (t) => {
  const record = Buffer.from(HDR_RECORD)
  record.set(hex('b7010101'), record.indexOf(hex('b7091009')))
  t.match(openVideoBitstream('hevc', record).config, { width: 640, colour: { transfer: 1 } })
})

const AV1_RECORD = hex('814048000a0b400000043d07c4daf94080')
const SEQUENCE = AV1_RECORD.subarray(4)
const OTHER_SEQUENCE = hex('0a0b00000042abbfc3776be4a8')
const KEY = hex('320210aa')

test('AV1: a sequence header is put in front of a keyframe without, and a changed one counts', async (t) => {
  const track = openVideoBitstream('av1', AV1_RECORD)
  t.match(track.config, { width: 322, height: 242 })
  const bare = track.read(KEY)
  t.same(bare?.data, Buffer.concat([SEQUENCE, KEY]))
  t.equal(bare?.config, undefined)
  t.equal(track.read(Buffer.concat([SEQUENCE, KEY]))?.config, undefined)
  const changed = track.read(Buffer.concat([OTHER_SEQUENCE, KEY]))
  t.match(changed?.config, { width: 1_920, height: 1_080 })
  t.same(track.read(KEY)?.data, Buffer.concat([OTHER_SEQUENCE, KEY]))
  t.match(track.read(hex('320230aa')), { keyframe: false, config: undefined })
  t.equal(track.read(hex('3209')), undefined)
})

test('AV1 without a sequence header in its record waits for a keyframe that has one', async (t) => {
  const track = openVideoBitstream('av1', hex('81080c00'))
  t.equal(track.config, undefined)
  t.equal(track.read(KEY)?.config, undefined)
  t.match(track.read(Buffer.concat([OTHER_SEQUENCE, KEY]))?.config, { width: 1_920 })
})

test('VP9 tells its size with each keyframe', async (t) => {
  const track = openVideoBitstream('vp9', hex('021fa20202090000'), 50)
  t.equal(track.config, undefined)
  const key = hex('924983425027f8167b031c120e0c2c0c02da7fd9')
  t.match(track.read(key), { keyframe: true, config: { width: 1_280, frameRate: 50 } })
  t.match(track.read(key), { keyframe: true, config: undefined })
  t.match(track.read(hex('8600400092')), { keyframe: false, config: undefined })
  const small = Buffer.from(key)
  small.set(hex('13'), 5)
  t.match(track.read(small)?.config, { height: 720 })
  t.equal(track.read(hex('00')), undefined)
})
