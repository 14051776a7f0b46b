/** Errors of the tracker in Kairo's codes, for API and command line. */
import type { TrackerErrorCode } from '@kairo/tracker'
import { TrackerError } from '@kairo/tracker/program'
import { type ErrorCode, isKairoError, KairoError } from '../errors.ts'

const codes: Readonly<Record<TrackerErrorCode, ErrorCode>> = {
  ERR_UNAVAILABLE: 'ERR_NO_QUORUM',
  ERR_UNKNOWN_OUTCOME: 'ERR_TIMEOUT',
  ERR_NOT_LEADER: 'ERR_NO_QUORUM',
  ERR_OVERLOADED: 'ERR_OVERLOADED',
  ERR_COMPACTED: 'ERR_OUT_OF_WINDOW',
  ERR_LEASE_NOT_FOUND: 'ERR_NOT_FOUND',
  ERR_INVALID_INPUT: 'ERR_INVALID_INPUT',
  ERR_MALFORMED: 'ERR_PROTOCOL',
  ERR_NOT_A_MEMBER: 'ERR_FORBIDDEN',
  ERR_STORAGE: 'ERR_STORAGE',
  ERR_STOPPED: 'ERR_STOPPED',
}

/** An error of the tracker, or of what it stands on, as Kairo tells it. */
export function trackerFailure(cause: unknown): KairoError {
  if (isKairoError(cause)) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  const code = cause instanceof TrackerError ? codes[cause.code] : 'ERR_WORKER'
  return new KairoError(code, message, { cause })
}
