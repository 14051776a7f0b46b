/**
 * The one logger type of the peer: pino's methods, so that a room names its needs without importing pino.
 * Each room logs under its own name (`kairo:rtmp`, `kairo:feed`), given as the `name` binding by `child`.
 */

/** One level's method: fields first, then a sentence. */
export type LogMethod = (fields: object, message: string) => void

/** Structured logging with one level for the whole peer. */
export interface Logger {
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
  /** A logger whose lines carry these fields too. */
  child(fields: Record<string, unknown>): Logger
}

const ignore: LogMethod = () => {}

/** A logger that drops everything, for tests and for libraries used without a peer. */
export const silentLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLogger,
}
