/**
 * The SRT server: takes H.264, HEVC, AAC and Opus in MPEG-TS from OBS, FFmpeg and other encoders at
 * `srt://host:port?streamid=publish:<stream key>`, any number of callers on one UDP port.
 */
import assert from 'node:assert/strict'
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { type LookupOptions, lookup } from 'node:dns'
import { isIP, isIPv6 } from 'node:net'
import type { Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { srtLimits } from '../../limits/srt.ts'
import type { Logger } from '../../logger.ts'
import type { Publishing } from '../../media/sink.ts'
import { Admission } from './admission.ts'
import { createSrtMetrics, type SrtMetrics } from './metrics.ts'
import { CONTROL, readPacket } from './packet.ts'

/** What the SRT server needs. */
export interface SrtServerComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly publishing: Publishing
  /**
   * The passphrase that publishers with this stream key must encrypt with; undefined when they must send in the clear. It is
   * asked for unknown keys too, and should then answer as for a stream without a passphrase of its own.
   */
  readonly passphraseFor: (streamKey: string) => string | undefined
}

/** Settings of the SRT server. */
export interface SrtServerInit {
  /** Address to listen on. */
  readonly host: string
  /** UDP port; 0 takes a free one. */
  readonly port: number
  /** Silence in milliseconds after which a caller counts as gone; default `srtLimits.peerIdleMs`. */
  readonly peerIdleMs?: number
}

/** Accepts publishers over SRT. */
export class SrtServer {
  readonly #init: SrtServerInit
  readonly #logger: Logger
  readonly #metrics: SrtMetrics
  readonly #socket: Socket
  readonly #admission: Admission
  #status: 'new' | 'started' | 'stopped' = 'new'

  constructor(components: SrtServerComponents, init: SrtServerInit) {
    this.#init = init
    this.#logger = components.logger.child({ name: 'kairo:srt' })
    this.#metrics = createSrtMetrics(components.registry)
    this.#socket = createSocket({ type: isIPv6(init.host) ? 'udp6' : 'udp4', lookup: lookUpNames })
    this.#admission = new Admission(
      {
        clock: components.clock,
        logger: this.#logger,
        metrics: this.#metrics,
        publishing: components.publishing,
        passphraseFor: components.passphraseFor,
      },
      { peerIdleMs: init.peerIdleMs ?? srtLimits.peerIdleMs },
      (packet, remote) => this.#send(packet, remote),
    )
    this.#socket.on('message', (datagram, remote) => this.#receive(datagram, remote))
  }

  /**
   * Listens.
   * @throws KairoError `ERR_ADDRESS_IN_USE` when the port is taken, `ERR_CONFIG` when the address cannot be used.
   */
  async start(): Promise<void> {
    assert(this.#status === 'new', 'an SRT server starts once')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#socket.once('error', reject)
    this.#socket.bind({ port: this.#init.port, address: this.#init.host }, resolve)
    try {
      await promise
    } catch (cause) {
      throw listenError(this.#init, cause)
    }
    this.#socket.off('error', reject)
    this.#socket.on('error', (error) => {
      this.#logger.error({ err: error }, 'the SRT socket failed')
    })
    this.#widenBuffer()
    this.#status = 'started'
    this.#logger.info(this.address(), 'SRT is listening')
  }

  /** Says goodbye to every caller, and stops listening. */
  async stop(): Promise<void> {
    if (this.#status !== 'started') return
    this.#status = 'stopped'
    this.#admission.stop()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#socket.close(resolve)
    await promise
  }

  /** Where the server listens. */
  address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#socket.address()
    return { host: address, port }
  }

  #receive(datagram: Buffer, remote: RemoteInfo): void {
    if (this.#status !== 'started') return
    this.#metrics.receivedBytes.inc(datagram.byteLength)
    const packet = readPacket(datagram)
    if (packet === undefined) this.#metrics.ignored.inc({ reason: 'malformed' })
    else if (packet.kind === 'control' && packet.type === CONTROL.handshake) {
      this.#admission.handshake(packet, remote)
    } else this.#admission.receive(packet, remote)
  }

  #send(packet: Buffer, { address, port }: RemoteInfo): void {
    if (this.#status === 'new') return
    this.#socket.send(packet, port, address, (error) => {
      // A lost packet and one that could not be sent are the same to SRT, which repeats what matters.
      if (error !== null) this.#logger.debug({ err: error, address }, 'an SRT packet was not sent')
    })
  }

  #widenBuffer(): void {
    try {
      this.#socket.setRecvBufferSize(srtLimits.socketBufferBytes)
    } catch (error) {
      this.#logger.info({ err: error }, 'the kernel keeps its own receive buffer for SRT')
    }
  }
}

/** Answers at once for an address, so that a packet leaves in the turn in which it is sent, the goodbye of a stop too. */
function lookUpNames(
  host: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  const family = isIP(host)
  if (family !== 0) callback(null, host, family)
  else lookup(host, { ...options, all: false }, callback)
}

function listenError(init: SrtServerInit, cause: unknown): KairoError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const where = `UDP port ${init.port} on ${init.host}`
  if (code === 'EADDRINUSE') {
    return new KairoError(
      'ERR_ADDRESS_IN_USE',
      `SRT cannot listen: ${where} is taken by another program. Stop that program, or choose another port with --srt ${init.host}:<port> (0 takes a free one).`,
      { cause },
    )
  }
  return new KairoError('ERR_CONFIG', `SRT cannot listen on ${where}: ${String(cause)}`, { cause })
}
