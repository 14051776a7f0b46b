/** What direct lines count. */

/** All lines of a peer together. */
export interface LineCounters {
  opened: number
  ended: number
  /** Looked for a line; and none came about. */
  sought: number
  failed: number
  /** Others that asked, and were told how. */
  invited: number
  /** Handshakes that failed: another name or secret, or none in time. */
  refused: number
  framesSent: number
  framesReceived: number
  framesDropped: number
  bytesSent: number
  bytesReceived: number
  writes: number
  /** Times that a socket was not read for a moment because its peer brought too much. */
  paced: number
  /** Times that what came before on the host's streams was not waited for any more. */
  gatesForced: number
}

/** All at nothing. */
export function newLineCounters(): LineCounters {
  return {
    ...{ opened: 0, ended: 0, sought: 0, failed: 0, invited: 0, refused: 0 },
    ...{ framesSent: 0, framesReceived: 0, framesDropped: 0, bytesSent: 0, bytesReceived: 0 },
    ...{ writes: 0, paced: 0, gatesForced: 0 },
  }
}
