/**
 * A short word for the purges that a peer has carried out, which it sends along when it asks another peer for a cached response: one that has
 * not carried out all of them must not answer from its cache, or a purge would be undone by a copy from a neighbour.
 */
import { createHash } from 'node:crypto'
import { purgeLimits } from '../../limits/purge.ts'
import type { OriginState, PurgeLedger } from './purge-ledger.ts'
import { originKey } from './purge-message.ts'

const NAME_HEX_DIGITS = 16
const ORIGIN = /^([0-9a-f]{16})\.(\d{1,16})((?:\+\d{1,16})*)$/

/** Writes and compares stamps of one ledger. */
export class PurgeStamps {
  readonly #ledger: PurgeLedger
  #digest: Buffer | undefined
  #stamp = ''
  #origins = new Map<string, { readonly through: number; readonly beyond: ReadonlySet<number> }>()

  constructor(components: { readonly ledger: PurgeLedger }) {
    this.#ledger = components.ledger
  }

  /** Visible ASCII without commas, for a header field; empty when no purge is known. */
  stamp(): string {
    this.#refresh()
    return this.#stamp
  }

  /** True when every purge behind a stamp has been carried out here; false for a stamp that cannot be read. */
  covers(stamp: string): boolean {
    if (stamp === '') return true
    if (stamp.length > purgeLimits.stampCharsMax) return false
    this.#refresh()
    if (stamp.startsWith('*')) return stamp === `*${this.#ledger.digest().toString('hex')}`
    return stamp.split('_').every((part) => this.#coversOrigin(part))
  }

  #coversOrigin(part: string): boolean {
    const [, name = '', through, beyond = ''] = ORIGIN.exec(part) ?? []
    const known = this.#origins.get(name)
    if (known === undefined || Number(through) > known.through) return false
    const above = beyond.split('+').slice(1).map(Number)
    return above.every((sequence) => sequence <= known.through || known.beyond.has(sequence))
  }

  #refresh(): void {
    const digest = this.#ledger.digest()
    if (this.#digest === digest) return
    this.#digest = digest
    const origins = this.#ledger.state().map((state) => ({ name: nameOf(state), state }))
    this.#origins = new Map(
      origins.map(({ name, state: { through, beyond } }) => [
        name,
        { through, beyond: new Set(beyond) },
      ]),
    )
    const stamp = origins
      .map(({ name, state }) => [`${name}.${state.through}`, ...state.beyond].join('+'))
      .join('_')
    const isShort =
      origins.length <= purgeLimits.stampOriginsMax && stamp.length <= purgeLimits.stampCharsMax
    this.#stamp = isShort ? stamp : `*${digest.toString('hex')}`
  }
}

function nameOf(origin: OriginState): string {
  return createHash('sha256').update(originKey(origin)).digest('hex').slice(0, NAME_HEX_DIGITS)
}
