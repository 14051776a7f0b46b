/**
 * Why a caller is refused: the codes that SRT gives such reasons on the wire, so that encoders can tell their users.
 */
import { type ErrorCode, KairoError } from '../../errors.ts'

/**
 * Reasons by the name they have in logs and metrics. Those below 1000 are of the protocol (draft-sharabayko-srt-01
 * table 7), the others the application's, after HTTP (the access control guidelines of the reference implementation).
 */
const REJECTION = {
  /** The handshake makes no sense. */
  rogue: 4,
  /** The caller speaks SRT before 1.3. */
  version: 8,
  /** The passphrases differ. */
  'bad-secret': 10,
  /** One side encrypts and the other does not. */
  unsecure: 11,
  /** The caller wants file transfer instead of live streaming. */
  congestion: 13,
  /** The caller wants forward error correction. */
  filter: 14,
  /** The caller wants several links as one. */
  group: 15,
  /** A cipher that this peer does not speak. */
  cipher: 17,
  'bad-request': 1400,
  /** No stream id. */
  unauthorized: 1401,
  overload: 1402,
  forbidden: 1403,
  /** The caller wants to play. */
  'bad-mode': 1405,
  conflict: 1409,
  internal: 1500,
  down: 1503,
} as const

/** The name of a reason. */
export type RejectionReason = keyof typeof REJECTION

/** Added to a reason where the handshake type would be. */
const WIRE_BASE = 1_000

const OF_ERRORS: Partial<Record<ErrorCode, RejectionReason>> = {
  ERR_STREAM_KEY: 'forbidden',
  ERR_FORBIDDEN: 'forbidden',
  ERR_UNAUTHORIZED: 'unauthorized',
  ERR_PUBLISHER_ACTIVE: 'conflict',
  ERR_LIMIT: 'overload',
  ERR_STOPPED: 'down',
  ERR_INVALID_INPUT: 'bad-request',
  ERR_PROTOCOL: 'rogue',
}

/** A handshake that is refused. */
export class SrtRejection extends Error {
  override readonly name = 'SrtRejection'
  readonly reason: RejectionReason

  constructor(reason: RejectionReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }

  /** The handshake type that tells the caller. */
  get wireType(): number {
    return WIRE_BASE + REJECTION[this.reason]
  }

  /** The rejection that an error of this peer means to a caller. */
  static from(error: unknown): SrtRejection {
    if (error instanceof SrtRejection) return error
    const known = error instanceof KairoError ? OF_ERRORS[error.code] : undefined
    const message =
      error instanceof KairoError ? error.message : 'an unexpected failure in this peer'
    return new SrtRejection(known ?? 'internal', message, { cause: error })
  }
}
