/** The stream that the `p2p` bench plays: H.264 in CMAF segments, made once a run by the system's ffmpeg. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from './child-program.ts'
import { tempFolder } from './temp-folder.ts'

/** Of a segment. */
export const segmentS = 4
/** Of all of it. */
export const segments = 30
const bitrateBps = 2_000_000
const frameRate = 30

/** The files by name: `init.mp4`, `seg000.m4s` and so on. */
export interface P2pMedia {
  readonly files: ReadonlyMap<string, Buffer>
  /** SHA-256 of each segment, hex. */
  readonly digests: ReadonlyMap<string, string>
}

/** Name of a segment's file. */
export function segmentName(index: number): string {
  return `seg${String(index).padStart(3, '0')}.m4s`
}

/** Makes it; takes some ten seconds of a core. */
export async function makeP2pMedia(): Promise<P2pMedia> {
  const { path, remove } = tempFolder('p2p', { inMemory: true })
  const picture = `testsrc2=size=640x360:rate=${frameRate}:duration=${segments * segmentS},noise=alls=12:allf=t`
  const rate = `${bitrateBps / 1_000}k`
  const gop = String(segmentS * frameRate)
  await runProgram('ffmpeg', [
    ...['-hide_banner', '-loglevel', 'error', '-f', 'lavfi', '-i', picture],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-profile:v', 'high'],
    ...['-b:v', rate, '-maxrate', rate, '-bufsize', rate],
    ...['-g', gop, '-keyint_min', gop, '-sc_threshold', '0'],
    ...['-f', 'hls', '-hls_time', String(segmentS), '-hls_segment_type', 'fmp4'],
    ...['-hls_playlist_type', 'vod', '-hls_fmp4_init_filename', 'init.mp4'],
    ...['-hls_segment_filename', join(path, 'seg%03d.m4s'), join(path, 'media.m3u8')],
  ])
  const files = new Map(
    readdirSync(path)
      .filter((name) => /\.(mp4|m4s)$/.test(name))
      .map((name) => [name, readFileSync(join(path, name))]),
  )
  remove()
  if (files.size !== segments + 1) throw new Error(`ffmpeg made ${files.size} files`)
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  return {
    files,
    digests: new Map([...files].map(([name, bytes]) => [name, digest(bytes)])),
  }
}

/** The master playlist of it. */
export const masterPlaylist = `#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=${bitrateBps * 1.2},RESOLUTION=640x360,CODECS="avc1.64001e",FRAME-RATE=${frameRate}
media.m3u8
`

/** Its media playlist: all of it, or as a live one of `liveS` seconds, of which the last ten segments are listed. */
export function mediaPlaylist(liveS?: number): string {
  const end = liveS === undefined ? segments : Math.min(segments, Math.floor(liveS / segmentS))
  const first = liveS === undefined ? 0 : Math.max(0, end - 10)
  const listed = Array.from(
    { length: end - first },
    (_, index) => `#EXTINF:${segmentS},\n${segmentName(first + index)}\n`,
  )
  return `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:${segmentS}
#EXT-X-MEDIA-SEQUENCE:${first}
${liveS === undefined ? '#EXT-X-PLAYLIST-TYPE:VOD\n' : ''}#EXT-X-MAP:URI="init.mp4"
${listed.join('')}${liveS === undefined ? '#EXT-X-ENDLIST\n' : ''}`
}
