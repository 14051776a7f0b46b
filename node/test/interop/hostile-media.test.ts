/**
 * Files that are made to hurt: playlists, session descriptions and references that would make FFmpeg read other files of this
 * machine or addresses of its network, and pictures that claim more memory than there is.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { t as root, type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { silentLogger } from '../../src/logger.ts'
import { MediaPool } from '../../src/media/child/pool.ts'
import { needs } from '../support/needs.ts'
import { forkUncounted } from '../support/uncounted.ts'

forkUncounted()

const skip = needs('ffmpeg')
// Each file has a child of its own.
const timeout = 120_000
root.setTimeout(300_000)

/** Runs jobs over files, beside a server that must never be asked for anything. */
async function bait(t: Test) {
  const directory = t.testdir({ 'secret.txt': 'a secret of this machine' })
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const common = { clock: systemClock, logger: silentLogger, registry: new Registry() }
  const pool = new MediaPool(common, { warm: 1, childrenMax: 2 })
  pool.start()
  t.teardown(async () => {
    server.close()
    await pool.stop()
  })
  const { port } = server.address() as AddressInfo
  return {
    directory,
    url: `http://127.0.0.1:${port}/segment.ts`,
    port,
    connections: () => connections,
    probe: (path: string) => pool.run({ type: 'probe', path }, {}).done,
  }
}

function makeClip(path: string, ...options: string[]): void {
  const source = ['-f', 'lavfi', '-i', 'testsrc=size=64x64:rate=10:duration=0.5']
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...source, ...options, path])
}

test('a file is read and nothing else', { skip, timeout }, async (t) => {
  const { directory, url, port, connections, probe } = await bait(t)
  const clip = join(directory, 'clip.ts')
  makeClip(clip, '-c:v', 'libx264', '-pix_fmt', 'yuv420p')
  const segments = `#EXTINF:1,\n${url}\n#EXTINF:1,\nfile://${clip}\n#EXT-X-ENDLIST\n`
  const manifest = `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp2t"><Representation id="1" bandwidth="1"><BaseURL>${url}</BaseURL></Representation></AdaptationSet></Period></MPD>`
  const files: Readonly<Record<string, string>> = {
    'playlist.mp4': `#EXTM3U\n#EXT-X-TARGETDURATION:1\n${segments}`,
    'master.mp4': `#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n${url}\n`,
    'concat.mkv': `ffconcat version 1.0\nfile '${clip}'\n`,
    'concat-url.mkv': `ffconcat version 1.0\nfile '${url}'\n`,
    'description.mp4': `v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video ${port} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n`,
    'manifest.mp4': `<?xml version="1.0"?>${manifest}`,
    'subtitles.webm': `WEBVTT\n\n00:00.000 --> 00:01.000\n${readFileSync(join(directory, 'secret.txt'), 'utf8')}\n`,
    'metadata.flv': ';FFMETADATA1\ntitle=x\n',
  }
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name)
    writeFileSync(path, text)
    await t.rejects(probe(path), { code: 'ERR_MEDIA' }, name)
  }
  // A name that FFmpeg would take for a protocol is a name.
  for (const name of ['concat:a|b.ts', 'http:', 'pipe:0', 'subfile,,start,0,end,9,,:x.ts']) {
    writeFileSync(join(directory, name), readFileSync(clip))
    t.match(await probe(join(directory, name)), { video: { width: 64 } }, name)
  }
  t.equal(connections(), 0)
})

test('a movie whose samples lie elsewhere is not followed', {
  skip: needs('ffmpeg'),
}, async (t) => {
  const { directory, url, connections, probe } = await bait(t)
  const path = join(directory, 'reference.mov')
  makeClip(path, '-c:v', 'libx264', '-pix_fmt', 'yuv420p')
  writeFileSync(path, withReference(readFileSync(path), url))
  // Its samples are looked for in the file itself, where none is at those places, or they are those of the file.
  await probe(path).catch((error: unknown) => t.match(error, { code: 'ERR_MEDIA' }))
  t.equal(connections(), 0)
})

test('pictures of a size that nobody has', { skip, timeout }, async (t) => {
  const { directory, probe } = await bait(t)
  const path = join(directory, 'bomb.mov')
  makeClip(path, '-c:v', 'png')
  const bytes = readFileSync(path)
  // The sample entry's and the track header's sides; the pictures themselves stay small.
  for (let at = bytes.indexOf('png '); at !== -1; at = bytes.indexOf('png ', at + 1)) {
    if (bytes.readUInt32BE(at + 28) === ((64 << 16) | 64)) bytes.writeUInt32BE(0x3000_3000, at + 28)
  }
  writeFileSync(path, bytes)
  await probe(path).then(
    (facts) => t.match(facts, { video: { width: 64, height: 64 } }),
    (error: unknown) => t.match(error, { code: 'ERR_MEDIA' }),
  )
})

/** The movie with a data reference to an address in place of "in this file" (ISO/IEC 14496-12 8.7.2). */
function withReference(movie: Buffer, url: string): Buffer {
  const start = movie.indexOf('dref') - 4
  const size = movie.readUInt32BE(start)
  const location = Buffer.from(`${url}\0`)
  const box = Buffer.alloc(16 + 12)
  box.writeUInt32BE(box.byteLength + location.byteLength, 0)
  box.write('dref', 4, 'latin1')
  box.writeUInt32BE(1, 12)
  box.writeUInt32BE(12 + location.byteLength, 16)
  box.write('url ', 20, 'latin1')
  const grown = box.byteLength + location.byteLength - size
  for (const name of ['moov', 'trak', 'mdia', 'minf', 'dinf']) {
    const at = movie.lastIndexOf(name, start) - 4
    movie.writeUInt32BE(movie.readUInt32BE(at) + grown, at)
  }
  return Buffer.concat([movie.subarray(0, start), box, location, movie.subarray(start + size)])
}
