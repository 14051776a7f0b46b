/** Does one task of edge-load.ts and prints what came of it as one JSON line. */
import { once } from 'node:events'
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { EdgeTask } from './edge-load.ts'

/** Requests on 32 connections, the objects by Zipf's law. */
async function runTrace(trace: EdgeTask & { task: 'trace' }): Promise<Record<string, number>> {
  const next = zipf(trace)
  let left = trace.requests
  const startMs = performance.now()
  const client = async (): Promise<void> => {
    const connection = await Connection.open(trace.port)
    while (left > 0) {
      left -= 1
      await connection.ask(`/z/${next()}`)
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: 32 }, client))
  return { seconds: (performance.now() - startMs) / 1_000 }
}

/** Numbers from 0 on, the nth as often as 1/n^alpha; the same ones for the same seed. */
function zipf({
  objects,
  alpha,
  seed,
}: {
  readonly objects: number
  readonly alpha: number
  readonly seed: number
}): () => number {
  const sums = new Float64Array(objects)
  let sum = 0
  for (let rank = 0; rank < objects; rank += 1) {
    sum += (rank + 1) ** -alpha
    sums[rank] = sum
  }
  let state = seed
  return () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    const wanted = (((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * sum
    let [low, high] = [0, objects - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] as number) < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** One keep-alive connection, one request at a time; the answer must tell its length. */
class Connection {
  readonly #socket: Socket
  #received = 0
  #wanted = -1
  #head = ''
  #done: () => void = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', fail)
    socket.on('close', () => {
      if (this.#wanted !== -2) fail(new Error('the server closed a connection'))
    })
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new Connection(socket)
  }

  ask(path: string): Promise<void> {
    this.#received = 0
    this.#wanted = -1
    this.#head = ''
    return new Promise((resolve) => {
      this.#done = resolve
      this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`)
    })
  }

  close(): void {
    this.#wanted = -2
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received += chunk.byteLength
    if (this.#wanted === -1) {
      this.#head += chunk.toString('latin1')
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!this.#head.startsWith('HTTP/1.1 200')) fail(new Error(this.#head.slice(0, 200)))
      const length = /\r\ncontent-length: (\d+)/i.exec(this.#head)?.[1]
      if (length === undefined) fail(new Error('an answer without a length'))
      this.#wanted = end + 4 + Number(length)
    }
    if (this.#received === this.#wanted) this.#done()
  }
}

/** Connections that asked once and are kept, and others that ask on; says when all are open, and then waits. */
async function runHold(hold: EdgeTask & { task: 'hold' }): Promise<Record<string, number>> {
  const idle: Connection[] = []
  while (idle.length < hold.idle) {
    const batch = Math.min(200, hold.idle - idle.length)
    const opened = await Promise.all(
      Array.from({ length: batch }, () => Connection.open(hold.port)),
    )
    await Promise.all(opened.map((connection) => connection.ask('/2k')))
    idle.push(...opened)
  }
  process.stderr.write('held\n')
  let requests = 0
  const endMs = performance.now() + hold.seconds * 1_000
  const client = async (): Promise<void> => {
    const connection = await Connection.open(hold.port)
    while (performance.now() < endMs) {
      await connection.ask('/2k')
      requests += 1
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: hold.active }, client))
  // All of those that were idle still answer.
  await Promise.all(idle.map((connection) => connection.ask('/2k')))
  for (const connection of idle) connection.close()
  return { requests, rps: requests / hold.seconds }
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

function fail(error: Error): never {
  console.error(error)
  process.exit(1)
}

const task = JSON.parse(process.argv[2] ?? '{}') as EdgeTask
const tasks = { trace: runTrace, hold: runHold, read: runRead }
console.log(JSON.stringify(await tasks[task.task](task as never)))
process.exit(0)
