/** Real media for delivery tests: a clip that ffmpeg makes and cuts into fragments of about 200 ms, one file a track. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findBox, readBoxes } from '../../src/media/cmaf/box-reader.ts'
import { readInit } from '../../src/media/cmaf/fragment-reader.ts'
import { partnerPath } from './needs.ts'

const run = promisify(execFile)

const SEGMENT_US = 2_000_000

/** One fragment as a part of a segment. */
export interface ClipPart {
  readonly bytes: Buffer
  readonly durationUs: number
  /** Ends a segment of about two seconds. */
  readonly last: boolean
}

/** One track of the clip. */
export interface ClipTrack {
  readonly init: Buffer
  readonly parts: readonly ClipPart[]
}

/** A small H.264 picture with a running counter and an AAC tone, both starting at time 0. */
export async function makeClip(
  folder: string,
  seconds: number,
  look: { readonly size?: string; readonly hertz?: number } = {},
): Promise<{ readonly video: ClipTrack; readonly audio: ClipTrack }> {
  const { size = '320x180', hertz = 440 } = look
  const fragments = '-frag_duration 200000 -movflags empty_moov+default_base_moof'.split(' ')
  const encode = (file: string, ...options: string[]): Promise<unknown> =>
    run(partnerPath('ffmpeg') ?? 'ffmpeg', [
      ...['-v', 'error', '-y', '-f', 'lavfi'],
      ...options,
      ...['-t', String(seconds), ...fragments, join(folder, file)],
    ])
  const x264 = '-c:v libx264 -preset ultrafast -tune zerolatency -g 60 -sc_threshold 0'.split(' ')
  await encode('video.mp4', '-i', `testsrc2=size=${size}:rate=30`, ...x264, '-pix_fmt', 'yuv420p')
  const sine = `sine=frequency=${hertz}:sample_rate=48000`
  await encode('audio.mp4', '-i', sine, '-c:a', 'aac', '-ac', '2')
  return {
    video: cut(await readFile(join(folder, 'video.mp4'))),
    audio: cut(await readFile(join(folder, 'audio.mp4'))),
  }
}

function cut(file: Buffer): ClipTrack {
  const boxes = readBoxes(file)
  const moov = boxes.find((box) => box.type === 'moov')
  if (moov === undefined) throw new Error('ffmpeg made no moov')
  const init = file.subarray(0, moov.end)
  const { timescale } = readInit(init)
  const fragments = boxes.flatMap((box, index) => {
    const end = box.type === 'moof' ? boxes[index + 1]?.end : undefined
    return end === undefined ? [] : [file.subarray(box.start, end)]
  })
  const parts: ClipPart[] = []
  let us = 0
  // A fragment lasts until the next one begins, so the clip's last one is left out.
  for (const [index, bytes] of fragments.slice(0, -1).entries()) {
    const ticks = decodeTime(fragments[index + 1] as Buffer) - decodeTime(bytes)
    const durationUs = Math.round((ticks * 1_000_000) / timescale)
    const segment = Math.floor(us / SEGMENT_US)
    us += durationUs
    // Every track is cut by the same times, so segments of one number begin together.
    const last = Math.floor(us / SEGMENT_US) > segment
    parts.push({ bytes, durationUs, last })
  }
  return { init, parts }
}

function decodeTime(fragment: Buffer): number {
  const { body } = findBox(fragment, 'moof', 'traf', 'tfdt')
  return fragment[body] === 1
    ? Number(fragment.readBigUInt64BE(body + 4))
    : fragment.readUInt32BE(body + 4)
}
