/** The peers of a shard: what each said of itself, and where its entries are. */
import { RowTable } from './row-table.ts'

/** Words of a peer's row. */
export const peerColumns = {
  session: 0,
  sequence: 1,
  /** Run of entries by the peer's own numbers, each plus 1; 0 with none. */
  idsAt: 2,
  idsClass: 3,
  entries: 4,
  seenTick: 5,
  /** Batches in `seenTick`. */
  batches: 6,
  wheelNext: 7,
  wheelPrevious: 8,
  wheelBucket: 9,
  uploadFreeKbps: 10,
  busyPermille: 11,
  /** 1 when the peer told its coordinate. */
  hasCoordinate: 12,
  /** As the batch has it. */
  coordinateXy: 13,
  coordinateZh: 14,
} as const

const STRIDE = 15

/** A handle's bits for the row; the rest is the generation. */
const ROW_BITS = 20
const ROW_MASK = (1 << ROW_BITS) - 1
const GENERATION_MASK = (1 << (32 - ROW_BITS)) - 1

/** Peers by id and by handle: a number of 32 bits that stands for a peer while it is here. */
export class PeerTable {
  readonly rows: RowTable
  readonly #byName = new Map<string, number>()
  readonly #names: (string | undefined)[] = []
  /** How often each row was given away, so that the handle of an earlier peer is not taken for a later one's. */
  #generations = new Uint16Array(64)

  constructor(peersMax: number) {
    this.rows = new RowTable(STRIDE, peersMax)
  }

  get size(): number {
    return this.rows.size
  }

  /** Bytes of the typed arrays; names are the engine's. */
  get bytes(): number {
    return this.rows.bytes + this.#generations.byteLength
  }

  /** A peer's row, or -1. */
  find(name: string): number {
    return this.#byName.get(name) ?? -1
  }

  /** A row for a peer that has none; -1 when there is no room. */
  add(name: string): number {
    const row = this.rows.add()
    if (row === -1) return -1
    if (row >= this.#generations.length) {
      const grown = new Uint16Array(this.#generations.length * 2)
      grown.set(this.#generations)
      this.#generations = grown
    }
    this.#byName.set(name, row)
    this.#names[row] = name
    return row
  }

  remove(row: number): void {
    this.#byName.delete(this.nameOf(row))
    this.#names[row] = undefined
    this.#generations[row] = ((this.#generations[row] as number) + 1) & GENERATION_MASK
    this.rows.remove(row)
  }

  /** The id of the peer in a row. */
  nameOf(row: number): string {
    return this.#names[row] as string
  }

  /** What stands for the peer of a row as long as it is here. */
  handleOf(row: number): number {
    return (((this.#generations[row] as number) << ROW_BITS) | row) >>> 0
  }

  /** The row that a handle made by {@link handleOf} stands for, without looking whether it still does. */
  rowOf(handle: number): number {
    return handle & ROW_MASK
  }

  /** The id behind a handle from outside; undefined when that peer is gone. */
  nameOfHandle(handle: number): string | undefined {
    const row = handle & ROW_MASK
    const name = this.#names[row]
    return name !== undefined && this.handleOf(row) === handle ? name : undefined
  }
}
