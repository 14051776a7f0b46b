/** Streams and renditions that somebody holds, by name and by number, and who holds them. */
import { RowTable } from './row-table.ts'
import { runClassFor, runClassMax, type WordPool } from './word-pool.ts'

/** Words of a subject's row. */
const HOLDERS_AT = 0
const HOLDERS_CLASS = 1
const HOLDERS = 2
/** Viewers are more than 32 bits can be when all peers claim what they may. */
const VIEWERS_LOW = 3
const VIEWERS_HIGH = 4
/** 1 for a stream, 0 for a rendition of one. */
const IS_STREAM = 5
const STRIDE = 6

const WORD = 2 ** 32

/** Words of a holder: its entry, and its peer's handle, so that introducing somebody looks at nothing but the list. */
export const holderWords = 2
export const holderHandle = 1

/** The subjects of a shard: a subject is a stream (rendition '') or one rendition of it. */
export class SubjectTable {
  readonly #rows: RowTable
  readonly #pool: WordPool
  readonly #holdersMax: number
  readonly #byKey = new Map<string, number>()
  readonly #keys: (string | undefined)[] = []

  constructor(pool: WordPool, subjectsMax: number, holdersMax: number) {
    this.#pool = pool
    this.#rows = new RowTable(STRIDE, subjectsMax)
    this.#holdersMax = Math.min(holdersMax, 2 ** runClassMax / holderWords)
  }

  get size(): number {
    return this.#rows.size
  }

  /** Bytes of the typed arrays; names are the engine's. */
  get bytes(): number {
    return this.#rows.bytes
  }

  /** A subject's number, or -1. */
  find(stream: string, rendition: string): number {
    return this.#byKey.get(keyOf(stream, rendition)) ?? -1
  }

  /** A subject's number, made when it is new; -1 when there is no room. */
  findOrAdd(stream: string, rendition: string): number {
    const key = keyOf(stream, rendition)
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const row = this.#rows.add()
    if (row === -1) return -1
    this.#byKey.set(key, row)
    this.#keys[row] = key
    this.#rows.chunk(row)[this.#rows.offset(row) + IS_STREAM] = rendition === '' ? 1 : 0
    return row
  }

  /** Whether a subject has this name. */
  isNamed(row: number, stream: string, rendition: string): boolean {
    return this.#keys[row] === keyOf(stream, rendition)
  }

  nameOf(row: number): { stream: string; rendition: string } {
    const [rendition = '', stream = ''] = splitKey(this.#keys[row] as string)
    return { stream, rendition }
  }

  /** Whether it is a whole stream, not a rendition. */
  isStream(row: number): boolean {
    return this.#rows.chunk(row)[this.#rows.offset(row) + IS_STREAM] === 1
  }

  /** How many hold it. */
  holders(row: number): number {
    return this.#rows.chunk(row)[this.#rows.offset(row) + HOLDERS] as number
  }

  /** The run of its holders' entries. */
  holdersAt(row: number): number {
    return this.#rows.chunk(row)[this.#rows.offset(row) + HOLDERS_AT] as number
  }

  viewers(row: number): number {
    const chunk = this.#rows.chunk(row)
    const at = this.#rows.offset(row)
    return (chunk[at + VIEWERS_HIGH] as number) * WORD + (chunk[at + VIEWERS_LOW] as number)
  }

  addViewers(row: number, change: number): void {
    const viewers = this.viewers(row) + change
    const chunk = this.#rows.chunk(row)
    const at = this.#rows.offset(row)
    chunk[at + VIEWERS_LOW] = viewers % WORD
    chunk[at + VIEWERS_HIGH] = Math.floor(viewers / WORD)
  }

  /** Adds an entry to a subject's holders. @returns its place there, -1 when there is no room */
  addHolder(row: number, entry: number, handle: number): number {
    const chunk = this.#rows.chunk(row)
    const at = this.#rows.offset(row)
    const place = chunk[at + HOLDERS] as number
    if (place === this.#holdersMax) return -1
    const oldAt = chunk[at + HOLDERS_AT] as number
    const oldClass = chunk[at + HOLDERS_CLASS] as number
    if (oldAt === 0 || place * holderWords === 1 << oldClass) {
      const wanted = runClassFor((place + 1) * holderWords)
      const run = this.#pool.allocate(wanted)
      if (run === 0) return -1
      if (oldAt !== 0) {
        const from = this.#pool.offset(oldAt)
        this.#pool
          .chunk(run)
          .set(
            this.#pool.chunk(oldAt).subarray(from, from + place * holderWords),
            this.#pool.offset(run),
          )
        this.#pool.release(oldAt, oldClass)
      }
      chunk[at + HOLDERS_AT] = run
      chunk[at + HOLDERS_CLASS] = wanted
    }
    const run = chunk[at + HOLDERS_AT] as number
    const words = this.#pool.chunk(run)
    const to = this.#pool.offset(run) + place * holderWords
    words[to] = entry
    words[to + holderHandle] = handle
    chunk[at + HOLDERS] = place + 1
    return place
  }

  /** Takes the holder at a place out. @returns the entry that took its place, -1 for none */
  removeHolder(row: number, place: number): number {
    const chunk = this.#rows.chunk(row)
    const at = this.#rows.offset(row)
    const last = (chunk[at + HOLDERS] as number) - 1
    const run = chunk[at + HOLDERS_AT] as number
    const words = this.#pool.chunk(run)
    const from = this.#pool.offset(run) + last * holderWords
    const to = this.#pool.offset(run) + place * holderWords
    const moved = words[from] as number
    words[to] = moved
    words[to + holderHandle] = words[from + holderHandle] as number
    chunk[at + HOLDERS] = last
    this.#shrink(chunk, at, last)
    return place === last ? -1 : moved
  }

  /** Forgets a subject that nobody holds any more. */
  removeIfUnused(row: number): void {
    if (this.holders(row) > 0) return
    const chunk = this.#rows.chunk(row)
    const at = this.#rows.offset(row)
    const run = chunk[at + HOLDERS_AT] as number
    if (run !== 0) this.#pool.release(run, chunk[at + HOLDERS_CLASS] as number)
    this.#byKey.delete(this.#keys[row] as string)
    this.#keys[row] = undefined
    this.#rows.remove(row)
  }

  /** A list that is a quarter full moves to half the room, so that a stream that was popular gives its memory back. */
  #shrink(chunk: Uint32Array, at: number, count: number): void {
    const oldClass = chunk[at + HOLDERS_CLASS] as number
    const words = count * holderWords
    if (oldClass <= 2 || words > (1 << oldClass) / 4) return
    const run = this.#pool.allocate(oldClass - 1)
    if (run === 0) return
    const oldAt = chunk[at + HOLDERS_AT] as number
    const from = this.#pool.offset(oldAt)
    this.#pool
      .chunk(run)
      .set(this.#pool.chunk(oldAt).subarray(from, from + words), this.#pool.offset(run))
    this.#pool.release(oldAt, oldClass)
    chunk[at + HOLDERS_AT] = run
    chunk[at + HOLDERS_CLASS] = oldClass - 1
  }
}

/** The length of the rendition stands first, so no two names make one key whatever characters are in them. */
function keyOf(stream: string, rendition: string): string {
  return `${rendition.length}:${rendition}${stream}`
}

function splitKey(key: string): [rendition: string, stream: string] {
  const colon = key.indexOf(':')
  const end = colon + 1 + Number(key.slice(0, colon))
  return [key.slice(colon + 1, end), key.slice(end)]
}
