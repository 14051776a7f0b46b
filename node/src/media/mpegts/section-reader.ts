/**
 * Table sections out of the packets of one PID (ISO/IEC 13818-1 2.4.4), checked by their CRC.
 */
import { crc32Mpeg } from './crc32.ts'

const SECTION_HEADER_BYTES = 3
/** Sections of program tables are at most this long (2.4.4.4, 2.4.4.9). */
const SECTION_BYTES_MAX = 1_024
const CRC_BYTES = 4
const STUFFING_TABLE = 0xff

/** Collects sections. */
export class SectionReader {
  readonly #bytes = Buffer.alloc(SECTION_BYTES_MAX)
  #length = 0
  /** True between the start of a section and its end. */
  #open = false

  /** Takes a packet's payload; the sections that it completes, without their CRC. */
  push(payload: Buffer, unitStart: boolean): Buffer[] {
    const sections: Buffer[] = []
    if (!unitStart) {
      if (this.#open) this.#append(payload, sections)
      return sections
    }
    const pointer = payload.readUInt8(0)
    const start = 1 + pointer
    if (start > payload.byteLength) {
      this.reset()
      return sections
    }
    if (this.#open) this.#append(payload.subarray(1, start), sections)
    this.reset()
    this.#open = true
    this.#append(payload.subarray(start), sections)
    return sections
  }

  /** Forgets an unfinished section, after a loss. */
  reset(): void {
    this.#open = false
    this.#length = 0
  }

  #append(input: Buffer, sections: Buffer[]): void {
    let rest = input
    while (this.#open && rest.byteLength > 0) {
      if (this.#length === 0 && rest[0] === STUFFING_TABLE) {
        this.reset()
        return
      }
      const wanted = this.#wanted() - this.#length
      const taken = Math.min(wanted, rest.byteLength)
      rest.copy(this.#bytes, this.#length, 0, taken)
      this.#length += taken
      rest = rest.subarray(taken)
      if (this.#length >= SECTION_HEADER_BYTES && this.#wanted() > SECTION_BYTES_MAX) this.reset()
      else if (this.#length > SECTION_HEADER_BYTES && this.#length === this.#wanted()) {
        this.#finish(sections)
      }
    }
  }

  /** Bytes of the section as far as they are known: first its header, then all. */
  #wanted(): number {
    if (this.#length < SECTION_HEADER_BYTES) return SECTION_HEADER_BYTES
    return SECTION_HEADER_BYTES + Math.max(1, this.#bytes.readUInt16BE(1) & 0x0fff)
  }

  #finish(sections: Buffer[]): void {
    const section = this.#bytes.subarray(0, this.#length)
    if (section.byteLength > CRC_BYTES && crc32Mpeg(section) === 0) {
      sections.push(Buffer.from(section.subarray(0, section.byteLength - CRC_BYTES)))
    }
    // Another section may follow at once; its first byte says so.
    this.#length = 0
  }
}
