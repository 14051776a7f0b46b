/** Sends an answer piece by piece, over whatever carries it, and cuts a reader that does not take it. */
import type { Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import type { PeerHttpAnswer } from '../peer-http.ts'

/** What carries an answer. */
export interface AnswerSink {
  readonly head: (status: number, fields: Readonly<Record<string, string>>) => void | Promise<void>
  /** Resolves when more is taken. */
  readonly write: (bytes: Uint8Array) => Promise<void>
  /** Resolves when all is handed on. */
  readonly end: () => Promise<void>
  /** Breaks the connection off. */
  readonly cut: (reason: Error) => void
}

/** How an answer is sent. */
export interface SendAnswerOptions {
  readonly clock: Clock
  /** Fires when the other peer is gone. */
  readonly signal: AbortSignal
  /** The request was HEAD: fields as for GET, no body. */
  readonly isHead: boolean
}

/**
 * Sends an answer whole.
 * @throws what the body or the sink throws; KairoError `ERR_TIMEOUT` when the reader was cut.
 */
export async function sendAnswer(
  options: SendAnswerOptions,
  answer: PeerHttpAnswer,
  sink: AnswerSink,
): Promise<void> {
  const { status, headers = {}, body = [] } = answer
  const isList = Array.isArray(body)
  let fields = headers
  const mayHaveBody = status !== 204 && status !== 304
  if (isList && mayHaveBody && (body.length > 0 || fields['content-length'] === undefined)) {
    const length = (body as readonly Uint8Array[]).reduce((sum, piece) => sum + piece.byteLength, 0)
    fields = { ...headers, 'content-length': String(length) }
  }
  await timed(options.clock, sink, async () => await sink.head(status, fields))
  if (!options.isHead) {
    // A list is walked in this turn; a body still being made is waited for, as long as its maker likes.
    if (isList) for (const piece of body) await writeCut(options.clock, sink, piece)
    else for await (const piece of body) await writeCut(options.clock, sink, piece)
  }
  await timed(options.clock, sink, () => sink.end())
}

/** A slow reader has the time limit for each piece, so that it cannot hold a whole object with a byte now and then. */
async function writeCut(clock: Clock, sink: AnswerSink, bytes: Uint8Array): Promise<void> {
  const max = peerHttpLimits.chunkBytesMax
  for (let at = 0; at < bytes.byteLength; at += max) {
    await timed(clock, sink, () => sink.write(bytes.subarray(at, at + max)))
  }
}

async function timed(clock: Clock, sink: AnswerSink, work: () => Promise<void>): Promise<void> {
  let expired: KairoError | undefined
  const cancel = clock.after(peerHttpLimits.stallMsMax, () => {
    expired = new KairoError('ERR_TIMEOUT', 'the other peer did not take an answer in time')
    sink.cut(expired)
  })
  try {
    await work()
  } catch (error) {
    throw expired ?? error
  } finally {
    cancel()
  }
}
