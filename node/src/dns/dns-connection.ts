/** One TCP connection of a DNS client (RFC 7766): messages behind their lengths, answered in turn, bounded in size and silence. */
import type { Socket } from 'node:net'
import type { CancelTimer, Clock } from '../clock.ts'
import { dnsLimits } from '../limits/dns.ts'

const LENGTH_BYTES = 2

/** What a connection needs. */
export interface DnsConnectionComponents {
  readonly clock: Clock
  /** The answer to a message; undefined closes the connection, since its client waits for one. */
  readonly answer: (message: Buffer) => Buffer | undefined
  readonly onClose: () => void
}

/** Reads and answers until its client is done, silent, or breaks a limit. */
export class DnsConnection {
  readonly #components: DnsConnectionComponents
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #cancelIdle: CancelTimer | undefined

  constructor(components: DnsConnectionComponents, socket: Socket) {
    this.#components = components
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#onData(chunk))
    // What broke is of no concern to anybody but its client; `close` follows.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#cancelIdle?.()
      components.onClose()
    })
    this.#wait()
  }

  /** Ends it at once. */
  close(): void {
    this.#socket.destroy()
  }

  /** The time begins with each whole message, so that a byte now and then does not hold a connection. */
  #wait(): void {
    this.#cancelIdle?.()
    this.#cancelIdle = this.#components.clock.after(dnsLimits.idleTimeoutMs, () => this.close())
  }

  #onData(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    while (this.#received.byteLength >= LENGTH_BYTES) {
      const length = this.#received.readUInt16BE(0)
      const isSound = length > 0 && length <= dnsLimits.queryBytesMax
      if (isSound && this.#received.byteLength < LENGTH_BYTES + length) return
      const message = this.#received.subarray(LENGTH_BYTES, LENGTH_BYTES + length)
      this.#received = this.#received.subarray(LENGTH_BYTES + length)
      if (isSound && this.#answer(message)) continue
      this.close()
      return
    }
  }

  #answer(message: Buffer): boolean {
    const answer = this.#components.answer(message)
    if (answer === undefined) return false
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt16BE(answer.byteLength)
    this.#socket.write(Buffer.concat([length, answer]))
    this.#wait()
    return this.#socket.writableLength <= dnsLimits.unsentBytesMax
  }
}
