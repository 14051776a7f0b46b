// Places that a stream can be sent to, for tests: ffmpeg as a listener, and servers that behave badly.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A listening ffmpeg that copies what it gets into a transport stream. */
export interface FfmpegListener {
  readonly child: ChildProcess
  /** What it wrote so far. */
  received(): Buffer
  log(): string
  kill(): Promise<void>
}

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** ffmpeg as a server for one publisher: `rtmp://…` or `srt://…?mode=listener`. */
export function ffmpegListener(t: Test, url: string): FfmpegListener {
  const input = url.startsWith('rtmp:') ? ['-f', 'flv', '-listen', '1'] : ['-f', 'mpegts']
  const child = spawn(
    'ffmpeg',
    [
      ...['-hide_banner', '-loglevel', 'warning', ...input, '-i', url],
      ...['-map', '0', '-c', 'copy', '-flush_packets', '1', '-f', 'mpegts', 'pipe:1'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const chunks: Buffer[] = []
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const gone = once(child, 'close')
  t.teardown(() => child.kill('SIGKILL'))
  return {
    child,
    received: () => Buffer.concat(chunks),
    log: () => text,
    kill: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** A TCP server that does with each connection what it is told. */
export async function rawServer(
  t: Test,
  onSocket: (socket: Socket) => void,
): Promise<{ readonly port: number; readonly server: Server; connections(): number }> {
  const sockets = new Set<Socket>()
  let count = 0
  const server = createServer((socket) => {
    count += 1
    sockets.add(socket)
    // Its partner is killed in the middle of things; that is what it is there for.
    socket.on('error', () => {})
    onSocket(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, server, connections: () => count }
}
