/**
 * Handshake cookies: prove that a caller receives at the address it sends from, before anything is kept or computed for it
 * (draft-sharabayko-srt-01 section 4.3.1.1). They are computed, not stored, so a flood of first packets costs no memory.
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { srtLimits } from '../../limits/srt.ts'

/** Makes and checks cookies. */
export class CookieJar {
  readonly #clock: Clock
  readonly #secret = randomBytes(32)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The cookie of an address now, 32 bits. */
  make(remote: string): number {
    return this.#cookie(remote, this.#period())
  }

  /** True for a cookie made for this address lately. */
  check(remote: string, cookie: number): boolean {
    const period = this.#period()
    return [period, period - 1].some((candidate) => this.#cookie(remote, candidate) === cookie)
  }

  #period(): number {
    return Math.floor(this.#clock.monotonicMs() / srtLimits.cookieMs)
  }

  #cookie(remote: string, period: number): number {
    return createHmac('sha256', this.#secret).update(`${period} ${remote}`).digest().readUInt32BE(0)
  }
}
