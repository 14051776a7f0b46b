/** What the program's thread and the tracker's thread say to one another. Both are of one version: nothing here is checked twice. */
import { TrackerError, type TrackerErrorCode } from '../errors.ts'
import type { PeerFacts } from '../region/presence-keeper.ts'
import type { AgentStatus } from '../region/region-agent.ts'
import type { SoftNews } from '../soft/swarms.ts'
import type { Lane, ListenAddress } from '../transport.ts'

/** An error as it crosses: classes do not. */
export interface PortError {
  /** Undefined for an error that is not the tracker's own. */
  readonly code: TrackerErrorCode | undefined
  readonly message: string
  readonly leader: string | undefined
}

/** How loud a line of the log is. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** One message; calls go both ways. */
export type PortMessage =
  | {
      readonly type: 'call'
      readonly id: number
      readonly method: string
      readonly args: readonly unknown[]
    }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly error: PortError }
  /** One item of a stream; `result` or `failed` ends it. */
  | { readonly type: 'item'; readonly id: number; readonly value: unknown }
  /** The reader of a stream takes one more item. */
  | { readonly type: 'credit'; readonly id: number }
  /** Whoever called has no use for the answer any more. */
  | { readonly type: 'cancel'; readonly id: number }
  /** A frame on its way between a line and the tracker. */
  | {
      readonly type: 'frame'
      readonly peerId: string
      readonly lane: Lane
      readonly bytes: Uint8Array
    }
  | {
      readonly type: 'link'
      readonly peerId: string
      readonly isUp: boolean
      readonly mayJoin: boolean
    }
  | { readonly type: 'facts'; readonly facts: PeerFacts }
  | { readonly type: 'swarms'; readonly news: SoftNews }
  | { readonly type: 'status'; readonly status: AgentStatus }
  | { readonly type: 'log'; readonly level: LogLevel; readonly message: string }
  | { readonly type: 'failure'; readonly error: PortError }

/** What the tracker's thread is started with. */
export interface ThreadData {
  readonly folder: string
  readonly peerId: string
  readonly region: string
  readonly expectsPeers: boolean
  readonly facts: PeerFacts
  /** Where direct lines listen, if they do; undefined where there are none. */
  readonly direct: { readonly listen: ListenAddress | undefined } | undefined
}

/** An error for the other side. */
export function toPortError(error: unknown): PortError {
  if (error instanceof TrackerError) {
    return { code: error.code, message: error.message, leader: error.leader }
  }
  return {
    code: undefined,
    message: error instanceof Error ? error.message : String(error),
    leader: undefined,
  }
}

/** An error of the other side. */
export function fromPortError({ code, message, leader }: PortError): Error {
  return code === undefined ? new Error(message) : new TrackerError(code, message, { leader })
}

/**
 * The same with bytes in memory of their own: what crosses takes the whole buffer that it is a view of along, and a frame may be a view of
 * many.
 */
export function withOwnBytes<Value>(value: Value): Value {
  if (value instanceof Uint8Array) {
    const isWhole = value.byteOffset === 0 && value.byteLength === value.buffer.byteLength
    return (isWhole ? value : new Uint8Array(value)) as Value
  }
  if (Array.isArray(value)) return value.map(withOwnBytes) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, withOwnBytes(item)]),
  ) as Value
}
