/**
 * Who gets in over SRT, and which packet belongs to whom: handshakes, the callers admitted, and the bounds on both. Nothing is
 * kept, and nothing longer than what came is sent, for an address that has not proven by a cookie that it is its own.
 */
import { randomInt } from 'node:crypto'
import type { RemoteInfo } from 'node:dgram'
import { addressGroup } from '../../address-group.ts'
import type { CancelTimer, Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { FailureLimiter } from '../../failure-limiter.ts'
import { srtLimits } from '../../limits/srt.ts'
import type { Logger } from '../../logger.ts'
import type { PublicationSink, Publishing } from '../../media/sink.ts'
import { CookieJar } from './cookie.ts'
import { HANDSHAKE_TYPE, type Handshake, readHandshake, writeHandshake } from './handshake-codec.ts'
import { Decryptor } from './key-material.ts'
import { LateSink } from './late-sink.ts'
import {
  acceptance,
  type Caller,
  inductionResponse,
  readCaller,
  refusal,
} from './listener-handshake.ts'
import type { SrtIgnoreReason, SrtMetrics } from './metrics.ts'
import { CONTROL, type ControlPacket, controlPacket, type DataPacket } from './packet.ts'
import { SrtPublisher } from './publisher.ts'
import { type RejectionReason, SrtRejection } from './rejection.ts'

/** What admission needs. */
export interface AdmissionComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: SrtMetrics
  readonly publishing: Publishing
  readonly passphraseFor: (streamKey: string) => string | undefined
}

/** Settings of admission. */
export interface AdmissionInit {
  /** Silence of a caller after which it counts as gone. */
  readonly peerIdleMs: number
}

/** Sends a datagram. */
export type SendDatagram = (packet: Buffer, remote: RemoteInfo) => void

interface Member {
  readonly publisher: SrtPublisher
  readonly remote: RemoteInfo
  /** See {@link addressGroup}. */
  readonly group: string
  /** Address, port and socket id of the caller. */
  readonly name: string
  /** Repeated when the caller did not get it. */
  readonly answer: Buffer
}

/** Refusals that somebody who guesses keys would cause. */
const GUESSES = new Set<RejectionReason>(['bad-secret', 'unsecure', 'forbidden', 'unauthorized'])
const SOCKET_ID_MAX = 0x3fff_ffff

/** Admits callers and hands their packets on. */
export class Admission {
  readonly #components: AdmissionComponents
  readonly #init: AdmissionInit
  readonly #send: SendDatagram
  readonly #cookies: CookieJar
  readonly #failures: FailureLimiter
  /** Admitted callers by the socket id that we gave them. */
  readonly #members = new Map<number, Member>()
  /** The same ids by the caller's name, to know a repeated handshake. */
  readonly #ids = new Map<string, number>()
  /** Callers whose passphrase is being checked. */
  readonly #pending = new Set<string>()
  #heldBytes = 0
  #stopped = false
  /** Set while there are callers to look at. */
  #cancelTick: CancelTimer | undefined

  constructor(components: AdmissionComponents, init: AdmissionInit, send: SendDatagram) {
    this.#components = components
    this.#init = init
    this.#send = send
    this.#cookies = new CookieJar(components.clock)
    this.#failures = new FailureLimiter(components, {
      failuresMax: srtLimits.failuresPerAddressMax,
      windowMs: srtLimits.failureWindowMs,
      addressesMax: srtLimits.failureAddressesMax,
    })
  }

  /** Takes a packet of an admitted caller. */
  receive(packet: DataPacket | ControlPacket, remote: RemoteInfo): void {
    const member = this.#members.get(packet.destination)
    if (member?.remote.address !== remote.address || member.remote.port !== remote.port) {
      this.#ignore('stranger')
      return
    }
    member.publisher.receive(packet)
  }

  /** Takes a handshake packet of anybody. */
  handshake(packet: ControlPacket, remote: RemoteInfo): void {
    const { payload } = packet
    // Nobody can be answered at port 0, and the socket refuses to try.
    if (remote.port === 0) {
      this.#ignore('malformed')
      return
    }
    const handshake =
      payload.byteLength > srtLimits.handshakeBytesMax ? undefined : readHandshake(payload)
    if (handshake === undefined) {
      this.#ignore('malformed')
      return
    }
    const where = `${remote.address} ${remote.port}`
    if (handshake.type === HANDSHAKE_TYPE.induction) {
      const cookie = this.#cookies.make(where)
      this.#send(answerPacket(handshake, inductionResponse(handshake, cookie)), remote)
    } else if (handshake.type !== HANDSHAKE_TYPE.conclusion) {
      this.#ignore('malformed')
    } else if (!this.#cookies.check(where, handshake.cookie)) {
      this.#ignore('cookie')
    } else {
      // The datagram's memory is kept beyond this turn.
      this.#conclude(readHandshake(Buffer.from(payload)) ?? handshake, remote)
    }
  }

  /** Ends every publisher, and admits nobody any more. */
  stop(): void {
    this.#stopped = true
    this.#cancelTick?.()
    for (const { publisher } of [...this.#members.values()]) {
      publisher.end('stopped', 'the peer is shutting down')
    }
  }

  /** Looks at every caller again and again, as long as there are any. */
  #tick(): void {
    this.#cancelTick ??= this.#components.clock.after(srtLimits.tickMs, () => {
      this.#cancelTick = undefined
      for (const { publisher } of this.#members.values()) publisher.tick()
      if (this.#members.size > 0) this.#tick()
    })
  }

  #conclude(handshake: Handshake, remote: RemoteInfo): void {
    const name = `${remote.address} ${remote.port} ${handshake.socketId}`
    const member = this.#members.get(this.#ids.get(name) ?? 0)
    if (member !== undefined) {
      this.#send(member.answer, remote)
      return
    }
    // A caller repeats itself while its passphrase is being checked.
    if (this.#pending.has(name)) return
    if (this.#pending.size >= srtLimits.handshakesMax) {
      this.#ignore('limit')
      return
    }
    this.#pending.add(name)
    this.#admit(handshake, remote, name)
      .catch((error: unknown) => this.#refuse(handshake, remote, SrtRejection.from(error)))
      .finally(() => this.#pending.delete(name))
      .catch((error: unknown) => {
        this.#components.logger.error({ err: error }, 'an SRT handshake failed')
      })
  }

  async #admit(handshake: Handshake, remote: RemoteInfo, name: string): Promise<void> {
    this.#requireRoom(remote)
    const caller = readCaller(handshake)
    const decryptor = await this.#decryptorFor(caller)
    if (this.#stopped) throw new SrtRejection('down', 'the peer is shutting down')
    // Others may have been admitted meanwhile.
    this.#requireRoom(remote)
    const socketId = this.#freeId()
    const gone = new AbortController()
    const { metrics } = this.#components
    const sink = new LateSink(() => metrics.unitsDropped.inc({ reason: 'not-admitted' }))
    const asked = this.#ask(caller, remote, { sink, socketId, signal: gone.signal })
    const leave = (): void => gone.abort(new KairoError('ERR_STOPPED', 'the caller has gone'))
    try {
      await this.#soon(asked)
      if (this.#stopped) throw new SrtRejection('down', 'the peer is shutting down')
      this.#requireRoom(remote)
    } catch (error) {
      sink.end('error')
      leave()
      throw error
    }
    const answer = answerPacket(handshake, acceptance(caller, socketId))
    const publisher = this.#newPublisher(caller, decryptor, sink, {
      ...{ socketId, remote, name, leave },
    })
    // After the answer a caller is not refused any more, but sent away.
    asked.catch((error: Error) => publisher.end('refused', error.message, error))
    const group = addressGroup(remote.address)
    this.#members.set(socketId, { publisher, remote, group, name, answer })
    this.#ids.set(name, socketId)
    this.#tick()
    metrics.accepted.inc()
    metrics.connections.set(this.#members.size)
    this.#send(answer, remote)
  }

  /** Resolves when the publisher is admitted. */
  async #ask(
    { streamKey, latencyMs, keyMaterial }: Caller,
    { address, port }: RemoteInfo,
    { sink, socketId, signal }: { sink: LateSink; socketId: number; signal: AbortSignal },
  ): Promise<void> {
    const { publishing, logger } = this.#components
    const remote = `${address}:${port}`
    const admitted = await publishing.publish({
      ...{ streamKey, protocol: 'srt', remote, signal },
      disconnect: (reason) => this.#members.get(socketId)?.publisher.end('replaced', reason),
    })
    sink.admitted(admitted)
    if (signal.aborted) return
    const fields = { stream: admitted.streamName, remote, latencyMs }
    logger.info({ ...fields, encrypted: keyMaterial !== undefined }, 'an SRT publisher has started')
  }

  /** The answer, or `srtLimits.acceptAfterMs` without one: callers do not wait much longer. */
  async #soon(asked: Promise<void>): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = this.#components.clock.after(srtLimits.acceptAfterMs, resolve)
    try {
      await Promise.race([asked, late])
    } finally {
      cancel()
    }
  }

  #requireRoom(remote: RemoteInfo): void {
    if (this.#failures.waitMs(remote.address) > 0) {
      throw new SrtRejection('overload', 'too many refused handshakes from this address')
    }
    if (this.#members.size >= srtLimits.connectionsMax) {
      throw new SrtRejection('overload', 'this peer takes no more SRT publishers')
    }
    let near = 0
    const group = addressGroup(remote.address)
    for (const member of this.#members.values()) {
      if (member.group === group) near += 1
    }
    if (near >= srtLimits.connectionsPerAddressMax) {
      throw new SrtRejection('overload', 'this peer takes no more SRT publishers of this address')
    }
  }

  /** What decrypts the caller's stream; undefined when it is to come in the clear and does. */
  async #decryptorFor({ streamKey, keyMaterial }: Caller): Promise<Decryptor | undefined> {
    const passphrase = this.#components.passphraseFor(streamKey)
    if (passphrase === undefined && keyMaterial === undefined) return undefined
    if (passphrase === undefined) {
      throw new SrtRejection('unsecure', 'the caller encrypts, and no passphrase is set here')
    }
    if (keyMaterial === undefined) {
      throw new SrtRejection(
        'unsecure',
        'the caller does not encrypt, and a passphrase is set here',
      )
    }
    const decryptor = new Decryptor(passphrase)
    if (!(await decryptor.accept(keyMaterial))) {
      throw new SrtRejection('bad-secret', 'the passphrase is wrong')
    }
    return decryptor
  }

  #newPublisher(
    caller: Caller,
    decryptor: Decryptor | undefined,
    sink: PublicationSink,
    member: Pick<Member, 'remote' | 'name'> & { socketId: number; leave: () => void },
  ): SrtPublisher {
    const { clock, logger, metrics } = this.#components
    const { handshake, latencyMs } = caller
    const { socketId, remote, name, leave } = member
    const log = logger.child({ remote: `${remote.address}:${remote.port}` })
    return new SrtPublisher(
      { clock, metrics, logger: log },
      {
        callerId: handshake.socketId,
        initialSequence: handshake.initialSequence,
        latencyMs,
        decryptor,
        peerIdleMs: this.#init.peerIdleMs,
      },
      sink,
      {
        send: (packet) => this.#send(packet, remote),
        isFull: (bytes) => this.#heldBytes + bytes > srtLimits.bufferBytesMax,
        held: (bytes) => {
          this.#heldBytes += bytes
        },
        ended: () => {
          leave()
          this.#members.delete(socketId)
          this.#ids.delete(name)
          metrics.connections.set(this.#members.size)
        },
      },
    )
  }

  #refuse(handshake: Handshake, remote: RemoteInfo, rejection: SrtRejection): void {
    const { logger, metrics } = this.#components
    const { reason, cause } = rejection
    metrics.rejected.inc({ reason })
    if (GUESSES.has(reason)) this.#failures.fail(remote.address)
    const fields = { reason, remote: `${remote.address}:${remote.port}` }
    if (reason === 'internal') logger.error({ ...fields, err: cause }, 'an SRT handshake failed')
    else logger.warn(fields, `an SRT caller was refused: ${rejection.message}`)
    this.#send(answerPacket(handshake, refusal(handshake, rejection)), remote)
  }

  #ignore(reason: SrtIgnoreReason): void {
    this.#components.metrics.ignored.inc({ reason })
  }

  #freeId(): number {
    let id = randomInt(1, SOCKET_ID_MAX)
    while (this.#members.has(id)) id = randomInt(1, SOCKET_ID_MAX)
    return id
  }
}

/** A handshake packet to the caller that sent `request`. */
function answerPacket(request: Handshake, answer: Handshake): Buffer {
  const out = { destination: request.socketId, timestamp: 0 }
  return controlPacket(CONTROL.handshake, out, writeHandshake(answer))
}
