/**
 * Finds lost packets of one PID by its continuity counter (ISO/IEC 13818-1 2.4.3.3).
 */
import type { TransportPacket } from './packet.ts'

/** What a packet's counter says: it follows, it repeats the last one, or some before it are lost. */
export type Continuity = 'next' | 'repeated' | 'lost'

/** Watches one PID. */
export class ContinuityWatch {
  #last: number | undefined

  /** Judges a packet with payload. */
  check(packet: TransportPacket): Continuity {
    const last = this.#last
    this.#last = packet.counter
    if (last === undefined || packet.discontinuity) return 'next'
    if (packet.counter === last) return 'repeated'
    return packet.counter === ((last + 1) & 15) ? 'next' : 'lost'
  }
}
