/**
 * Records what a real publisher sends: ffmpeg pushes to the RTMP server through a relay that keeps the client's bytes.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection, createServer } from 'node:net'
import { Registry } from 'prom-client'
import { systemClock } from '../../src/clock.ts'
import { RtmpServer } from '../../src/ingest/rtmp/server.ts'
import { silentLogger } from '../../src/logger.ts'
import { RecordingPublishing } from './recording-publishing.ts'
import { STREAM_KEY } from './rtmp-wire.ts'

/** The bytes of one short ffmpeg session (H.264 with B-frames, AAC), from handshake to goodbye. */
export async function captureFfmpegSession(): Promise<Buffer> {
  const publishing = new RecordingPublishing(STREAM_KEY)
  const server = new RtmpServer(
    { clock: systemClock, logger: silentLogger, registry: new Registry(), publishing },
    { host: '127.0.0.1', port: 0 },
  )
  await server.start()
  const captured: Buffer[] = []
  const relay = createServer((client) => {
    const upstream = createConnection(server.address())
    client.on('data', (bytes) => captured.push(bytes))
    client.pipe(upstream).pipe(client)
    // ffmpeg closes without waiting for the last answers.
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const address = relay.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const child = spawn('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=64x64:rate=15', '-f', 'lavfi'],
    ...['-i', 'sine=sample_rate=8000', '-t', '0.6', '-pix_fmt', 'yuv420p', '-c:v', 'libx264'],
    ...['-g', '6', '-bf', '2', '-crf', '40', '-c:a', 'aac', '-b:a', '16k', '-f', 'flv'],
    `rtmp://127.0.0.1:${port}/live/${STREAM_KEY}`,
  ])
  await once(child, 'close')
  relay.close()
  await server.stop()
  return Buffer.concat(captured)
}
