/**
 * Reads the logs of Jepsen's etcd test: `INFO jepsen.util - <process> :invoke|:ok|:fail|:info :read|:write|:cas <value>`,
 * as they lie in shared/linearizability.
 */
import { HistoryRecorder, type OpenCall, type Operation } from './history.ts'
import type { RegisterInput, RegisterOutput } from './models.ts'

const LINE =
  /^INFO\s+jepsen\.util\s+-\s+(?<process>\d+)\s+:(?<what>invoke|ok|fail|info)\s+:(?<kind>read|write|cas)\s+(?<value>.+)$/
const PAIR = /^\[(\d+) (\d+)\]$/

/**
 * The history in a log. A failed compare-and-set is an answer (the value was another one); a failed read or write was
 * not done; a call of kind `:info`, or without an end, has an unknown outcome.
 * @throws Error naming the line that it cannot read.
 */
export function parseJepsenLog(text: string): Operation<RegisterInput, RegisterOutput>[] {
  const recorder = new HistoryRecorder<RegisterInput, RegisterOutput>({ now: () => 0 })
  const open = new Map<string, OpenCall<RegisterInput>>()
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const fields = LINE.exec(line.trim())?.groups as
      | { process: string; what: string; kind: string; value: string }
      | undefined
    const refuse = (why: string) => new Error(`line ${at + 1}: ${why}: ${line}`)
    if (fields === undefined) throw refuse('no line of a Jepsen log')
    const { process, what, kind, value } = fields
    const call = open.get(process)
    if (what === 'invoke') {
      if (call !== undefined) throw refuse('the process has a call open')
      const input = inputOf(kind, value)
      if (input === undefined) throw refuse('no such call')
      open.set(process, recorder.invoke(process, input))
      continue
    }
    if (call?.input.kind !== kind) throw refuse('an end without its call')
    open.delete(process)
    if (what === 'info') recorder.unknown(call)
    else if (what === 'ok') recorder.ok(call, outputOf(kind, value))
    else if (kind === 'cas') recorder.ok(call, { swapped: false })
    else recorder.failed(call)
  }
  return recorder.operations()
}

function inputOf(kind: string, value: string): RegisterInput | undefined {
  if (kind === 'read') return { kind: 'read' }
  if (kind === 'write') {
    return /^\d+$/.test(value) ? { kind: 'write', value: Number(value) } : undefined
  }
  const pair = PAIR.exec(value)
  if (pair === null) return undefined
  return { kind: 'cas', expected: Number(pair[1]), value: Number(pair[2]) }
}

function outputOf(kind: string, value: string): RegisterOutput {
  if (kind === 'read') return { value: value === 'nil' ? null : Number(value) }
  return kind === 'cas' ? { swapped: true } : {}
}
