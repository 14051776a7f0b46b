/** Sends an answer piece by piece, over whatever carries it, and cuts a reader that does not take it. */
import type { Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import type { PeerHttpAnswer } from '../peer-http.ts'

/** What carries an answer. */
export interface AnswerSink {
  /** Bytes of the largest piece. */
  readonly pieceBytesMax: number
  readonly head: (status: number, fields: Readonly<Record<string, string>>) => void | Promise<void>
  /** Resolves when more is taken. */
  readonly write: (piece: Uint8Array) => Promise<void>
  /** Ends the answer, behind its last piece if there is one; resolves when all is handed on. */
  readonly end: (last: Uint8Array | undefined) => Promise<void>
  /** Breaks the connection off. */
  readonly cut: (reason: Error) => void
}

/** How an answer is sent. */
export interface SendAnswerOptions {
  readonly clock: Clock
  /** The request was HEAD: fields as for GET, no body. */
  readonly isHead: boolean
}

/**
 * Sends an answer whole.
 * @throws what the body or the sink throws; KairoError `ERR_TIMEOUT` when the reader was cut.
 */
export async function sendAnswer(
  { clock, isHead }: SendAnswerOptions,
  answer: PeerHttpAnswer,
  sink: AnswerSink,
): Promise<void> {
  const { status, body = [] } = answer
  const watch = new ReaderWatch(clock, sink)
  try {
    await watch.during(sink.head(status, fieldsOf(answer)))
    if (isHead) return await watch.during(sink.end(undefined))
    let last: Uint8Array | undefined
    // Each piece waits for the next, so that the last one goes out together with the end. A list is walked without waiting for it;
    // a body still being made may take its time.
    const hand = async (piece: Uint8Array): Promise<void> => {
      if (last !== undefined) await watch.during(sink.write(last))
      last = piece
    }
    if (isList(body))
      for (const bytes of body) for (const piece of cut(bytes, sink)) await hand(piece)
    else {
      for await (const bytes of body) {
        // What is being made is wanted as it comes.
        for (const piece of cut(bytes, sink)) await watch.during(sink.write(piece))
      }
    }
    await watch.during(sink.end(last))
  } catch (error) {
    throw watch.expired ?? error
  } finally {
    watch.stop()
  }
}

function isList(body: NonNullable<PeerHttpAnswer['body']>): body is readonly Uint8Array[] {
  return Array.isArray(body)
}

/** The fields of an answer with the length of its body, where that is known. */
function fieldsOf({ status, headers = {}, body = [] }: PeerHttpAnswer): Record<string, string> {
  // RFC 9110 8.6: these two have no body to tell the length of.
  if (!isList(body) || status === 204 || status === 304) return { ...headers }
  if (body.length === 0 && headers['content-length'] !== undefined) return { ...headers }
  const length = body.reduce((sum, piece) => sum + piece.byteLength, 0)
  return { ...headers, 'content-length': String(length) }
}

function* cut(bytes: Uint8Array, { pieceBytesMax }: AnswerSink): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += pieceBytesMax) {
    yield bytes.subarray(at, at + pieceBytesMax)
  }
}

/** A reader has a time limit for each piece, so that it cannot hold a whole object with a byte now and then. */
class ReaderWatch {
  /** Why the reader was cut. */
  expired: KairoError | undefined
  readonly #clock: Clock
  readonly #sink: AnswerSink
  #sinceMs: number | undefined
  #cancel: (() => void) | undefined

  constructor(clock: Clock, sink: AnswerSink) {
    this.#clock = clock
    this.#sink = sink
  }

  async during(work: void | Promise<void>): Promise<void> {
    if (work === undefined) return
    this.#sinceMs = this.#clock.monotonicMs()
    if (this.#cancel === undefined) this.#wait(peerHttpLimits.stallMsMax)
    await work
    this.#sinceMs = undefined
  }

  stop(): void {
    this.#cancel?.()
  }

  /** One timer for all pieces: when it fires it looks whether the present one is late, and waits for the rest of its time. */
  #wait(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => {
      const now = this.#clock.monotonicMs()
      const restMs = peerHttpLimits.stallMsMax - (now - (this.#sinceMs ?? now))
      if (restMs > 0) {
        this.#wait(restMs)
        return
      }
      this.expired = new KairoError('ERR_TIMEOUT', 'the other peer did not take an answer in time')
      this.#sink.cut(this.expired)
    })
  }
}
