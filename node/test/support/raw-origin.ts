/** An origin that answers byte by byte as a test says, whatever HTTP thinks of it. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** One request that has come, head and what stood behind it. */
export interface RawRequest {
  readonly socket: Socket
  /** The head with its empty line. */
  readonly head: string
  /** Which request of this origin, and of this connection, from 0. */
  readonly index: number
  readonly indexOnSocket: number
}

/** A running origin. */
export interface RawOrigin {
  readonly url: string
  /** Heads in the order they came. */
  readonly heads: string[]
  /** Connections that were ever opened, and those that are. */
  readonly counts: { opened: number; open: number }
  /** Resolves when so many requests have come. */
  readonly requests: (count: number) => Promise<void>
  /** Resolves when so many connections are open. */
  readonly openConnections: (count: number) => Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts one on a free port of 127.0.0.1. Bodies of requests are taken for heads: tests of them speak `node:http`. */
export async function startRawOrigin(answer: (request: RawRequest) => void): Promise<RawOrigin> {
  const heads: string[] = []
  const counts = { opened: 0, open: 0 }
  const sockets = new Set<Socket>()
  let changed: () => void = () => {}
  const server = createServer((socket) => {
    counts.opened += 1
    counts.open += 1
    sockets.add(socket)
    changed()
    let text = ''
    let indexOnSocket = 0
    socket.on('error', () => {})
    socket.on('close', () => {
      counts.open -= 1
      sockets.delete(socket)
      changed()
    })
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end + 4)
        text = text.slice(end + 4)
        heads.push(head)
        answer({ socket, head, index: heads.length - 1, indexOnSocket })
        indexOnSocket += 1
        changed()
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        changed = resolve
      })
    }
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heads,
    counts,
    requests: (count) => until(() => heads.length >= count),
    openConnections: (count) => until(() => counts.open === count),
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** A whole answer. */
export function rawAnswer(body: string, head = 'HTTP/1.1 200 OK'): string {
  return `${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}
