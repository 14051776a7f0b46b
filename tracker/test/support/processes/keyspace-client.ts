/** A client that reads and changes keys of a real region, and writes down what it was told. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import { setTimeout as delay } from 'node:timers/promises'
import type { Comparison, Keyspace, Operation } from '../../../src/coordination.ts'
import { TrackerError } from '../../../src/errors.ts'
import type { HistoryRecorder } from '../linearizability/history.ts'
import type { MapInput, MapOutput } from '../linearizability/models.ts'
import type { Draw } from '../simulated-folder.ts'

const keys = ['a', 'b', 'c'] as const
/** Longer than most elections. */
const CALL_MS = 1_000
const PAUSE_MS_MAX = 12

/** The history of all clients. */
export type MapHistory = HistoryRecorder<MapInput, MapOutput>

/** One client. */
export class KeyspaceClient {
  /** Calls by what became of them. */
  readonly counts = { ok: 0, failed: 0, unknown: 0 }
  readonly #keyspace: Keyspace
  readonly #history: MapHistory
  readonly #name: string
  readonly #draw: Draw
  /** A process ends with a call of unknown outcome; its client goes on as another one. */
  #process = 0
  #values = 0
  readonly #seen = new Map<string, string | null>()

  constructor(keyspace: Keyspace, history: MapHistory, name: string, draw: Draw) {
    this.#keyspace = keyspace
    this.#history = history
    this.#name = name
    this.#draw = draw
  }

  /** Asks until it is over. */
  async run(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await this.ask(this.#drawInput())
      await delay(this.#draw(PAUSE_MS_MAX))
    }
  }

  /** Reads every key until each was read. */
  async readAll(): Promise<void> {
    for (const key of keys) {
      for (let tries = 0; !(await this.ask({ kind: 'get', key })); tries++) {
        if (tries === 30) throw new Error(`${this.#name} reads ${key} no more`)
      }
    }
  }

  /** Asks one thing. Returns whether it is known to be done. */
  async ask(input: MapInput): Promise<boolean> {
    const open = this.#history.invoke(`${this.#name}.${this.#process}`, input)
    try {
      const output = await this.#carryOut(input)
      this.#history.ok(open, output)
      this.#note(input, output)
      this.counts.ok += 1
      return true
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error
      if (error.code === 'ERR_UNKNOWN_OUTCOME') {
        this.#history.unknown(open)
        this.#process += 1
        this.counts.unknown += 1
      } else if (error.code === 'ERR_UNAVAILABLE' || error.code === 'ERR_OVERLOADED') {
        this.#history.failed(open)
        this.counts.failed += 1
      } else {
        throw error
      }
      return false
    }
  }

  async #carryOut(input: MapInput): Promise<MapOutput> {
    const { key } = input
    const options = { timeoutMs: CALL_MS }
    if (input.kind === 'get') {
      const item = await this.#keyspace.get(key, options)
      return { value: item === undefined ? null : Buffer.from(item.value).toString() }
    }
    const when: Comparison[] = []
    if (input.kind === 'cas') {
      const { expected } = input
      when.push(expected === null ? { key, exists: false } : { key, value: Buffer.from(expected) })
    }
    const step: Operation =
      input.kind === 'delete'
        ? { type: 'delete', key }
        : { type: 'put', key, value: Buffer.from(input.value) }
    const { succeeded } = await this.#keyspace.transact({ when, then: [step] }, options)
    return input.kind === 'cas' ? { swapped: succeeded } : {}
  }

  #note(input: MapInput, output: MapOutput): void {
    if (input.kind === 'get') this.#seen.set(input.key, output.value ?? null)
    else if (input.kind === 'delete') this.#seen.set(input.key, null)
    else if (output.swapped !== false) this.#seen.set(input.key, input.value)
    else this.#seen.delete(input.key)
  }

  #drawInput(): MapInput {
    const key = keys[this.#draw(keys.length)] as string
    const kind = this.#draw(10)
    if (kind < 4) return { kind: 'get', key }
    if (kind === 4) return { kind: 'delete', key }
    this.#values += 1
    const value = `${this.#name}-${this.#values}`
    if (kind < 7) return { kind: 'put', key, value }
    return { kind: 'cas', key, expected: this.#seen.get(key) ?? null, value }
  }
}
