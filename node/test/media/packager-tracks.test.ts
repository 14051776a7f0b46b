/** Several tracks of a publisher, codecs whose frames differ, and what is announced of pictures. */
import { test } from 'tap'
import { sessionLimits } from '../../src/limits/packaging.ts'
import type { AccessUnit } from '../../src/media/access-unit.ts'
import { readFragment } from '../../src/media/cmaf/fragment-reader.ts'
import { flacAudioConfig } from '../../src/media/codecs/flac.ts'
import { opusAudioConfig } from '../../src/media/codecs/opus.ts'
import { frameSamples } from '../../src/media/packager/frame-samples.ts'
import { silenceFor } from '../../src/media/packager/silent-frame.ts'
import { checkRenditions } from '../support/cmaf-checker.ts'
import {
  audioConfig,
  interleave,
  PackagingRun,
  picture,
  pictures,
  sound,
  sounds,
  videoConfig,
} from '../support/packaging-run.ts'
import { PublishedStream } from '../support/published-stream.ts'

const opusHead = Buffer.from('4f707573486561640102380180bb0000000000', 'hex')

const on = (track: number) => (unit: AccessUnit) => ({ ...unit, track })

/** Violations of each rendition beside the first. */
function pairs(run: PackagingRun, names: readonly string[]) {
  const checked = names.map((name) => {
    const announced = run.rendition(name)
    const { partTargetUs = 0, targetDurationS = 0 } = announced ?? {}
    return { name, parts: run.of(name), partTargetUs, targetDurationS }
  })
  const [first, ...others] = checked
  return others.flatMap((other) => checkRenditions(first === undefined ? [] : [first, other]))
}

test('every audio track is cut with the video', async (t) => {
  const run = new PackagingRun()
  run.feed([
    { config: videoConfig() },
    { config: audioConfig({ language: 'en' }) },
    { config: audioConfig({ track: 1, language: 'de', label: 'Deutsch', sampleRate: 44_100 }) },
  ])
  const german = sounds(0, 9_000, 1_024 / 44.1).map(on(1))
  run.feed(interleave(pictures(30, 0, 9_000, 60), sounds(0, 9_000), german)).end()
  t.same(pairs(run, ['source', 'audio', 'audio-2']), [])
  t.match(run.rendition('audio-2')?.info, { language: 'de', label: 'Deutsch', channels: 2 })
  t.match(run.rendition('audio')?.info, { language: 'en' })
  t.equal(run.of('audio-2').at(-1)?.msn, run.of('source').at(-1)?.msn)
})

test('without video the first audio track cuts, and the others follow', async (t) => {
  const run = new PackagingRun()
  run.packager.expect({ video: false })
  run.feed([{ config: audioConfig() }, { config: audioConfig({ track: 2 }) }])
  run.feed(interleave(sounds(0, 9_000), sounds(11, 9_000).map(on(2))))
  run.feed([{ config: audioConfig({ description: Uint8Array.of(0x12, 0x10) }) }])
  run.feed(interleave(sounds(9_000, 15_000), sounds(9_011, 15_000).map(on(2)))).end()
  t.same(pairs(run, ['audio', 'audio-3']), [])
  const openings = (name: string) =>
    run
      .of(name)
      .filter(({ part }) => part === 0)
      .map(({ msn, discontinuity }) => [msn, discontinuity])
  t.same(openings('audio-3'), openings('audio'))
  t.equal(openings('audio').filter(([, discontinuity]) => discontinuity).length, 1)
})

test('a language that comes late begins with the next segment, without a discontinuity', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }, { config: audioConfig() }])
  run.feed(interleave(pictures(30, 0, 4_100, 60), sounds(0, 4_100)))
  run.feed([{ config: audioConfig({ track: 1 }) }])
  const rest = pictures(30, 0, 9_000, 60).filter(({ dts }) => dts >= 4_100 * 90)
  run.feed(interleave(rest, sounds(4_100, 9_000), sounds(4_100, 9_000).map(on(1)))).end()
  t.same(pairs(run, ['source', 'audio', 'audio-2']), [])
  t.equal(run.of('audio-2')[0]?.msn, 3)
  t.notOk(run.parts.some(({ discontinuity }) => discontinuity))
})

test('tracks beyond the limit are counted and left out', async (t) => {
  const run = new PackagingRun().feed([{ config: videoConfig() }])
  run.feed([{ config: audioConfig({ track: sessionLimits.tracksMax }) }])
  run.feed([{ config: videoConfig({ track: sessionLimits.tracksMax }) }])
  t.equal(await run.events('track_refused'), 2)
})

test('a further video track becomes a rendition with the same segments', async (t) => {
  const stream = new PublishedStream()
  const sink = stream.publish()
  sink.expect({ audio: false })
  sink.configure(videoConfig())
  sink.configure(videoConfig({ track: 1, width: 320, height: 180 }))
  const main = pictures(30, 0, 9_000, 60)
  // The small picture of each time comes first, before the cut is known.
  for (const [index, unit] of main.entries()) {
    void sink.write({ ...(pictures(30, 0, 9_000, 60)[index] ?? unit), track: 1 })
    void sink.write(unit)
  }
  sink.end('closed')
  t.same(await stream.violations(['source', 'source-2']), [])
  const [source, small] = await Promise.all(['source', 'source-2'].map((n) => stream.checked(n)))
  const openings = (one: typeof source) =>
    one?.parts.filter(({ part }) => part === 0).map(({ msn }) => msn)
  t.same(openings(small), openings(source))
  t.equal(small?.parts.length, source?.parts.length)
  t.match(stream.publication.record.renditions.at(-1), { name: 'source-2', width: 320 })
})

test('frames of Opus and FLAC last what they say', async (t) => {
  const opus = opusAudioConfig(opusHead)
  const samples = (...bytes: number[]) => frameSamples(opus, Uint8Array.from(bytes))
  t.equal(samples(0xfc), 960)
  t.equal(samples((16 << 3) | 0), 120)
  t.equal(samples((13 << 3) | 1), 1_920)
  t.equal(samples((3 << 3) | 3, 2), 5_760)
  t.equal(samples((3 << 3) | 3, 3), 960, 'longer than a packet may be')
  t.equal(samples((31 << 3) | 3, 0), 960, 'no frames')
  t.equal(samples(), 960)
  const flac = flacAudioConfig(flacHeader(2, 16, 4_096))
  const header = (code: number, ...rest: number[]) =>
    frameSamples(flac, Uint8Array.from([0xff, 0xf8, code << 4, 0x18, ...rest]))
  t.equal(header(1, 0), 192)
  t.equal(header(5, 0), 4_608)
  t.equal(header(12, 0), 4_096)
  t.equal(header(6, 0x7f, 99), 100)
  t.equal(header(7, 0xc2, 0x80, 0x03, 0xe7), 1_000)
  t.equal(header(7, 0xe2, 0x80, 0x80, 0x03, 0xe7), 1_000)
  t.equal(header(0, 0), 4_096, 'reserved')
  t.equal(frameSamples(flac, Uint8Array.of(1, 2, 3)), 4_096)
  t.equal(frameSamples(audioConfig(), Uint8Array.of(0xfc)), 1_024)
})

test('packets of changing length keep their times, and gaps become silence', async (t) => {
  const run = new PackagingRun()
  run.feed([{ config: videoConfig() }, { config: opusAudioConfig(opusHead) }])
  const units: AccessUnit[] = []
  let ms = 0
  for (let index = 0; ms < 9_000; index++) {
    const long = index % 3 === 0
    // 60 ms of SILK, or 20 ms of CELT.
    const data = Buffer.from(long ? [(3 << 3) | 4, 1, 2] : [0xfc, 0xff, 0xfe])
    if (ms < 3_000 || ms > 3_500) units.push({ ...sound(ms), data })
    ms += long ? 60 : 20
  }
  run.feed(interleave(pictures(30, 0, 9_000, 60), units)).end()
  t.same(
    pairs(run, ['source', 'audio']).filter(({ rule }) => rule !== 'part-target-max'),
    [],
  )
  t.ok((await run.events('audio_filled')) > 20)
  const durations = run.of('audio').flatMap(({ data }) => readFragment(data).samples)
  t.same([...new Set(durations.map(({ duration }) => duration))].toSorted(), [2_880, 960])
  const total = durations.reduce((sum, { duration }) => sum + duration, 0)
  t.ok(Math.abs(total / 48 - 9_000) < 100, `${total / 48} ms`)
})

test('silence is known for every codec', async (t) => {
  t.match(silenceFor(opusAudioConfig(opusHead)), { samples: 960 })
  t.equal(silenceFor(audioConfig({ channels: 8 })), undefined)
  const flac = flacAudioConfig(flacHeader(1, 24, 4_096))
  const silence = silenceFor(flac)
  t.equal(silence?.samples, 4_096)
  t.equal(frameSamples(flac, silence?.data ?? Buffer.alloc(0)), 4_096)
  t.equal(silence?.data.byteLength, 8 + 4 + 2)
})

test('HDR and closed captions are announced', async (t) => {
  const colour = { primaries: 9, transfer: 16, matrix: 9, fullRange: false }
  const hdr = new PackagingRun().feed([{ config: videoConfig({ colour }) }])
  hdr.packager.expect({ audio: false })
  for (const unit of pictures(30, 0, 1_000, 30)) hdr.packager.write(unit)
  t.equal(hdr.rendition('source')?.info.videoRange, 'PQ')
  t.equal(hdr.rendition('source')?.info.closedCaptions, undefined)

  const captioned = new PackagingRun().feed([{ config: videoConfig() }])
  captioned.packager.expect({ audio: false })
  // ATSC A/53 user data with one valid pair, in an SEI message before the picture.
  const sei = Buffer.from(
    '0604' + '0e' + 'b5003147413934' + '03' + 'c1ff' + 'fc9420' + 'ff' + '80',
    'hex',
  )
  const length = Buffer.alloc(4)
  length.writeUInt32BE(sei.byteLength, 0)
  for (let index = 0; index < 60; index++) {
    const unit = picture((index * 1_000) / 30, index % 30 === 0)
    captioned.packager.write({ ...unit, data: Buffer.concat([length, sei, unit.data]) })
  }
  t.equal(captioned.rendition('source')?.info.closedCaptions, true)
})

/** STREAMINFO of 48 kHz. */
function flacHeader(channels: number, bits: number, blockSamples: number): Buffer {
  const info = Buffer.alloc(34)
  info.writeUInt16BE(blockSamples, 0)
  info.writeUInt16BE(blockSamples, 2)
  info.writeUInt32BE(48_000 * 4_096 + ((channels - 1) << 9) + ((bits - 1) << 4), 10)
  return info
}
