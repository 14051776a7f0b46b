/** A client that reads and changes keys, and writes down what it was told. */
// biome-ignore-all lint/suspicious/noThenProperty: a transaction's branch is called so, and nobody awaits one.
import type { Comparison, Operation, TransactionResult } from '../../../src/coordination.ts'
import { encodeCommand } from '../../../src/state/encode-command.ts'
import type { HistoryRecorder, OpenCall } from '../linearizability/history.ts'
import type { MapInput, MapOutput } from '../linearizability/models.ts'
import type { Draw } from '../simulated-folder.ts'
import { keyspace } from './chronicle.ts'
import { Route } from './route.ts'
import { groupId, type Life, type SimulatedMember } from './simulated-member.ts'
import type { World } from './world.ts'

const keys = ['a', 'b', 'c'] as const
const encoder = new TextEncoder()
const decoder = new TextDecoder()
/** Longer than most elections. */
const TIMEOUT_MS = 600

/** The history of all clients. */
export type MapHistory = HistoryRecorder<MapInput, MapOutput>

/** One client. */
export class MapClient {
  readonly #world: World
  readonly #history: MapHistory
  readonly #name: string
  readonly #draw: Draw
  readonly #route: Route
  /** A process ends with a call of unknown outcome; its client goes on as another one. */
  #process = 0
  #values = 0
  readonly #seen = new Map<string, string | null>()

  /** @param first whom it asks first; anybody by default */
  constructor(world: World, history: MapHistory, number: number, first?: SimulatedMember) {
    this.#world = world
    this.#history = history
    this.#name = `c${number}`
    this.#draw = world.fork(200 + number)
    this.#route = new Route(world, this.#draw, first)
  }

  /** Asks until the run ends. */
  async run(): Promise<void> {
    while (!this.#world.isEnding) {
      await this.#world.sleep(20 + this.#draw(200))
      if (!this.#world.isEnding) await this.ask(this.#drawInput())
    }
  }

  /** Asks one thing of a member of which it is known that it thinks that it leads. */
  askAt(member: SimulatedMember, input: MapInput): Promise<boolean> {
    this.#route.turnTo(member)
    return this.ask(input)
  }

  /** Asks one thing. Returns whether it is known to be done. */
  async ask(input: MapInput): Promise<boolean> {
    const history = this.#history
    const open = history.invoke(`${this.#name}.${this.#process}`, input)
    const answer = await this.#route.ask(TIMEOUT_MS, (life) => carryOut(life, input))
    if (answer.type === 'ok') {
      this.#note(input, answer.value)
      history.ok(open, answer.value)
      if (input.kind === 'get') this.#world.counts.reads += 1
      else this.#world.counts.acknowledged += 1
      return true
    }
    this.#close(open, answer.type === 'refused' || input.kind === 'get')
    return false
  }

  #close(open: OpenCall<MapInput>, isCertain: boolean): void {
    if (isCertain) {
      this.#history.failed(open)
      return
    }
    this.#history.unknown(open)
    this.#process += 1
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
    this.#values += 1
    // Some are long, so that the log grows.
    const value = `${this.#name}-${this.#values}`.padEnd(this.#draw(6) === 0 ? 700 : 16, '.')
    if (kind === 4) return { kind: 'delete', key }
    if (kind < 7) return { kind: 'put', key, value }
    return { kind: 'cas', key, expected: this.#seen.get(key) ?? null, value }
  }
}

async function carryOut({ driver, state }: Life, input: MapInput): Promise<MapOutput> {
  if (input.kind === 'get') {
    await driver.barrier(groupId)
    const item = state.state.get(keyspace, input.key)
    return { value: item === undefined ? null : decoder.decode(item.value) }
  }
  const result = (await driver.propose(groupId, encode(input))) as TransactionResult
  return input.kind === 'cas' ? { swapped: result.succeeded } : {}
}

function encode(input: MapInput): Uint8Array {
  const { key } = input
  let when: Comparison[] = []
  if (input.kind === 'cas') {
    const { expected } = input
    when = [expected === null ? { key, exists: false } : { key, value: encoder.encode(expected) }]
  }
  const step: Operation =
    input.kind === 'delete' || input.kind === 'get'
      ? { type: 'delete', key }
      : { type: 'put', key, value: encoder.encode(input.value) }
  return encodeCommand({ type: 'transact', keyspace, transaction: { when, then: [step] } })
}
