/** The work of the `serve` bench: one playlist and one part, the same bytes from every server. */

/** A media playlist of 2 KB. */
export const playlist = Buffer.from('#EXTINF:2.00000,\nsegment.m4s\n'.repeat(80).slice(0, 2048))

/** A part of 1 MiB. */
export const part = Buffer.alloc(1024 * 1024, 'kairo')

/** Paths under which every server has them. */
export const servePaths = { playlist: '/live/bench/playlist.m3u8', part: '/live/bench/7.0.m4s' }

/** Media types by path. */
export const serveTypes = {
  playlist: 'application/vnd.apple.mpegurl',
  part: 'video/mp4',
}
