/** The peer's log: JSON lines on standard error, readable ones on a terminal. */
import { type DestinationStream, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Settings } from '../config/schema.ts'
import type { Logger } from '../logger.ts'

const STANDARD_ERROR = 2

/** One logger for the whole peer, at one level. */
export function createLogger(level: Settings['logLevel']): Logger {
  const destination: DestinationStream = process.stderr.isTTY
    ? pretty({
        destination: STANDARD_ERROR,
        sync: true,
        singleLine: true,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss.l',
      })
    : pino.destination({ fd: STANDARD_ERROR, sync: true })
  // Errors are logged by name, code and cause; stacks belong to the debug level.
  return pino({ level, base: null, redact: ['streamKey', 'token', 'authorization'] }, destination)
}
