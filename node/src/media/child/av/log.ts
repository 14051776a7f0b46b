/** FFmpeg's own log in a child: errors only, to the error output, whose tail the pool keeps. */
import { AV_LOG_ERROR } from 'node-av/constants'
import { Log } from 'node-av/lib'

/** Loads FFmpeg and silences its chatter. */
export function silenceFfmpeg(): void {
  Log.setLevel(AV_LOG_ERROR)
}
