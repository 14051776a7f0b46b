/**
 * Sequential models: what a store would answer if it did one thing after another. A history is linearizable when some
 * order of its calls, each between its call and its return, is what such a store would have answered.
 */
import type { Operation } from './history.ts'

/** The rules of one kind of store. States are values: a step makes a new one and leaves the old as it is. */
export interface Model<State, Input, Output> {
  readonly name: string
  initial(): State
  /**
   * The state after the call, or undefined when the store could not have answered so. An output of undefined (outcome
   * unknown) must be possible in every state: a call that nobody saw return must not refute a history.
   */
  step(state: State, input: Input, output: Output | undefined): State | undefined
  /** Equal for equal states, different for different ones. */
  key(state: State): string | number
  /** Cuts a history into parts that can be judged alone; without it the history is one part. */
  partition?(
    operations: readonly Operation<Input, Output>[],
  ): ReadonlyMap<string, readonly Operation<Input, Output>[]>
  /** One call for people. */
  describe(input: Input, output: Output | undefined): string
}

/** What is asked of a register. */
export type RegisterInput =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: number }
  | { readonly kind: 'cas'; readonly expected: number; readonly value: number }

/** What a register answers: a read the value (null for none), a write nothing, a compare-and-set whether it did. */
export interface RegisterOutput {
  readonly value?: number | null
  readonly swapped?: boolean
}

/** One register that starts empty. */
export const registerModel: Model<number | null, RegisterInput, RegisterOutput> = {
  name: 'register',
  initial: () => null,
  step(state, input, output) {
    if (input.kind === 'write') return input.value
    if (input.kind === 'read') {
      return output === undefined || output.value === state ? state : undefined
    }
    const matches = state === input.expected
    if (output !== undefined && output.swapped !== matches) return undefined
    return matches ? input.value : state
  },
  key: (state) => state ?? 'none',
  describe(input, output) {
    if (input.kind === 'read') return `read -> ${output === undefined ? '?' : output.value}`
    if (input.kind === 'write')
      return `write ${input.value} -> ${output === undefined ? '?' : 'ok'}`
    return `cas ${input.expected} to ${input.value} -> ${output?.swapped ?? '?'}`
  },
}

/** What is asked of a map of registers by name; `append` adds to the text that is there. */
export type MapInput =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'append'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string }
  | {
      readonly kind: 'cas'
      readonly key: string
      /** Null: only when there is nothing under the key. */
      readonly expected: string | null
      readonly value: string
    }

/** What a map answers: `get` the value (null for none), `cas` whether it did, the others nothing. */
export interface MapOutput {
  readonly value?: string | null
  readonly swapped?: boolean
}

/** A map that starts empty. Keys have nothing to do with one another, so each is judged alone (locality). */
export const mapModel: Model<string | null, MapInput, MapOutput> = {
  name: 'map',
  initial: () => null,
  step(state, input, output) {
    switch (input.kind) {
      case 'put':
        return input.value
      case 'append':
        return (state ?? '') + input.value
      case 'get':
        return output === undefined || output.value === state ? state : undefined
      case 'delete':
        return null
      case 'cas': {
        const matches = state === input.expected
        if (output !== undefined && output.swapped !== matches) return undefined
        return matches ? input.value : state
      }
    }
  },
  key: (state) => (state === null ? 'none' : `=${state}`),
  partition: (operations) => Map.groupBy(operations, (operation) => operation.input.key),
  describe(input, output) {
    const what = 'value' in input ? `${input.key} ${input.value}` : input.key
    const answer = output === undefined ? '?' : (output.value ?? output.swapped ?? 'ok')
    return `${input.kind} ${what} -> ${answer}`
  },
}
