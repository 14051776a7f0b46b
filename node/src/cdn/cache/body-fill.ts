/**
 * A body that is being fetched and read at the same time. It goes into the content store slice by slice; whoever reads it gets what is
 * there at once and follows along behind the last byte that came. Only the slice that is being filled is held here, so neither a
 * large body nor a slow reader costs memory.
 */
import { abortReason } from '../../deadline.ts'
import { KairoError } from '../../errors.ts'
import { cdnLimits } from '../../limits/cdn.ts'

/** How a body is kept. */
export interface BodyFillInit {
  readonly sliceBytes: number
  /** Bytes of the whole, where the origin told them. */
  readonly length: number | undefined
  /** Takes a whole slice. */
  readonly seal: (index: number, bytes: Buffer) => void
  /** A slice that was sealed before. */
  readonly load: (index: number, signal: AbortSignal) => Promise<Buffer>
  /** Called when the last reader has left an unfinished body; true goes on fetching. */
  readonly goOn: () => boolean
  /** Ends the fetching. */
  readonly abort: (reason: KairoError) => void
}

/** Where a reader is. */
interface Reader {
  position: number
}

/** One body under way. */
export class BodyFill {
  readonly sliceBytes: number
  readonly #init: BodyFillInit
  readonly #readers = new Set<Reader>()
  /** Until the first reader is there, or nobody is going to come. */
  #isAwaited = true
  /** What came of the slice that is being filled. */
  #open: Buffer[] = []
  #openBytes = 0
  #sealed = 0
  #state: 'filling' | 'done' | 'failed' = 'filling'
  #error: unknown
  #wake: (() => void)[] = []
  #resume: (() => void) | undefined

  constructor(init: BodyFillInit) {
    this.#init = init
    this.sliceBytes = init.sliceBytes
  }

  /** Bytes of the whole; undefined as long as nobody knows. */
  get length(): number | undefined {
    return this.#state === 'done' ? this.received : this.#init.length
  }

  /** Bytes that came so far. */
  get received(): number {
    return this.#sealed * this.sliceBytes + this.#openBytes
  }

  get state(): 'filling' | 'done' | 'failed' {
    return this.#state
  }

  get readers(): number {
    return this.#readers.size
  }

  /** The whole body, when all of it is here and was never sealed: small ones need no way through the store. */
  get whole(): readonly Buffer[] | undefined {
    return this.#state === 'done' && this.#sealed === 0 ? this.#open : undefined
  }

  /**
   * Takes the body to its end.
   * @throws what the body throws; KairoError `ERR_PROTOCOL` when it is not as long as was told. Readers get the same.
   */
  async run(body: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of body) {
        this.#take(chunk)
        await this.#pace()
      }
      const { length } = this.#init
      if (length !== undefined && length !== this.received) {
        throw new KairoError('ERR_PROTOCOL', 'the origin sent less or more than it announced')
      }
      if (this.#openBytes > 0) this.#seal(true)
      this.#settle('done', undefined)
    } catch (error) {
      this.#settle('failed', error)
      throw error
    }
  }

  /**
   * The bytes from `first` to `last` (or to the end), as they come.
   * @throws what ended the fetching, and the signal's reason.
   */
  async *read(
    first: number,
    last: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    if (this.#readers.size >= cdnLimits.followersMax) {
      throw new KairoError('ERR_LIMIT', 'too many clients read this response at once')
    }
    const reader: Reader = { position: first }
    this.#readers.add(reader)
    this.#isAwaited = false
    try {
      while (last === undefined || reader.position <= last) {
        if (signal.aborted) throw abortReason(signal)
        const bytes = await this.#next(reader.position, signal)
        if (bytes === undefined) return
        const wanted = last === undefined ? bytes.byteLength : last - reader.position + 1
        const piece = bytes.byteLength > wanted ? bytes.subarray(0, wanted) : bytes
        reader.position += piece.byteLength
        this.#resume?.()
        yield piece
      }
    } finally {
      this.#readers.delete(reader)
      this.#left()
    }
  }

  /** Says that whoever wanted to read has begun or never will. */
  release(): void {
    if (!this.#isAwaited) return
    this.#isAwaited = false
    this.#left()
  }

  /** What stands at a position, waiting for it where it has to come; undefined at the end. */
  async #next(position: number, signal: AbortSignal): Promise<Buffer | undefined> {
    for (;;) {
      const index = Math.floor(position / this.sliceBytes)
      if (index < this.#sealed && position < this.received) {
        const slice = await this.#init.load(index, signal)
        return slice.subarray(position - index * this.sliceBytes)
      }
      const chunk = this.#openChunk(position)
      if (chunk !== undefined) return chunk
      if (this.#state === 'done') return undefined
      if (this.#state === 'failed') throw this.#error
      await this.#changed(signal)
    }
  }

  #openChunk(position: number): Buffer | undefined {
    let start = this.#sealed * this.sliceBytes
    for (const chunk of this.#open) {
      if (position < start + chunk.byteLength) return chunk.subarray(position - start)
      start += chunk.byteLength
    }
    return undefined
  }

  #take(chunk: Uint8Array): void {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const { length } = this.#init
    if (length !== undefined && this.received + rest.byteLength > length) {
      throw new KairoError('ERR_PROTOCOL', 'the origin sent more than it announced')
    }
    while (rest.byteLength > 0) {
      const room = this.sliceBytes - this.#openBytes
      const piece = rest.byteLength > room ? rest.subarray(0, room) : rest
      this.#open.push(piece)
      this.#openBytes += piece.byteLength
      rest = rest.subarray(piece.byteLength)
      if (this.#openBytes === this.sliceBytes) this.#seal(false)
    }
    this.#wakeReaders()
  }

  /** Hands the open slice to the store. Of a body of one slice the bytes stay here for those who read it now. */
  #seal(isLast: boolean): void {
    const bytes = compact(this.#open, this.#openBytes)
    this.#init.seal(this.#sealed, bytes)
    if (isLast && this.#sealed === 0) {
      this.#open = [bytes]
      return
    }
    this.#sealed += 1
    this.#open = []
    this.#openBytes = 0
    if (isLast) this.#openBytes = bytes.byteLength - this.sliceBytes
  }

  /** Waits while the body is far ahead of everyone who reads it; ends it when it has become too long for nobody. */
  async #pace(): Promise<void> {
    if (this.#readers.size === 0) this.#left()
    while (this.#readers.size > 0 && this.received - this.#fastest() > cdnLimits.leadBytesMax) {
      await new Promise<void>((resolve) => {
        this.#resume = resolve
      })
      this.#resume = undefined
    }
  }

  #fastest(): number {
    let position = 0
    for (const reader of this.#readers) position = Math.max(position, reader.position)
    return position
  }

  #left(): void {
    const isAlone = this.#readers.size === 0 && !this.#isAwaited && this.#state === 'filling'
    if (isAlone && !this.#init.goOn()) {
      this.#init.abort(new KairoError('ERR_STOPPED', 'nobody reads this response any more'))
    }
    this.#resume?.()
  }

  #settle(state: 'done' | 'failed', error: unknown): void {
    this.#state = state
    this.#error = error
    this.#wakeReaders()
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(abortReason(signal))
      signal.addEventListener('abort', onAbort, { once: true })
      this.#wake.push(() => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
    })
  }

  #wakeReaders(): void {
    const waiting = this.#wake
    this.#wake = []
    for (const wake of waiting) wake()
  }
}

/** The chunks in memory of their own: one that was received lies in a larger buffer, and would keep all of it. */
function compact(chunks: readonly Buffer[], length: number): Buffer {
  const [only] = chunks
  if (chunks.length === 1 && only !== undefined && only.buffer.byteLength === length) return only
  const bytes = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const chunk of chunks) at += chunk.copy(bytes, at)
  return bytes
}
