/** The errors of the write-ahead log and of snapshot files. */

/** The stable names of what can go wrong. */
export type WalErrorCode =
  /**
   * Bytes that were promised to be durable are gone or changed. Nothing was repaired: to start without them could
   * break a promise to the group, so an operator has to replace this member.
   */
  | 'ERR_WAL_CORRUPT'
  /** Written by a newer version. */
  | 'ERR_WAL_VERSION'
  /** The files belong to another member or another region. */
  | 'ERR_WAL_FOREIGN'
  /** The disk is full. Nothing is lost: what was appended waits, and the next `sync` tries again. */
  | 'ERR_WAL_FULL'
  /** A write or a sync failed. Final: what the disk holds is unknown until the log is opened again. */
  | 'ERR_WAL_FAILED'
  /** More was appended than may wait for a sync. Nothing was appended; wait for `sync` and try again. */
  | 'ERR_WAL_OVERFLOW'
  /** Larger than a record or a snapshot may be. */
  | 'ERR_WAL_TOO_LARGE'
  /** The log was closed. */
  | 'ERR_WAL_CLOSED'

/** Where the trouble lies. */
export interface WalErrorPlace {
  /** Name of the file in its folder. */
  readonly file?: string
  /** Byte in the file. */
  readonly offset?: number
  readonly cause?: unknown
}

/** An error of the log. */
export class WalError extends Error {
  override readonly name = 'WalError'
  readonly code: WalErrorCode
  readonly file: string | undefined
  readonly offset: number | undefined

  constructor(code: WalErrorCode, message: string, place: WalErrorPlace = {}) {
    const at = place.offset === undefined ? '' : ` at byte ${place.offset}`
    const where = place.file === undefined ? '' : `${place.file}${at}: `
    super(`${where}${message}`, place.cause === undefined ? {} : { cause: place.cause })
    this.code = code
    this.file = place.file
    this.offset = place.offset
  }
}

/** Shorthand for the error that names damage. */
export function corrupt(file: string, offset: number, message: string): WalError {
  return new WalError('ERR_WAL_CORRUPT', message, { file, offset })
}

/** True for the two ways in which a disk says that it has no room. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return code === 'ENOSPC' || code === 'EDQUOT'
}
