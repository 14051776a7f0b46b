/** Short clips made by ffmpeg, as the units that Kairo's rooms speak, read by FFmpeg's own demuxers. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AVERROR_EOF } from 'node-av/constants'
import { FFmpegError, FormatContext, Packet } from 'node-av/lib'
import type { Test } from 'tap'
import type { AccessUnit, TrackConfig } from '../../src/media/access-unit.ts'
import { codecOf } from '../../src/media/child/av/codecs.ts'
import { PacketReader } from '../../src/media/child/av/packet-reader.ts'

/** One track of a clip. */
export interface ClipTrack {
  readonly config: TrackConfig
  /** In decoding order. */
  readonly units: readonly AccessUnit[]
}

/** A folder that goes with the test. */
export function clipFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'kairo-clip-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs ffmpeg with these arguments, of which the last is the file, and gives back the file's tracks. */
export function makeClip(args: readonly string[]): ClipTrack[] {
  execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y', ...args])
  return readClip(args.at(-1) as string)
}

/** The tracks of a file, in its order. */
export function readClip(path: string): ClipTrack[] {
  const input = new FormatContext()
  FFmpegError.throwIfError(input.openInputSync(path), 'open')
  FFmpegError.throwIfError(input.findStreamInfoSync(), 'look into the file')
  const tracks = input.streams.map((stream) => {
    const { codecpar } = stream
    const codec = codecOf(codecpar.codecId)
    if (codec === undefined) throw new Error('a clip of an unknown codec')
    const frameRate = stream.avgFrameRate.num / stream.avgFrameRate.den
    const reader = new PacketReader({
      codec,
      extradata: codecpar.extradata && Buffer.from(codecpar.extradata),
      timeBase: stream.timeBase,
      frameRate: Number.isFinite(frameRate) ? frameRate : undefined,
    })
    return { reader, units: [] as AccessUnit[] }
  })
  const packet = new Packet()
  packet.alloc()
  for (;;) {
    const result = input.readFrameSync(packet)
    if (result === AVERROR_EOF) break
    FFmpegError.throwIfError(result, 'read')
    const track = tracks[packet.streamIndex]
    const read = track?.reader.read(packet)
    if (read !== undefined) track?.units.push(read.unit)
    packet.unref()
  }
  packet.free()
  input.closeInputSync()
  return tracks.map(({ reader, units }) => {
    if (reader.config === undefined) throw new Error('a clip without a configuration')
    return { config: reader.config, units }
  })
}

/** The units of several tracks in the order of their decoding times, each with its input: video first. */
export function interleaved(tracks: readonly ClipTrack[]): { input: number; unit: AccessUnit }[] {
  return tracks
    .flatMap(({ units }, input) => units.map((unit) => ({ input, unit })))
    .sort((a, b) => a.unit.dts - b.unit.dts)
}
