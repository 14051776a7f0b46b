/** The errors that the library raises on purpose, each with a stable code; the codes that the node has, too, mean the same there. */

/** What kind of failure it is. */
export type ErrorCode =
  /** An option is missing, malformed or contradicts another. */
  | 'ERR_CONFIG'
  /** A message or bytes of a peer or an edge are not what the protocol says. */
  | 'ERR_PROTOCOL'
  /** A named limit was reached. */
  | 'ERR_LIMIT'
  /** Bytes do not match the digest or signature they were announced with. */
  | 'ERR_VERIFICATION'
  /** The browser lacks what is needed. */
  | 'ERR_UNSUPPORTED'

/** An expected failure. */
export class KairoError extends Error {
  override readonly name: string = 'KairoError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Throws where the code of this library is wrong; what comes from outside is not for this. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message)
}
