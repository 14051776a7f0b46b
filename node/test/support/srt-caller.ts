/**
 * An SRT caller written by hand, without a socket: says hello, sends packets, repeats what it is asked to repeat. And an
 * admission with a clock that stands still, for it to call.
 */
import { createCipheriv, pbkdf2Sync } from 'node:crypto'
import type { RemoteInfo } from 'node:dgram'
import { Registry } from 'prom-client'
import { Admission } from '../../src/ingest/srt/admission.ts'
import {
  EXTENSION,
  type Extension,
  HANDSHAKE_TYPE,
  type Handshake,
  readHandshake,
  writeHandshake,
} from '../../src/ingest/srt/handshake-codec.ts'
import { createSrtMetrics } from '../../src/ingest/srt/metrics.ts'
import {
  CONTROL,
  type ControlPacket,
  controlPacket,
  readPacket,
} from '../../src/ingest/srt/packet.ts'
import { addSequence, sequenceDistance } from '../../src/ingest/srt/sequence.ts'
import { silentLogger } from '../../src/logger.ts'
import type { Publishing } from '../../src/media/sink.ts'
import { ManualClock, settle } from './manual-clock.ts'
import { metricOf } from './srt-push.ts'

const HEADER_BYTES = 16
const SALT: Buffer = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')

/** How a caller introduces itself. */
export interface CallerInit {
  readonly streamId?: string
  readonly socketId?: number
  readonly initialSequence?: number
  /** Encrypts with AES-128 under this passphrase. */
  readonly passphrase?: string
  readonly latencyMs?: number
  /** Changes the second handshake packet before it is sent. */
  readonly spoil?: (handshake: Handshake) => Handshake
}

/** Where all callers of a test call from, unless they say otherwise. */
export const REMOTE: RemoteInfo = { address: '192.0.2.1', port: 5_000, family: 'IPv4', size: 0 }

/** A text as handshake extensions carry it. */
export function textExtension(type: number, text: string): Extension {
  const bytes = Buffer.from(text)
  const content = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.byteLength % 4)) % 4)])
  return { type, content: content.swap32() }
}

/** The extension that says what a caller can do. */
export function termsExtension(latencyMs: number, version = 0x10501, flags = 0xbf): Extension {
  const content = Buffer.alloc(12)
  content.writeUInt32BE(version, 0)
  content.writeUInt32BE(flags, 4)
  content.writeUInt16BE(latencyMs, 8)
  content.writeUInt16BE(latencyMs, 10)
  return { type: EXTENSION.hsRequest, content }
}

/** A key material message with one key, `key` 1 even or 2 odd. */
export function keyMaterial(passphrase: string, streamKey: Buffer, key: number): Buffer {
  const bytes = streamKey.byteLength
  const kek = pbkdf2Sync(passphrase, SALT.subarray(8), 2_048, bytes, 'sha1')
  const cipher = createCipheriv(`id-aes${bytes * 8}-wrap`, kek, Buffer.alloc(8, 0xa6))
  const wrapped = Buffer.concat([cipher.update(streamKey), cipher.final()])
  const head = Buffer.from([0x12, 0x20, 0x29, key, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 4, bytes / 4])
  return Buffer.concat([head, SALT, wrapped])
}

/** What SRT calls AES-CTR with the packet's number; the same both ways. */
export function crypt(payload: Buffer, streamKey: Buffer, sequence: number): Buffer {
  const counter = Buffer.alloc(16)
  SALT.copy(counter, 0, 0, 14)
  counter.writeUInt32BE((counter.readUInt32BE(10) ^ sequence) >>> 0, 10)
  return createCipheriv(`aes-${streamKey.byteLength * 8}-ctr`, streamKey, counter).update(payload)
}

/** One caller. */
export class TestCaller {
  readonly socketId: number
  /** The number of the next packet. */
  sequence: number
  /** Socket id of the listener, once it has admitted this caller. */
  listenerId = 0
  /** The answer to the second handshake packet. */
  answer: Handshake | undefined
  /** Keys by number, 1 and 2, and which of them encrypts now. */
  readonly keys: Buffer[] = []
  key = 0
  /** What was received beside handshakes, newest last. */
  readonly received: ControlPacket[] = []
  readonly #init: CallerInit
  readonly #sent = new Map<number, Buffer>()
  #acknowledged: number

  constructor(init: CallerInit = {}) {
    this.#init = init
    this.socketId = init.socketId ?? 77
    this.sequence = init.initialSequence ?? 1_000
    this.#acknowledged = this.sequence
    if (init.passphrase !== undefined) {
      this.keys[1] = Buffer.alloc(16, 0x5a)
      this.key = 1
    }
  }

  /** The first handshake packet. */
  induction(): Buffer {
    return this.#handshake({ version: 4, extensionField: 2, type: HANDSHAKE_TYPE.induction })
  }

  /** The second, with the cookie of the answer to the first. */
  conclusion(cookie: number): Buffer {
    const { streamId = 'publish:secret', passphrase, latencyMs = 120 } = this.#init
    const extensions = [termsExtension(latencyMs), textExtension(EXTENSION.streamId, streamId)]
    const [, even] = this.keys
    if (passphrase !== undefined && even !== undefined) {
      extensions.push({ type: EXTENSION.kmRequest, content: keyMaterial(passphrase, even, 1) })
    }
    return this.#handshake({
      ...{ version: 5, extensionField: 7, type: HANDSHAKE_TYPE.conclusion, cookie, extensions },
    })
  }

  /** The next data packet. */
  data(payload: Buffer): Buffer {
    const sequence = this.sequence
    this.sequence = addSequence(sequence, 1)
    const streamKey = this.keys[this.key]
    const bytes = streamKey === undefined ? payload : crypt(payload, streamKey, sequence)
    const packet = Buffer.alloc(HEADER_BYTES + bytes.byteLength)
    packet.writeUInt32BE(sequence, 0)
    packet.writeUInt32BE((0xe000_0000 | (this.key << 27) | (sequence & 0xffff)) >>> 0, 4)
    packet.writeUInt32BE(this.listenerId, 12)
    packet.set(bytes, HEADER_BYTES)
    this.#sent.set(sequence, packet)
    return packet
  }

  /** A control packet to the listener. */
  control(type: number, payload?: Uint8Array, init?: { subtype?: number; info?: number }): Buffer {
    return controlPacket(type, { destination: this.listenerId, timestamp: 0 }, payload, init)
  }

  /** Takes a packet of the listener; what a real caller answers at once. */
  receive(bytes: Buffer): Buffer[] {
    const packet = readPacket(bytes)
    if (packet?.kind !== 'control') throw new Error('a listener sends control packets')
    if (packet.type === CONTROL.handshake) return this.#answered(packet)
    this.received.push(packet)
    if (packet.type === CONTROL.ack) return this.#acked(packet)
    if (packet.type === CONTROL.nak) return this.#nacked(packet)
    return []
  }

  /** Packets that are not acknowledged. */
  get unacknowledged(): number {
    return this.#sent.size
  }

  #answered({ payload }: ControlPacket): Buffer[] {
    const handshake = readHandshake(payload)
    if (handshake === undefined) throw new Error('the listener sends a broken handshake')
    if (handshake.type === HANDSHAKE_TYPE.induction) return [this.conclusion(handshake.cookie)]
    this.answer = handshake
    if (handshake.type === HANDSHAKE_TYPE.conclusion) this.listenerId = handshake.socketId
    return []
  }

  #acked({ payload, info }: ControlPacket): Buffer[] {
    const next = payload.readUInt32BE(0)
    while (sequenceDistance(next, this.#acknowledged) > 0) {
      this.#sent.delete(this.#acknowledged)
      this.#acknowledged = addSequence(this.#acknowledged, 1)
    }
    return info === 0 ? [] : [this.control(CONTROL.ackAck, undefined, { info })]
  }

  #nacked({ payload }: ControlPacket): Buffer[] {
    const again: Buffer[] = []
    for (let offset = 0; offset < payload.byteLength; offset += 4) {
      const word = payload.readUInt32BE(offset)
      const first = word & 0x7fff_ffff
      let last = first
      if (word !== first) {
        offset += 4
        last = payload.readUInt32BE(offset)
      }
      for (let lost = first; ; lost = addSequence(lost, 1)) {
        const packet = this.#sent.get(lost)
        if (packet !== undefined) {
          packet.writeUInt32BE((packet.readUInt32BE(4) | 0x0400_0000) >>> 0, 4)
          again.push(packet)
        }
        if (lost === last) break
      }
    }
    return again
  }

  #handshake(
    init: Pick<Handshake, 'version' | 'extensionField' | 'type'> & Partial<Handshake>,
  ): Buffer {
    const handshake: Handshake = {
      ...{ encryption: 0, initialSequence: this.sequence, mtuBytes: 1_500, flowWindow: 8_192 },
      ...{ socketId: this.socketId, cookie: 0, peerAddress: Buffer.alloc(16), extensions: [] },
      ...init,
    }
    const { spoil = (same: Handshake) => same } = this.#init
    const sent = init.type === HANDSHAKE_TYPE.conclusion ? spoil(handshake) : handshake
    return controlPacket(CONTROL.handshake, { destination: 0, timestamp: 0 }, writeHandshake(sent))
  }
}

/** An admission in memory; callers call from {@link REMOTE}. */
export class AdmissionRun {
  readonly clock = new ManualClock()
  readonly registry = new Registry()
  readonly admission: Admission
  /** Everything sent, in order. */
  readonly sent: { readonly packet: Buffer; readonly remote: RemoteInfo }[] = []

  constructor(publishing: Publishing, passphrase?: string) {
    this.admission = new Admission(
      {
        clock: this.clock,
        logger: silentLogger,
        metrics: createSrtMetrics(this.registry),
        publishing,
        passphraseFor: () => passphrase,
      },
      { peerIdleMs: 5_000 },
      (packet, remote) => this.sent.push({ packet, remote }),
    )
  }

  /** A packet comes in. */
  receive(bytes: Buffer, remote: RemoteInfo = REMOTE): this {
    const packet = readPacket(bytes)
    if (packet?.kind === 'control' && packet.type === CONTROL.handshake) {
      this.admission.handshake(packet, remote)
    } else if (packet !== undefined) this.admission.receive(packet, remote)
    return this
  }

  /** Gives `caller` what was sent, and takes its answers, until nobody has anything to say. */
  exchange(caller: TestCaller, remote: RemoteInfo = REMOTE): void {
    for (let next = this.sent.shift(); next !== undefined; next = this.sent.shift()) {
      for (const answer of caller.receive(next.packet)) this.receive(answer, remote)
    }
  }

  /** Both handshake packets; the answer to the second. */
  async connect(caller: TestCaller, remote: RemoteInfo = REMOTE): Promise<Handshake | undefined> {
    this.receive(caller.induction(), remote)
    this.exchange(caller, remote)
    for (let turn = 0; turn < 500 && caller.answer === undefined; turn += 1) {
      await settle()
      this.exchange(caller, remote)
    }
    return caller.answer
  }

  /** The value of a metric. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return metricOf(this.registry, `kairo_srt_${name}`, labels)
  }
}
