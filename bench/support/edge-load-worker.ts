/** Does one task of edge-load.ts and prints what came of it as one JSON line. */
import { once } from 'node:events'
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { EdgeTask } from './edge-load.ts'
import { holdConnections } from './held-connections.ts'
import { traceObjectBytes, zipfTrace } from './trace-catalogue.ts'

const TRACE_CONNECTIONS = 32

/** Requests for objects by Zipf's law; every answer must have the length of its object. */
async function runTrace(trace: EdgeTask & { task: 'trace' }): Promise<Record<string, number>> {
  const next = zipfTrace()
  let left = trace.requests
  let bytes = 0
  const startMs = performance.now()
  const client = async (): Promise<void> => {
    const connection = await Connection.open(trace.port)
    while (left > 0) {
      left -= 1
      const index = next()
      const length = await connection.ask(`/z/${index}`)
      if (length !== traceObjectBytes(index)) throw new Error(`/z/${index} has ${length} bytes`)
      bytes += length
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: TRACE_CONNECTIONS }, client))
  return { seconds: (performance.now() - startMs) / 1_000, bytes }
}

/** One keep-alive connection, one request at a time; the answer must tell its length. */
class Connection {
  readonly #socket: Socket
  #received = 0
  #headBytes = 0
  #bodyBytes = 0
  #head = ''
  #done: (bytes: number) => void = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', fail)
    socket.on('end', () => fail(new Error('the server closed a connection')))
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /** Length of the body, which is read to its end. */
  ask(path: string): Promise<number> {
    this.#received = 0
    this.#headBytes = 0
    this.#head = ''
    return new Promise((resolve) => {
      this.#done = resolve
      this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received += chunk.byteLength
    if (this.#headBytes === 0) {
      this.#head += chunk.toString('latin1')
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = /\r\ncontent-length: (\d+)/i.exec(this.#head)?.[1]
      if (!this.#head.startsWith('HTTP/1.1 200') || length === undefined) {
        fail(new Error(`not the answer that was expected: ${this.#head.slice(0, 200)}`))
      }
      this.#headBytes = end + 4
      this.#bodyBytes = Number(length)
    }
    if (this.#received === this.#headBytes + this.#bodyBytes) this.#done(this.#bodyBytes)
  }
}

/** Reads one answer to its end. */
async function runRead(read: EdgeTask & { task: 'read' }): Promise<Record<string, number>> {
  const startMs = performance.now()
  const bytes = await new Promise<number>((resolve, reject) => {
    get({ port: read.port, host: '127.0.0.1', path: read.path }, (response) => {
      let count = 0
      response.on('data', (chunk: Buffer) => {
        count += chunk.byteLength
      })
      response.on('end', () => resolve(count))
      response.on('error', reject)
    }).on('error', reject)
  })
  return { bytes, seconds: (performance.now() - startMs) / 1_000 }
}

async function runHold({ port, pid, ...rest }: EdgeTask & { task: 'hold' }): Promise<unknown> {
  return await holdConnections({ ...rest, server: { port, pid }, path: '/2k' })
}

function fail(error: Error): never {
  console.error(error)
  process.exit(1)
}

const task = JSON.parse(process.argv[2] ?? '{}') as EdgeTask
const tasks = { trace: runTrace, hold: runHold, read: runRead }
console.log(JSON.stringify(await tasks[task.task](task as never)))
process.exit(0)
