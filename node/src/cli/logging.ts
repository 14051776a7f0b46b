/** The peer's log: JSON lines on standard error, readable ones on a terminal. */
import { type DestinationStream, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Settings } from '../config/schema.ts'
import type { Logger } from '../logger.ts'

const STANDARD_ERROR = 2

/** One logger for the whole peer, at one level. */
export function createLogger(level: Settings['logLevel']): Logger {
  const output = standardError()
  const destination: DestinationStream = process.stderr.isTTY
    ? pretty({
        destination: output,
        singleLine: true,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss.l',
      })
    : output
  // Errors are logged by name, code and cause; stacks belong to the debug level.
  return pino({ level, base: null, redact: ['streamKey', 'token', 'authorization'] }, destination)
}

/** Lines for a terminal that was closed are dropped: nobody reads them, and the peer has to stop in order all the same. */
function standardError(): ReturnType<typeof pino.destination> {
  const destination = pino.destination({ fd: STANDARD_ERROR, sync: true })
  destination.on('error', () => {
    destination.write = () => true
  })
  return destination
}
