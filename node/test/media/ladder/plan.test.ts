// The ladder of a source: rules that hold for every source, and the ladders that people will meet.
import fc from 'fast-check'
import { test } from 'tap'
import {
  isWidelyPlayable,
  type LadderPlan,
  planLadder,
  type VideoFacts,
} from '../../../src/media/ladder/plan.ts'
import { presetSchema } from '../../../src/media/ladder/preset.ts'
import { PresetStore } from '../../../src/media/ladder/preset-store.ts'

const presets = new PresetStore({ directory: '/nonexistent' })
const software = ['libx264', 'libx265', 'libsvtav1', 'aac', 'libopus'].map((name) => ({
  name,
  ok: true,
}))

const facts = (init: Partial<VideoFacts> = {}): VideoFacts => ({
  codec: 'h264',
  codecString: 'avc1.640028',
  width: 1920,
  height: 1080,
  frameRate: 30,
  bitrateBps: 6_000_000,
  videoRange: 'SDR',
  ...init,
})

const plan = (init: Partial<VideoFacts>, preset = 'auto', encoders = software): LadderPlan =>
  planLadder({ video: facts(init), audio: undefined }, presets.get(preset), encoders)

const names = ({ video }: LadderPlan): string[] => video.map(({ name }) => name)
const reason = ({ dropped }: LadderPlan, name: string): string | undefined =>
  dropped.find((rung) => rung.name === name)?.reason

test('ladders of usual sources', async (t) => {
  t.strictSame(names(plan({})), ['720p', '480p', '360p', '240p'])
  t.strictSame(names(plan({ frameRate: 60, bitrateBps: 9e6 })), [
    ...['720p60', '480p60', '360p', '240p'],
  ])
  t.strictSame(names(plan({ width: 3840, height: 2160, frameRate: 59.94, bitrateBps: 30e6 })), [
    '1440p60',
    '1080p60',
    '720p60',
    '480p60',
    '360p',
    '240p',
  ])
  t.strictSame(names(plan({ width: 640, height: 360, bitrateBps: 900_000 })), ['240p'])
  t.strictSame(names(plan({ width: 320, height: 180 })), [])
  const [rung] = plan({}).video
  t.match(rung, { width: 1280, height: 720, bitrateBps: 2_800_000, encoder: 'libx264' })
})

test('every rung of the preset is there or has its reason', async (t) => {
  const made = plan({})
  t.equal(reason(made, '2160p'), 'the source has 1080 lines')
  t.equal(reason(made, '1080p'), 'the source itself is this rung')
  t.equal(reason(made, '1080p-hdr'), 'the source is not HDR')
  t.equal(made.video.length + made.dropped.length, presets.get('auto').video.length)
})

test('a source that few players take has a rung of its own size', async (t) => {
  const hevc = plan({ codec: 'hevc', codecString: 'hvc1.1.6.L120.B0' })
  t.equal(names(hevc)[0], '1080p')
  const odd = plan({ codec: 'av1', codecString: 'av01.0.08M.08', width: 1601, height: 901 })
  t.match(odd.video[0], { name: '900p', width: 1600, height: 900 })
  t.equal(names(plan({ codecString: 'avc1.6e0028' }))[0], '1080p', '10-bit H.264')
  t.notOk(isWidelyPlayable(facts({ videoRange: 'HLG' })))
  const bounded = plan({ codec: 'hevc', codecString: 'hvc1' }, '720p')
  t.equal(names(bounded)[0], '720p', 'a ladder that is meant to end below the source does')
})

test('upright and turned pictures go by their short side', async (t) => {
  const upright = plan({ width: 1080, height: 1920 })
  t.match(upright.video[0], { name: '720p', width: 720, height: 1280 })
  const turned = plan({ rotated: true })
  t.match(turned.video[0], { name: '720p', width: 720, height: 1280 })
})

test('HDR is kept where an encoder of ten bits works, and always shown as SDR too', async (t) => {
  const hdr = { codec: 'hevc', codecString: 'hvc1.2.4.L150.B0', videoRange: 'PQ' } as const
  const kept = plan(hdr)
  t.match(
    kept.video.find(({ name }) => name === '720p-hdr'),
    { codec: 'hevc', encoder: 'libx265', dynamicRange: 'keep' },
  )
  t.match(
    kept.video.find(({ name }) => name === '1080p'),
    { codec: 'h264', dynamicRange: 'sdr' },
  )
  t.equal(reason(kept, '1080p-hdr'), 'the source itself is this rung')
  const av1 = plan(
    hdr,
    'auto',
    software.filter(({ name }) => name !== 'libx265'),
  )
  t.match(
    av1.video.find(({ name }) => name === '720p-hdr-av1'),
    { encoder: 'libsvtav1', codec: 'av1' },
  )
  const none = plan(hdr, 'auto', [{ name: 'libx264', ok: true }])
  t.equal(reason(none, '720p-hdr'), 'no encoder of 10-bit HEVC or AV1 works here')
  t.ok(none.video.every(({ dynamicRange }) => dynamicRange === 'sdr'))
})

test('encoders: hardware first, only those that work, only up to their size', async (t) => {
  const nvenc = { name: 'h264_nvenc', ok: true }
  t.equal(plan({}, 'auto', [...software, nvenc]).video[0]?.encoder, 'h264_nvenc')
  t.equal(plan({}, 'auto', [...software, { ...nvenc, ok: false }]).video[0]?.encoder, 'libx264')
  const wide = plan({ width: 7680, height: 1080, bitrateBps: 20e6 }, 'auto', [...software, nvenc])
  t.equal(wide.video[0]?.encoder, 'libx264', '5120 pixels are too many for the hardware')
  t.equal(wide.video.at(-1)?.encoder, 'h264_nvenc')
  const nothing = plan({}, 'auto', [])
  t.strictSame(names(nothing), [])
  t.equal(reason(nothing, '480p'), 'no encoder of h264 works here')
})

test('a poor source gets a ladder of few bits, and says so', async (t) => {
  const poor = plan({ bitrateBps: 1_000_000 })
  t.ok(poor.limitedByBitrate)
  t.ok((poor.video[0]?.bitrateBps ?? 0) < 700_000)
  const black = plan({ bitrateBps: 40_000 })
  t.strictSame(names(black), [])
  t.ok(black.limitedByBitrate)
  t.equal(reason(black, '480p'), 'the source has only 40 kbit/s')
  t.notOk(plan({ bitrateBps: undefined }).limitedByBitrate)
})

test('pictures are thinned out evenly', async (t) => {
  const rate = (frameRate: number): number | undefined =>
    plan({ frameRate }, 'mobile').video[0]?.frameRate
  t.equal(rate(60), 30)
  t.equal(rate(50), 25)
  t.equal(rate(30.4), undefined, 'a measurement of 30')
  t.equal(rate(24), undefined)
  t.equal(rate(120), 30)
})

test('sound is made where players need it', async (t) => {
  const sound = (codec: 'aac' | 'opus' | 'flac', sampleRate = 48_000, channels = 2) =>
    planLadder(
      { video: undefined, audio: { codec, channels, sampleRate } },
      presets.get('auto'),
      software,
    ).audio
  t.strictSame(sound('aac'), [])
  t.match(sound('opus'), [{ name: 'audio-aac', sampleRate: 48_000, bitrateBps: 128_000 }])
  t.match(sound('flac', 96_000, 6), [{ sampleRate: 48_000, channels: 2 }])
  t.match(sound('flac', 88_200), [{ sampleRate: 44_100 }])
  t.match(sound('opus', 48_000, 1), [{ channels: 1, bitrateBps: 76_800 }])
  const asked = presetSchema.parse({ description: 'x', video: [], audio: { opus: true } })
  const aac = { codec: 'aac', channels: 2, sampleRate: 44_100 } as const
  t.match(planLadder({ video: undefined, audio: aac }, asked, software).audio, [
    { name: 'audio-opus', sampleRate: 48_000 },
  ])
  const broken = [...software, { name: 'libopus', ok: false }]
  const without = planLadder({ video: undefined, audio: aac }, asked, broken)
  t.strictSame(without.audio, [])
  t.equal(without.dropped[0]?.name, 'audio-opus')
})

test('rules that hold for every source', async () => {
  const source = fc.record<VideoFacts>({
    codec: fc.constantFrom('h264', 'hevc', 'av1', 'vp9'),
    codecString: fc.constantFrom('avc1.640028', 'avc1.7a0028', 'hvc1.2.4.L150', 'nonsense', ''),
    width: fc.integer({ min: 2, max: 8_192 }),
    height: fc.integer({ min: 2, max: 8_192 }),
    rotated: fc.boolean(),
    frameRate: fc.option(fc.double({ min: 1, max: 240, noNaN: true }), { nil: undefined }),
    bitrateBps: fc.option(fc.integer({ min: 1_000, max: 100_000_000 }), { nil: undefined }),
    videoRange: fc.constantFrom('SDR', 'PQ', 'HLG'),
  })
  const preset = fc.constantFrom(
    ...presets.list().map(({ preset }) => preset),
    ...['144p', '720p', '1080p25', '4320p'].map((name) => presets.get(name)),
  )
  const encoders = fc.subarray([
    ...software,
    ...['h264_nvenc', 'hevc_nvenc', 'av1_vaapi'].map((name) => ({ name, ok: true })),
  ])
  fc.assert(
    fc.property(source, preset, encoders, (video, ladder, able) => {
      const made = planLadder({ video, audio: undefined }, ladder, able)
      const [width, height] = video.rotated
        ? [video.height, video.width]
        : [video.width, video.height]
      const all = [...made.video, ...made.dropped].map(({ name }) => name)
      if (made.video.length > 16 || all.some((name) => !/^[a-z0-9-]{1,32}$/.test(name)))
        return false
      if (new Set(names(made)).size !== made.video.length) return false
      return made.video.every((rung) => {
        const upscaled = rung.width > width || rung.height > height
        const odd = rung.width % 2 !== 0 || rung.height % 2 !== 0 || rung.width * rung.height === 0
        const bits = video.bitrateBps !== undefined && rung.bitrateBps > video.bitrateBps
        const rate = rung.frameRate !== undefined && rung.frameRate > (video.frameRate ?? 0)
        // One pixel of rounding each way.
        const aspect =
          Math.abs(rung.width * height - rung.height * width) <= 2 * Math.max(width, height)
        const works = able.some(({ name }) => name === rung.encoder)
        const range =
          rung.dynamicRange === 'sdr' || (video.videoRange !== 'SDR' && rung.codec !== 'h264')
        return !upscaled && !odd && !bits && !rate && aspect && works && range
      })
    }),
    { numRuns: 500 },
  )
})
