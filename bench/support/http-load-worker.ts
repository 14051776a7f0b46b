/**
 * A lean load generator: raw sockets that read into one shared buffer and only count bytes. It learns the length of an
 * answer from the first one on each connection and takes every later one to be as long, so it spends little beside the
 * kernel's work.
 */
import { connect } from 'node:net'
import type { LoadOptions, OwnLoadResult } from './http-load.ts'
import { quantile } from './statistics.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as LoadOptions
const request = Buffer.from(
  `GET ${options.path} HTTP/1.1\r\nHost: 127.0.0.1:${options.port}\r\nUser-Agent: kairo-bench\r\nAccept: */*\r\n\r\n`,
)
const shared = Buffer.allocUnsafe(1024 * 1024)
let requests = 0
const latenciesMs: number[] = []
let isOver = false

function answerBytes(first: string): number {
  const head = first.indexOf('\r\n\r\n')
  const length = /\r\ncontent-length: (\d+)/i.exec(first.slice(0, head))
  if (head < 0 || length === null || !first.startsWith('HTTP/1.1 200 ')) {
    throw new Error(`not the answer that was expected: ${first.slice(0, 200)}`)
  }
  return head + 4 + Number(length[1])
}

function open(): void {
  let expected = 0
  let received = 0
  let askedMs = 0
  const ask = (): void => {
    askedMs = performance.now()
    socket.write(request)
  }
  const socket = connect({
    host: '127.0.0.1',
    port: options.port,
    noDelay: true,
    onread: {
      buffer: shared,
      callback: (count) => {
        if (expected === 0) {
          expected = answerBytes(shared.toString('latin1', 0, count))
        }
        received += count
        if (received >= expected) {
          received -= expected
          requests += 1
          latenciesMs.push(performance.now() - askedMs)
          if (!isOver) ask()
        }
        return true
      },
    },
  })
  socket.on('connect', ask)
  socket.on('error', (error) => {
    throw error
  })
  socket.on('close', () => {
    if (!isOver) {
      throw new Error('the server closed a connection')
    }
  })
}

for (let index = 0; index < options.connections; index += 1) {
  open()
}
const beganMs = performance.now()
setTimeout(() => {
  isOver = true
  const seconds = (performance.now() - beganMs) / 1000
  const p99Ms = quantile(latenciesMs, 0.99)
  const result: OwnLoadResult = { requests, requestsPerSecond: requests / seconds, p99Ms }
  console.log(JSON.stringify(result))
  process.exit(0)
}, options.seconds * 1000)
