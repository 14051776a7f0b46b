/**
 * What etcd's errors mean to a caller. Package etcd3 leaves of a gRPC error its text, `14 UNAVAILABLE: details`, in which the status code
 * (https://grpc.io/docs/guides/status-codes/) and etcd's own words (etcd's api/v3rpc/rpctypes/error.go) are found again.
 */
import { ClientClosedError } from 'etcd3'
import { TrackerError } from '../errors.ts'

/** The status codes that matter here. */
const status = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  outOfRange: 11,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** Refused before anything was proposed, or never sent: whatever it was, it was not done. */
const notDone = [
  'No connection established',
  'Channel closed before call started',
  'Name resolution failed',
  'raft proposal dropped',
  'etcdserver: no leader',
  'etcdserver: not leader',
]

/** Code and text of what package etcd3 throws. */
export function statusOf(error: unknown): { code: number | undefined; text: string } {
  const text = error instanceof Error ? error.message : String(error)
  const code = /(\d+) [A-Z_]+: /.exec(text)?.[1]
  return { code: code === undefined ? undefined : Number(code), text }
}

/** True when it is certain that what was asked was not done. */
export function isNotDone(error: unknown): boolean {
  const { text } = statusOf(error)
  return error instanceof ClientClosedError || notDone.some((words) => text.includes(words))
}

/** True when a token ran out, which a new one cures. */
export function isTokenError(error: unknown): boolean {
  return statusOf(error).text.includes('etcdserver: invalid auth token')
}

/** True when an answer has more bytes than are taken. */
export function isTooLarge(error: unknown): boolean {
  return statusOf(error).text.includes('Received message larger than max')
}

/** What asking again will not change, as the caller is told; undefined for what may be asked again. */
export function finalError(error: unknown): TrackerError | undefined {
  const { code, text } = statusOf(error)
  const options = { cause: error }
  if (text.includes('requested lease not found')) {
    return new TrackerError('ERR_LEASE_NOT_FOUND', 'the lease is not there', options)
  }
  if (text.includes('database space exceeded')) {
    return new TrackerError('ERR_STORAGE', `etcd has no room: ${text}`, options)
  }
  if (text.includes('required revision has been compacted')) return compacted(error)
  if (code === status.resourceExhausted && !isTooLarge(error)) {
    return new TrackerError('ERR_OVERLOADED', `etcd has too much to do: ${text}`, options)
  }
  const isUnwelcome =
    code === status.permissionDenied ||
    code === status.unauthenticated ||
    text.includes('permission denied') ||
    text.includes('authentication failed') ||
    text.includes('user name is empty')
  if (isUnwelcome && !isTokenError(error)) {
    return new TrackerError('ERR_NOT_A_MEMBER', `etcd does not let this peer in: ${text}`, options)
  }
  const isWrong = code === status.invalidArgument || code === status.outOfRange
  if (isWrong && !isTokenError(error)) {
    return new TrackerError('ERR_INVALID_INPUT', `etcd refuses what was asked: ${text}`, options)
  }
  return undefined
}

/** The changes that a watch wants to go on from are forgotten. */
export function compacted(cause?: unknown): TrackerError {
  return new TrackerError('ERR_COMPACTED', 'etcd has forgotten the changes asked for', { cause })
}
