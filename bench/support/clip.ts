/** The clip that pushers replay: what an encoder set for low latency sends, made once by ffmpeg and kept. */
import { existsSync } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder } from './cache-folder.ts'
import { runProgram } from './child-program.ts'

const FRAME_RATE = 30
const SECONDS = 60
const FLV_HEADER_BYTES = 9
const TAG_HEADER_BYTES = 11
const PREVIOUS_SIZE_BYTES = 4

/** One FLV tag (Adobe FLV 10.1, annex E.4.1). */
export interface FlvTag {
  /** 8 audio, 9 video, 18 script data; also the RTMP message type. */
  readonly type: number
  /** Decoding time in milliseconds. */
  readonly timestampMs: number
  readonly data: Buffer
  /** True for H.264 pictures and AAC frames, false for headers and metadata. */
  readonly isFrame: boolean
}

/** The clip's tags: 30 frames a second, a keyframe every 2 s, no B-frames, H.264 at about 2 Mbit/s and AAC. */
export async function loadClip(): Promise<FlvTag[]> {
  const path = join(cacheFolder(), `clip-640x360-${FRAME_RATE}fps-${SECONDS}s.flv`)
  if (!existsSync(path)) await makeClip(path)
  return readFlv(await readFile(path))
}

/** Splits an FLV file into its tags. */
export function readFlv(file: Buffer): FlvTag[] {
  const tags: FlvTag[] = []
  let at = FLV_HEADER_BYTES + PREVIOUS_SIZE_BYTES
  while (at + TAG_HEADER_BYTES <= file.byteLength) {
    const type = file.readUInt8(at)
    const bytes = file.readUIntBE(at + 1, 3)
    const timestampMs = file.readUIntBE(at + 4, 3) + file.readUInt8(at + 7) * 2 ** 24
    const data = file.subarray(at + TAG_HEADER_BYTES, at + TAG_HEADER_BYTES + bytes)
    tags.push({ type, timestampMs, data, isFrame: type !== 18 && data[1] === 1 })
    at += TAG_HEADER_BYTES + bytes + PREVIOUS_SIZE_BYTES
  }
  return tags
}

async function makeClip(path: string): Promise<void> {
  const partial = `${path}.partial`
  await runProgram('ffmpeg', [
    ...['-hide_banner', '-loglevel', 'error', '-y'],
    // Noise keeps any two pictures from having the same bytes, which is how frames are recognised later.
    ...['-f', 'lavfi', '-i', `testsrc2=size=640x360:rate=${FRAME_RATE},noise=alls=8:allf=t`],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
    ...['-t', String(SECONDS), '-pix_fmt', 'yuv420p'],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-profile:v', 'high'],
    ...['-g', String(2 * FRAME_RATE), '-keyint_min', String(2 * FRAME_RATE), '-sc_threshold', '0'],
    ...['-b:v', '2M', '-maxrate', '2M', '-bufsize', '2M'],
    ...['-c:a', 'aac', '-b:a', '128k', '-ar', '48000', '-ac', '2'],
    ...['-f', 'flv', '-flvflags', 'no_duration_filesize', partial],
  ])
  await rename(partial, path)
}
