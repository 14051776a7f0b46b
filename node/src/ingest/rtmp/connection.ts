/**
 * Couples one socket with one RTMP session: backpressure both ways, and an end that lets the client read its last status.
 */
import type { Socket } from 'node:net'
import type { CancelTimer } from '../../clock.ts'
import { rtmpLimits } from '../../limits.ts'
import { Session, type SessionComponents, type SessionInit } from './session.ts'

/** One client's connection. */
export class Connection {
  /** Settles when the socket is closed. */
  readonly closed: Promise<void>
  readonly #components: SessionComponents
  readonly #socket: Socket
  readonly #session: Session
  #cancelLinger: CancelTimer = () => {}

  constructor(components: SessionComponents, init: SessionInit, socket: Socket) {
    this.#components = components
    this.#socket = socket
    this.#session = new Session(components, init, {
      send: (bytes) => this.#send(bytes),
      pause: () => {
        socket.pause()
      },
      resume: () => {
        socket.resume()
      },
      close: () => this.#close(),
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    socket.on('data', (data) => {
      components.metrics.receivedBytes.inc(data.byteLength)
      this.#session.receive(data)
    })
    socket.on('end', () => this.#session.end('closed', 'the client closed the connection'))
    socket.on('error', (error) => this.#session.fail(error))
    socket.on('close', () => {
      this.#session.end('closed', 'the client closed the connection')
      this.#cancelLinger()
      resolve()
    })
  }

  /** True between an accepted `publish` and its end. */
  get isPublishing(): boolean {
    return this.#session.isPublishing
  }

  /** Ends at once, for a newer connection. */
  giveWay(): void {
    this.#session.end(
      'limit',
      'too many connections: the one that had not published longest gave way',
    )
    this.#socket.destroy()
  }

  /** Tells the client that the peer shuts down, and closes within `rtmpLimits.closeGraceMs`. */
  async stop(): Promise<void> {
    this.#session.end('stopped', 'the peer is shutting down')
    await this.closed
  }

  #send(bytes: Buffer): void {
    if (!this.#socket.writable) return
    this.#socket.write(bytes)
    if (this.#socket.writableLength > rtmpLimits.sendQueueBytesMax) {
      this.#session.end('limit', 'the client does not read what it is sent')
      this.#socket.destroy()
    }
  }

  #close(): void {
    // What still comes is read and dropped: closing over unread bytes would reset the connection and lose the last status.
    this.#socket.resume()
    this.#socket.end()
    this.#cancelLinger = this.#components.clock.after(rtmpLimits.closeGraceMs, () => {
      this.#socket.destroy()
    })
  }
}
