/**
 * One SRT caller after its handshake, without the socket: packets and ticks go in, control packets and the caller's bytes in
 * order come out (draft-sharabayko-srt-01 section 4). So a simulation can drive it.
 */
import type { Clock } from '../../clock.ts'
import { srtLimits } from '../../limits/srt.ts'
import type { Logger } from '../../logger.ts'
import { Acknowledger, ReceiveRate } from './acknowledger.ts'
import { EXTENSION } from './handshake-codec.ts'
import { type Decryptor, isKnownCipher, KEY_STATE, readKeyMaterial } from './key-material.ts'
import type { SrtDropReason, SrtMetrics } from './metrics.ts'
import {
  ackPacket,
  CONTROL,
  type ControlPacket,
  controlPacket,
  type DataPacket,
  lightAckPacket,
  nakPacket,
  type Outgoing,
  readDropRange,
} from './packet.ts'
import { ReceiveBuffer } from './receive-buffer.ts'
import { addSequence, sequenceDistance } from './sequence.ts'

/** What a connection needs. */
export interface ConnectionComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: SrtMetrics
}

/** What the handshake settled. */
export interface ConnectionInit {
  /** Socket id of the caller. */
  readonly callerId: number
  readonly initialSequence: number
  /** Time given to repairs. */
  readonly latencyMs: number
  /** Undefined for a stream in the clear. */
  readonly decryptor: Decryptor | undefined
  /** Silence of the caller after which it counts as gone. */
  readonly peerIdleMs: number
}

/** The connection's surroundings. */
export interface ConnectionPort {
  /** Sends a packet to the caller. */
  send(packet: Buffer): void
  /** Takes the caller's bytes in order; about `lostBytes` before them are missing. */
  deliver(payload: Buffer, lostBytes: number): void
  /** True when all connections together hold too much to hold `bytes` more. */
  isFull(bytes: number): boolean
  /** Told of every change of {@link Connection.heldBytes}, as a difference. */
  held(bytes: number): void
  /** The connection is over; called once, from within a method of it. */
  ended(reason: 'closed' | 'timeout' | 'protocol', detail: string): void
}

/** Receives from one caller. */
export class Connection {
  readonly #components: ConnectionComponents
  readonly #init: ConnectionInit
  readonly #port: ConnectionPort
  readonly #buffer: ReceiveBuffer
  readonly #acks = new Acknowledger()
  readonly #rate: ReceiveRate
  readonly #startedMs: number
  #heardMs: number
  #mediaMs: number
  #sentMs: number
  #lastAck: number
  #lastAckMs: number
  #ackAnswered = true
  #lastNakMs: number
  #packetsSinceAck = 0
  /** Bytes lost since the last packet that was handed on: packets as large as the largest that came. */
  #lostBytes = 0
  #packetBytesMax = 0
  #heldBytes = 0
  /** New keys are being unwrapped; the caller repeats itself until it has an answer. */
  #changingKeys = false
  #status: 'open' | 'closed' = 'open'

  constructor(components: ConnectionComponents, init: ConnectionInit, port: ConnectionPort) {
    this.#components = components
    this.#init = init
    this.#port = port
    this.#buffer = new ReceiveBuffer({
      initialSequence: init.initialSequence,
      packetsMax: srtLimits.bufferPacketsMax,
      latencyMs: init.latencyMs,
    })
    const nowMs = components.clock.monotonicMs()
    this.#rate = new ReceiveRate(nowMs)
    this.#startedMs = nowMs
    this.#heardMs = nowMs
    this.#mediaMs = nowMs
    this.#sentMs = nowMs
    this.#lastAckMs = nowMs
    this.#lastNakMs = nowMs
    this.#lastAck = init.initialSequence
  }

  /** Takes a packet that came from the caller. */
  receive(packet: DataPacket | ControlPacket): void {
    if (this.#status === 'closed') return
    this.#heardMs = this.#components.clock.monotonicMs()
    if (packet.kind === 'data') this.#receiveData(packet)
    else this.#receiveControl(packet)
  }

  /** Does what time asks for; called every `srtLimits.tickMs`. */
  tick(): void {
    const nowMs = this.#components.clock.monotonicMs()
    if (this.#status === 'closed' || this.#isSilent(nowMs)) return
    for (let lost = this.#buffer.giveUp(nowMs); lost > 0; lost = this.#buffer.giveUp(nowMs)) {
      this.#lose(lost)
      this.#deliver()
      if (this.#isClosed()) return
    }
    this.#acknowledge(nowMs)
    const nakIntervalMs = Math.max(srtLimits.nakIntervalMsMin, this.#acks.timeoutMs / 2)
    if (this.#buffer.missingCount > 0 && nowMs - this.#lastNakMs >= nakIntervalMs) {
      this.#reportLoss(this.#buffer.missing(), nowMs)
    }
    if (nowMs - this.#sentMs >= srtLimits.keepAliveMs) {
      this.#send(controlPacket(CONTROL.keepAlive, this.#outgoing()))
    }
  }

  /** Says goodbye to the caller; nothing comes out of this connection any more. */
  close(): void {
    if (this.#status === 'closed') return
    this.#send(controlPacket(CONTROL.shutdown, this.#outgoing()))
    this.#release()
  }

  #receiveData(packet: DataPacket): void {
    const { metrics } = this.#components
    const nowMs = this.#heardMs
    this.#mediaMs = nowMs
    this.#packetBytesMax = Math.max(this.#packetBytesMax, packet.payload.byteLength)
    metrics.packets.inc()
    this.#rate.add(packet.payload.byteLength, nowMs)
    if (packet.retransmitted) metrics.retransmitted.inc()
    if ((packet.key === 0) !== (this.#init.decryptor === undefined)) {
      this.#drop('key')
      return
    }
    const expected = this.#buffer.endSequence
    const ahead = sequenceDistance(packet.sequence, expected)
    const inOrder = packet.sequence === this.#buffer.nextSequence
    if (!inOrder && this.#port.isFull(packet.payload.byteLength)) {
      this.#drop('overflow')
      return
    }
    let result = this.#buffer.insert(packet, nowMs)
    const skipped = result === 'overflow' ? this.#buffer.skipTo(packet.sequence, nowMs) : 0
    if (skipped > 0) {
      this.#lose(skipped)
      result = this.#buffer.insert(packet, nowMs)
    }
    if (result !== 'held') {
      this.#drop(result)
      return
    }
    if (ahead > 0 && skipped === 0) {
      metrics.lost.inc(ahead)
      const range = { first: expected, last: addSequence(packet.sequence, -1) }
      this.#reportLoss([range], nowMs)
    }
    this.#deliver()
    this.#packetsSinceAck += 1
    if (this.#packetsSinceAck >= srtLimits.lightAckPackets && !this.#isClosed()) {
      this.#packetsSinceAck = 0
      this.#send(lightAckPacket(this.#outgoing(), this.#buffer.nextSequence))
    }
  }

  #receiveControl(packet: ControlPacket): void {
    switch (packet.type) {
      case CONTROL.ackAck:
        this.#measure(packet.info)
        break
      case CONTROL.dropRequest:
        this.#dropRequested(packet)
        break
      case CONTROL.shutdown:
        this.#end('closed', 'the caller closed the connection')
        break
      case CONTROL.userDefined:
        if (packet.subtype === EXTENSION.kmRequest) this.#changeKeys(packet.payload)
        break
      case CONTROL.peerError:
        this.#end('protocol', 'the caller reports an error of its own')
        break
      default:
        // Signs of life need nothing; what a receiver would send means nothing to a receiver.
        break
    }
  }

  #measure(number: number): void {
    const sampleMs = this.#acks.answered(number, this.#heardMs)
    if (sampleMs === undefined) return
    this.#ackAnswered = true
    this.#components.metrics.roundTrip.observe(sampleMs / 1_000)
  }

  #dropRequested({ payload }: ControlPacket): void {
    const range = readDropRange(payload)
    if (range === undefined) return
    const lost = this.#buffer.drop(range)
    if (lost === 0) return
    this.#lose(lost)
    this.#deliver()
  }

  /** Counts packets that are given up. */
  #lose(count: number): void {
    this.#drop('too-late', count)
    this.#lostBytes += count * Math.max(1, this.#packetBytesMax)
  }

  #drop(reason: SrtDropReason, count = 1): void {
    this.#components.metrics.dropped.inc({ reason }, count)
  }

  #deliver(): void {
    let packet = this.#buffer.take()
    while (packet !== undefined) {
      const clear = this.#inClear(packet.payload, packet.sequence, packet.key)
      if (clear === undefined) {
        this.#drop('key')
        this.#lostBytes += packet.payload.byteLength
      } else {
        const lostBytes = this.#lostBytes
        this.#lostBytes = 0
        this.#port.deliver(clear, lostBytes)
        if (this.#isClosed()) return
      }
      packet = this.#buffer.take()
    }
    this.#account()
  }

  #inClear(payload: Buffer, sequence: number, key: number): Buffer | undefined {
    const { decryptor } = this.#init
    return decryptor === undefined ? payload : decryptor.decrypt(payload, sequence, key)
  }

  /** Tells the surroundings what is held. */
  #account(): void {
    const difference = this.#buffer.heldBytes - this.#heldBytes
    if (difference === 0) return
    this.#heldBytes = this.#buffer.heldBytes
    this.#port.held(difference)
  }

  /** Sends a full acknowledgement when there is news, or when the last was not answered in time. */
  #acknowledge(nowMs: number): void {
    const nextSequence = this.#buffer.nextSequence
    const unheard = !this.#ackAnswered && nowMs - this.#lastAckMs > this.#acks.timeoutMs
    if (nextSequence === this.#lastAck && !unheard) return
    this.#lastAck = nextSequence
    this.#lastAckMs = nowMs
    this.#ackAnswered = false
    this.#packetsSinceAck = 0
    const report = {
      nextSequence,
      roundTripUs: this.#acks.roundTripMs * 1_000,
      roundTripVarianceUs: this.#acks.varianceMs * 1_000,
      freePackets: this.#buffer.freePackets,
      packetsPerSecond: this.#rate.packetsPerSecond,
      bytesPerSecond: this.#rate.bytesPerSecond,
    }
    this.#send(ackPacket(this.#outgoing(), this.#acks.next(nowMs), report))
  }

  #reportLoss(ranges: Parameters<typeof nakPacket>[1], nowMs: number): void {
    const packet = nakPacket(this.#outgoing(), ranges, srtLimits.nakWordsMax)
    if (packet === undefined) return
    this.#lastNakMs = nowMs
    this.#send(packet)
  }

  /** The caller announces its next key (section 6.1.6); it goes on with the old one until we have answered. */
  #changeKeys(content: Buffer): void {
    const { decryptor } = this.#init
    const material = readKeyMaterial(content)
    if (decryptor === undefined || material === undefined || !isKnownCipher(material)) {
      this.#answerKeys(keyState(KEY_STATE.noSecret))
      return
    }
    // One at a time: each may cost a thread that files are read with a millisecond or more.
    if (this.#changingKeys) return
    this.#changingKeys = true
    const copy = Buffer.from(content)
    decryptor.accept(material).then(
      (accepted) => {
        this.#changingKeys = false
        if (accepted) this.#components.metrics.keyChanges.inc()
        this.#answerKeys(accepted ? copy : keyState(KEY_STATE.badSecret))
      },
      (error: unknown) => {
        this.#changingKeys = false
        this.#components.logger.error({ err: error }, 'a new SRT key could not be read')
        this.#answerKeys(keyState(KEY_STATE.badSecret))
      },
    )
  }

  #answerKeys(payload: Buffer): void {
    if (this.#isClosed()) return
    const init = { subtype: EXTENSION.kmResponse }
    this.#send(controlPacket(CONTROL.userDefined, this.#outgoing(), payload, init))
  }

  #isSilent(nowMs: number): boolean {
    const { peerIdleMs } = this.#init
    if (nowMs - this.#heardMs > peerIdleMs) {
      this.#end('timeout', `the caller was silent for ${peerIdleMs / 1_000} s`)
    } else if (nowMs - this.#mediaMs > srtLimits.mediaSilenceMs) {
      this.#end('timeout', `the caller sent no media for ${srtLimits.mediaSilenceMs / 1_000} s`)
    }
    return this.#isClosed()
  }

  #end(reason: 'closed' | 'timeout' | 'protocol', detail: string): void {
    // Nothing is repaired any more: what is there is handed on, with its holes.
    let lost = 0
    do {
      this.#deliver()
      if (this.#isClosed()) return
      lost = this.#buffer.giveUp(Number.POSITIVE_INFINITY)
      if (lost > 0) this.#lose(lost)
    } while (lost > 0)
    if (reason === 'closed') this.#release()
    else this.close()
    this.#port.ended(reason, detail)
  }

  #release(): void {
    this.#status = 'closed'
    if (this.#heldBytes !== 0) this.#port.held(-this.#heldBytes)
    this.#heldBytes = 0
  }

  /** A method, because handing on packets may close the connection in between. */
  #isClosed(): boolean {
    return this.#status === 'closed'
  }

  #send(packet: Buffer): void {
    this.#sentMs = this.#components.clock.monotonicMs()
    this.#port.send(packet)
  }

  #outgoing(): Outgoing {
    const elapsedUs = (this.#components.clock.monotonicMs() - this.#startedMs) * 1_000
    return { destination: this.#init.callerId, timestamp: Math.floor(elapsedUs) % 2 ** 32 }
  }
}

function keyState(state: number): Buffer {
  const content = Buffer.alloc(4)
  content.writeUInt32BE(state, 0)
  return content
}
