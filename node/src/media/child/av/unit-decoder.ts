/** Decodes the units of one track, and goes on when some are damaged. */
import { AV_NOPTS_VALUE, AVERROR_EAGAIN, AVERROR_EOF } from 'node-av/constants'
import { type CodecContext, Frame, Packet } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import type { AccessUnit, TrackConfig } from '../../access-unit.ts'
import { openDecoder } from './decoder.ts'
import { fillPacket } from './packets.ts'

/** How a {@link UnitDecoder} is built. */
export interface UnitDecoderInit {
  readonly config: TrackConfig
  /** More than one costs a picture of delay each. */
  readonly threads: number
  /** Takes each picture or piece of sound; the frame is reused afterwards. `pts` counts in 1/90000 s. */
  readonly onFrame: (frame: Frame, pts: number) => void
  /** A unit could not be decoded. */
  readonly onDamaged: () => void
}

/** Units in a row without a single frame out of them, after which the track is taken for broken. */
const FRUITLESS_MAX = 600

/** A decoder of one configuration. */
export class UnitDecoder {
  readonly #init: UnitDecoderInit
  readonly #context: CodecContext
  readonly #packet = new Packet()
  readonly #frame = new Frame()
  #fruitless = 0

  /** @throws KairoError `ERR_MEDIA`, `ERR_UNSUPPORTED_CODEC`. */
  constructor(init: UnitDecoderInit) {
    this.#init = init
    this.#context = openDecoder(init.config, init.threads)
    this.#packet.alloc()
    this.#frame.alloc()
  }

  /** Decodes a unit. @throws KairoError `ERR_MEDIA` when nothing at all can be decoded for long. */
  decode(unit: AccessUnit): void {
    fillPacket(this.#packet, unit)
    const result = this.#context.sendPacketSync(this.#packet)
    this.#packet.unref()
    this.#fruitless += 1
    if (result < 0) this.#init.onDamaged()
    this.#drain()
    if (this.#fruitless > FRUITLESS_MAX) {
      const { codec } = this.#init.config
      throw new KairoError('ERR_MEDIA', `nothing of the ${codec} track can be decoded`)
    }
  }

  /** Hands out what the decoder still holds; it takes nothing afterwards. */
  finish(): void {
    this.#context.sendPacketSync(null)
    this.#drain()
  }

  close(): void {
    this.#packet.free()
    this.#frame.free()
    this.#context.freeContext()
  }

  #drain(): void {
    for (;;) {
      const result = this.#context.receiveFrameSync(this.#frame)
      if (result < 0) {
        // Frame threads tell of a damaged unit here; the end of the track is no damage.
        if (result !== AVERROR_EAGAIN && result !== AVERROR_EOF) this.#init.onDamaged()
        return
      }
      const { pts, bestEffortTimestamp } = this.#frame
      const time = pts === AV_NOPTS_VALUE ? bestEffortTimestamp : pts
      if (time !== AV_NOPTS_VALUE) {
        this.#fruitless = 0
        this.#init.onFrame(this.#frame, Number(time))
      }
      this.#frame.unref()
    }
  }
}
