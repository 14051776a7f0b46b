/**
 * The errors Kairo raises on purpose. Each carries a stable `code`, which appears unchanged in logs,
 * metrics and HTTP problem documents, so an operator can search for one word in all three.
 */

/** Every code a {@link KairoError} may carry, with the HTTP status a problem document gives it. */
export const errorStatus = {
  /** A setting is missing, malformed or contradicts another. */
  ERR_CONFIG: 400,
  /** Input from outside does not fit its declared shape. */
  ERR_INVALID_INPUT: 400,
  /** The caller gave no valid credentials. */
  ERR_UNAUTHORIZED: 401,
  /** The caller is known but may not do this. */
  ERR_FORBIDDEN: 403,
  /** No such route, stream, rendition, segment or object. */
  ERR_NOT_FOUND: 404,
  /** The part or segment has left the window, or lies too far in the future (RFC 8216bis 6.2.5.2). */
  ERR_OUT_OF_WINDOW: 400,
  /** Another publisher holds this stream. */
  ERR_PUBLISHER_ACTIVE: 409,
  /** The name is taken. */
  ERR_NAME_TAKEN: 409,
  /** The stream key opens no stream. */
  ERR_STREAM_KEY: 403,
  /** Bytes on the wire break the protocol they claim to speak. */
  ERR_PROTOCOL: 400,
  /** A named limit was reached. */
  ERR_LIMIT: 429,
  /** A codec or container feature this peer does not take. */
  ERR_UNSUPPORTED_CODEC: 415,
  /** A file or stream is damaged, empty, or holds nothing that can be played; the message says what. */
  ERR_MEDIA: 422,
  /** The child process that did the work crashed, hung or was killed. */
  ERR_WORKER: 503,
  /** Bytes do not match the digest or signature they were announced with. */
  ERR_VERIFICATION: 502,
  /** No provider of the stream or object answers. */
  ERR_NO_PROVIDER: 503,
  /** This peer's region can decide nothing now: too few of its members are there. */
  ERR_NO_QUORUM: 503,
  /** The other side did not answer in time. */
  ERR_TIMEOUT: 504,
  /** A port, file or folder is held by another process. */
  ERR_ADDRESS_IN_USE: 500,
  /** What was sent is larger than what is taken, or than what there is room for. */
  ERR_TOO_LARGE: 413,
  /** An upload goes on at another place than where the server stands (tus 1.0, `Upload-Offset`). */
  ERR_UPLOAD_OFFSET: 409,
  /** Another request works on the same thing. */
  ERR_LOCKED: 423,
  /** The disk refuses to store (full, read-only, failing). */
  ERR_STORAGE: 507,
  /** More is asked for at once than can be done; asked again a little later it may be. */
  ERR_OVERLOADED: 503,
  /** A request came back to the peer that sent it on (RFC 8586). */
  ERR_LOOP: 508,
  /** The peer is shutting down. */
  ERR_STOPPED: 503,
} as const

/** The stable name of one class of failure. */
export type ErrorCode = keyof typeof errorStatus

/** An expected failure with a stable code; the message is a sentence a user can act on. */
export class KairoError extends Error {
  override readonly name: string = 'KairoError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** True when `error` is a {@link KairoError}, optionally of one given code. */
export function isKairoError(error: unknown, code?: ErrorCode): error is KairoError {
  return error instanceof KairoError && (code === undefined || error.code === code)
}
