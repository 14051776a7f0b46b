/** An HTTP server for tests and raw sockets to talk to it, byte by byte. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Registry } from 'prom-client'
import type { PreparedResponse } from '../../src/http/prepared-response.ts'
import { HttpServer, type HttpServerInit } from '../../src/http/server.ts'
import { Shelter, type ShelterInit } from '../../src/http/shelter/shelter.ts'
import type { Logger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { ManualClock } from './manual-clock.ts'

/** One logged line. */
export interface Line {
  readonly level: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

/** A logger that keeps its lines. */
export function keepingLogger(lines: Line[]): Logger {
  const method = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields: fields as Line['fields'], message })
  }
  const logger: Logger = {
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    child: () => logger,
  }
  return logger
}

/** A started server with everything a test looks at. */
export interface TestServer {
  readonly server: HttpServer
  readonly port: number
  readonly clock: ManualClock
  readonly registry: Registry
  readonly lines: Line[]
  readonly shelter: Shelter | undefined
}

/** What a test's shelter is told, and how much memory is in use. */
export interface TestShelter extends Partial<ShelterInit> {
  readonly memoryShare?: () => number
}

/** Starts a server on a free port of 127.0.0.1 with a clock that stands still; without a shelter unless one is asked for. */
export async function startTestServer(
  init: Partial<HttpServerInit> = {},
  shelterInit?: TestShelter,
): Promise<TestServer> {
  const clock = new ManualClock()
  const registry = createRegistry()
  const lines: Line[] = []
  const components = { clock, registry, logger: keepingLogger(lines) }
  const shelter =
    shelterInit === undefined
      ? undefined
      : new Shelter(
          { ...components, memoryShare: shelterInit.memoryShare ?? (() => 0) },
          {
            ...{ requestsPerSecondMax: 0, connectionsPerAddressMax: 0, trustedProxies: [] },
            ...shelterInit,
          },
        )
  const server = new HttpServer(
    { ...components, ...(shelter === undefined ? {} : { shelter }) },
    { host: '127.0.0.1', port: 0, ...init },
  )
  shelter?.start()
  await server.start()
  return { server, port: server.address()?.port ?? 0, clock, registry, lines, shelter }
}

/** Stops it; a test's clients that are still connected are cut. */
export async function stopTestServer(started: TestServer): Promise<void> {
  started.shelter?.stop()
  const stopped = started.server.stop()
  started.clock.advance(60_000)
  await stopped
}

/** A plain answer. */
export function plainAnswer(
  body: string | readonly Uint8Array[],
  headers: Record<string, string> = {},
): PreparedResponse {
  return {
    status: 200,
    headers: { 'content-type': 'text/plain', ...headers },
    body: typeof body === 'string' ? [Buffer.from(body)] : body,
  }
}

/** A connected socket that keeps what it receives. */
export class RawClient {
  readonly socket: Socket
  #received: Buffer[] = []
  #isClosed = false
  #changed: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk)
      this.#changed()
    })
    // Resets are part of some tests; `text` shows what came before.
    socket.on('error', () => {})
    const closed = () => {
      this.#isClosed = true
      this.#changed()
      socket.destroy()
    }
    socket.on('end', closed)
    socket.on('close', closed)
  }

  /** @param localAddress which of this machine's addresses the client has. */
  static async connect(port: number, localAddress = '127.0.0.1'): Promise<RawClient> {
    const host = '127.0.0.1'
    const socket = connect({ port, host, localAddress, noDelay: true, allowHalfOpen: true })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  /** All bytes so far, as latin1. */
  get text(): string {
    return Buffer.concat(this.#received).toString('latin1')
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  send(text: string | Uint8Array): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  }

  /** Resolves when what was received fulfils `isDone`, or the connection is closed. */
  async until(isDone: (text: string) => boolean): Promise<string> {
    while (!this.#isClosed && !isDone(this.text)) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve
      })
    }
    return this.text
  }

  /** Resolves with everything received when the connection is closed. */
  async closed(): Promise<string> {
    return await this.until(() => false)
  }
}

/** Sends bytes and reads until the server closes. */
export async function exchange(
  port: number,
  bytes: string | Uint8Array,
  localAddress?: string,
): Promise<string> {
  const client = await RawClient.connect(port, localAddress)
  client.send(bytes)
  const text = await client.closed()
  client.socket.destroy()
  return text
}

/** An answer without what may differ between two equal ones. */
export function normalised(text: string): string {
  return text.replace(/^(date|x-request-id): .*$/gim, '$1: *')
}

/** The value of one metric with these labels; 0 when it was never touched. */
export async function metric(
  registry: Registry,
  name: string,
  labels: Record<string, string> = {},
): Promise<number> {
  const found = await registry.getSingleMetric(name)?.get()
  const value = found?.values.find((item) =>
    Object.entries(labels).every(([label, wanted]) => item.labels[label] === wanted),
  )
  return value?.value ?? 0
}

/** Lets sockets do what they can, until `isDone`; tests end by tap's own time limit when it never is. */
export async function eventually(isDone: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isDone())) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}
