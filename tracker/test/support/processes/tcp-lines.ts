/**
 * Lines between trackers in processes of their own: TCP on loopback. Each side dials the other and sends on what it dialled, so that a line
 * stands as long as its sender's connection. A line that is cut swallows what is sent, as a network does that carries nothing; when it is
 * mended its connection is broken and made anew, since what was swallowed never comes.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import {
  frameBytesMax,
  type Lane,
  type TrackerTransport,
  type TransportHandlers,
} from '../../../src/transport.ts'

const lanes: readonly Lane[] = ['raft', 'bulk', 'call']
/** Waiting for a peer that reads nothing: some seconds of what a member sends. */
const WAITING_BYTES_MAX = 32 * 1024 * 1024
const REDIAL_MS = 30
/** Length of what follows, and the lane. */
const HEAD_BYTES = 5

interface Line {
  socket: Socket
  isUp: boolean
}

/** The lines of one process. */
export class TcpLines implements TrackerTransport {
  readonly peerId: string
  readonly #server: Server
  readonly #inbound = new Set<Socket>()
  readonly #ports = new Map<string, number>()
  readonly #lines = new Map<string, Line>()
  #cut: ReadonlySet<string> = new Set()
  #handlers: TransportHandlers | undefined
  #isClosed = false

  constructor(peerId: string) {
    this.peerId = peerId
    this.#server = createServer((socket) => this.#accept(socket))
  }

  /** Begins to take connections. Returns the port. */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  /** Where the others are now; dials those that are new or have moved. */
  know(ports: Readonly<Record<string, number>>): void {
    for (const [peerId, port] of Object.entries(ports)) {
      if (peerId === this.peerId || this.#ports.get(peerId) === port) continue
      this.#ports.set(peerId, port)
      this.#lines.get(peerId)?.socket.destroy()
      if (!this.#lines.has(peerId)) this.#dial(peerId)
    }
  }

  /** From now on nothing reaches these peers, and everything the others. */
  cut(peerIds: readonly string[]): void {
    const mended = [...this.#cut].filter((peerId) => !peerIds.includes(peerId))
    this.#cut = new Set(peerIds)
    for (const peerId of mended) this.#lines.get(peerId)?.socket.destroy()
  }

  send(peerId: string, lane: Lane, frame: Uint8Array): boolean {
    if (this.#cut.has(peerId)) return true
    const line = this.#lines.get(peerId)
    if (!line?.isUp || line.socket.writableLength > WAITING_BYTES_MAX) return false
    const head = Buffer.allocUnsafe(HEAD_BYTES)
    head.writeUInt32LE(frame.byteLength, 0)
    head.writeUInt8(lanes.indexOf(lane), 4)
    line.socket.cork()
    line.socket.write(head)
    line.socket.write(frame)
    line.socket.uncork()
    return true
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers
    for (const [peerId, { isUp }] of this.#lines) if (isUp) handlers.onLink(peerId, true)
  }

  /** Ends all connections. */
  close(): void {
    this.#isClosed = true
    for (const { socket } of this.#lines.values()) socket.destroy()
    for (const socket of this.#inbound) socket.destroy()
    this.#server.close()
  }

  #dial(peerId: string): void {
    const socket = connect({ host: '127.0.0.1', port: this.#ports.get(peerId) ?? 0, noDelay: true })
    const line: Line = { socket, isUp: false }
    this.#lines.set(peerId, line)
    socket.once('connect', () => {
      const hello = Buffer.from(this.peerId)
      socket.write(Buffer.concat([Buffer.of(hello.byteLength), hello]))
      line.isUp = true
      this.#handlers?.onLink(peerId, true)
    })
    // Nobody there, or gone: 'close' follows.
    socket.on('error', () => {})
    socket.once('close', () => {
      if (line.isUp) this.#handlers?.onLink(peerId, false)
      line.isUp = false
      if (!this.#isClosed) setTimeout(() => !this.#isClosed && this.#dial(peerId), REDIAL_MS)
    })
  }

  #accept(socket: Socket): void {
    this.#inbound.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#inbound.delete(socket))
    let peerId = ''
    let rest: Buffer = Buffer.alloc(0)
    socket.on('data', (piece: Buffer) => {
      rest = rest.byteLength === 0 ? piece : Buffer.concat([rest, piece])
      if (peerId === '') {
        const length = rest[0] ?? 0
        if (rest.byteLength < 1 + length) return
        peerId = rest.toString('utf8', 1, 1 + length)
        rest = rest.subarray(1 + length)
      }
      rest = this.#read(peerId, rest)
    })
  }

  /** Hands over all whole frames. Returns what is left. */
  #read(peerId: string, bytes: Buffer): Buffer {
    let at = 0
    while (bytes.byteLength - at >= HEAD_BYTES) {
      const length = bytes.readUInt32LE(at)
      const lane = lanes[bytes.readUInt8(at + 4)]
      if (lane === undefined || length > frameBytesMax[lane]) throw new Error('a broken frame')
      const end = at + HEAD_BYTES + length
      if (bytes.byteLength < end) break
      this.#handlers?.onFrame(peerId, lane, new Uint8Array(bytes.subarray(at + HEAD_BYTES, end)))
      at = end
    }
    return Buffer.from(bytes.subarray(at))
  }
}
