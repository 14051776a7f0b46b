/**
 * Which leases are checked by having another page fetch the part too: the first `probationLeases` of each page and one in `checkEvery` afterwards, in swarms of
 * at least three pages. A page whose word others agreed with by themselves is past its first ones: pages that start together all fetch the
 * first part, which checks everybody for nothing. Checks are saved up, one for so many leases, so that they never cost a swarm more than that share of its fetches.
 */
import { pageSwarmLimits as limits } from '../../limits/swarm.ts'
import type { Page } from './page.ts'

/** The checks of one swarm. */
export class Checks {
  readonly #random: () => number
  #saved = 0

  /** @param random 0 to 1 */
  constructor(random: () => number) {
    this.#random = random
  }

  /** A page was granted a lease in a swarm of so many; whether it is to be checked. */
  granted(page: Page, pages: number): boolean {
    const { leasesPerCheck, leasesPerCheckSmall, smallSwarmPages, checksSavedMax } = limits
    page.leases += 1
    const each = pages < smallSwarmPages ? leasesPerCheckSmall : leasesPerCheck
    this.#saved = Math.min(checksSavedMax, this.#saved + 1 / each)
    if (pages < 3 || this.#saved < 1) return false
    const isNew = Math.max(page.leases - 1, page.agreed) < limits.probationLeases
    return isNew || this.#random() < 1 / limits.checkEvery
  }

  /** Somebody was made to fetch for a check. */
  spend(): void {
    this.#saved -= 1
  }
}
