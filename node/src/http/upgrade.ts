/** Connections that leave HTTP for another protocol (RFC 9110 7.8), by path: WebSockets. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ClientMessage } from './client-message.ts'
import { createProblem, pathOf, problemResponse } from './problem.ts'

/** A request for another protocol, and the connection that it is to be spoken on. */
export interface Upgrade {
  readonly message: ClientMessage
  readonly socket: Duplex
  /** Bytes behind the head: the other protocol's first ones. */
  readonly head: Buffer
}

/** A path under which another protocol is spoken. */
export interface UpgradeRoute {
  readonly path: string
  /** Takes the connection, or answers in HTTP and ends it. It must not throw. */
  readonly accept: (upgrade: Upgrade) => void
}

/** The routes by path. */
export class UpgradeRoutes {
  readonly #routes: ReadonlyMap<string, UpgradeRoute>

  constructor(routes: readonly UpgradeRoute[]) {
    this.#routes = new Map(routes.map((route) => [route.path, route]))
  }

  /** The route that a request asks for; undefined when its path has none, or it asks for no WebSocket. */
  find(message: IncomingMessage): UpgradeRoute | undefined {
    const { method, headers } = message
    if (method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') return undefined
    return this.at(message)
  }

  /** The route at the path of a request, whatever it asks for. */
  at({ url }: IncomingMessage): UpgradeRoute | undefined {
    return this.#routes.size === 0 ? undefined : this.#routes.get(pathOf(url ?? ''))
  }
}

/** Answers in HTTP, after which the connection ends. */
export function refuseUpgrade(socket: Duplex, answer: Buffer): void {
  // A broken socket always closes too; what broke it is the client's business.
  socket.on('error', () => {})
  socket.end(answer, () => socket.destroy())
}

/** Answers whoever asks for the path of another protocol in plain HTTP (RFC 9110 15.5.22). */
export function requireUpgrade(reply: ServerResponse): void {
  const detail = 'this path speaks WebSocket only'
  const problem = createProblem(426, 'ERR_INVALID_INPUT', { detail })
  const { headers, body } = problemResponse(problem)
  reply.writeHead(problem.status, {
    ...headers,
    upgrade: 'websocket',
    connection: 'upgrade, close',
  })
  reply.end(body[0])
}
