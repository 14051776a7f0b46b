/**
 * Reads what the state writes: commands and snapshots. A length is held against what is there before anything is made of it. What does
 * not fit makes the reader `fail`: from then on it reads zeros and empty strings, so that a decoder asks once, where it would begin to act.
 *
 * Not the reader of `bytes/`, which throws: every member applies every command, so one that cannot be read must change nothing anywhere and
 * stop nobody, and texts come as the state keeps them (key-text.ts), not as strings.
 */
import { type ByteText, TextReader } from './key-text.ts'

const noBytes: Uint8Array = new Uint8Array(0)

/** Fewer bytes are copied one by one, which is quicker than to make a view of them first. */
const SMALL_COPY = 96

/** A reader over one piece of bytes. */
export class ByteReader {
  /** Why nothing more is read; undefined while all fits. */
  failure: string | undefined = undefined
  #bytes: Uint8Array = noBytes
  #at = 0
  readonly #texts = new TextReader()

  /** Begins anew with other bytes. */
  start(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#at = 0
    this.failure = undefined
  }

  /** Lets go of the bytes. */
  finish(): void {
    this.#bytes = noBytes
    this.#at = 0
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at
  }

  /** Says that what was read cannot be; the first reason stays. */
  fail(reason: string): void {
    this.failure ??= reason
    this.#at = this.#bytes.length
  }

  u8(): number {
    if (this.left < 1) return this.#cutOff()
    return this.#bytes[this.#at++] as number
  }

  u16(): number {
    if (this.left < 2) return this.#cutOff()
    const at = this.#at
    this.#at = at + 2
    return (this.#bytes[at] as number) | ((this.#bytes[at + 1] as number) << 8)
  }

  u32(): number {
    if (this.left < 4) return this.#cutOff()
    const at = this.#at
    this.#at = at + 4
    return this.#u32At(at)
  }

  /** Eight bytes that hold a safe integer. */
  integer(): number {
    if (this.left < 8) return this.#cutOff()
    const at = this.#at
    this.#at = at + 8
    const high = this.#u32At(at + 4)
    if (high > 0x1f_ffff) {
      this.fail('an integer above 2^53 - 1')
      return 0
    }
    return high * 0x1_0000_0000 + this.#u32At(at)
  }

  /** Text of a length. */
  text(length: number): ByteText {
    if (this.left < length) {
      this.#cutOff()
      return ''
    }
    const from = this.#at
    this.#at = from + length
    const text = this.#texts.read(this.#bytes, from, from + length)
    if (text !== undefined) return text
    this.fail('text that is not UTF-8')
    return ''
  }

  /** A copy of bytes of a length: a part of the whole would keep all of it in memory. */
  copy(length: number): Uint8Array {
    if (this.left < length) {
      this.#cutOff()
      return noBytes
    }
    if (length === 0) return noBytes
    const from = this.#at
    this.#at = from + length
    const source = this.#bytes
    const copy = new Uint8Array(length)
    if (length > SMALL_COPY) copy.set(source.subarray(from, from + length))
    else for (let i = 0; i < length; i++) copy[i] = source[from + i] as number
    return copy
  }

  #u32At(at: number): number {
    const bytes = this.#bytes
    return (
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24)) >>>
      0
    )
  }

  #cutOff(): number {
    this.fail('it ends too soon')
    return 0
  }
}
