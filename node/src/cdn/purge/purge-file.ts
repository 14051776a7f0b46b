/**
 * The log of purges on disk: records behind their lengths, each with a checksum, written and synced before they count. Records that wait are
 * written together. A write that fails leaves the file in doubt, so the next one writes it anew.
 */
import { crc32 } from 'node:zlib'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { storageError } from '../../files.ts'
import { purgeLimits } from '../../limits/purge.ts'
import { type PurgeLogRecord, PurgeLogRecordSchema } from '../../protocol/generated/purge_pb.js'
import type { PurgeStorage } from './purge-storage.ts'

/** A record to be written. */
export type LogRecord = MessageInitShape<typeof PurgeLogRecordSchema>

const HEAD_BYTES = 8

interface Write {
  readonly records: readonly LogRecord[]
  readonly commit: () => void
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** What was read of a log. */
export interface ReadLog {
  readonly records: readonly PurgeLogRecord[]
  /** False when there is no log, or it ends in bytes that are no record: what they said is not known. */
  readonly isWhole: boolean
}

/** One log, open for writing. */
export class PurgeFile {
  readonly #storage: PurgeStorage
  readonly #snapshot: () => LogRecord[]
  #bytes = 0
  #rewrite = true
  readonly #waiting: Write[] = []
  #writing: Promise<void> | undefined

  /** @param init.snapshot all that the log must hold when it is written anew, apart from what waits to be appended. */
  constructor(init: { readonly storage: PurgeStorage; readonly snapshot: () => LogRecord[] }) {
    this.#storage = init.storage
    this.#snapshot = init.snapshot
  }

  /**
   * Reads the log up to its last whole record.
   * @throws KairoError `ERR_STORAGE` when there is one that cannot be read.
   */
  async read(): Promise<ReadLog> {
    let bytes: Buffer | undefined
    try {
      bytes = await this.#storage.read()
    } catch (cause) {
      throw storageError('the log of purges cannot be read', cause)
    }
    if (bytes === undefined) return { records: [], isWhole: false }
    const records: PurgeLogRecord[] = []
    const readBytes = readRecords(bytes, records)
    return { records, isWhole: records.length > 0 && readBytes === bytes.byteLength }
  }

  /** Has the next write replace the whole file. */
  requestRewrite(): void {
    this.#rewrite = true
  }

  /**
   * Appends records and waits for the disk. `commit` is called in the turn in which they are durable, before anything else is written.
   * @throws KairoError `ERR_STORAGE` when the disk refuses; `commit` was not called then.
   */
  async append(records: readonly LogRecord[], commit: () => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ records, commit, resolve, reject })
    this.#writing ??= this.#writeAll()
    await promise
  }

  /** Waits for what is being written and closes the file. */
  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    await this.#storage.close()
    this.#rewrite = true
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const writes = this.#waiting.splice(0)
      try {
        await this.#write(writes.flatMap(({ records }) => records))
      } catch (cause) {
        this.#rewrite = true
        const error = storageError('the log of purges cannot be written', cause)
        for (const { reject } of writes) reject(error)
        continue
      }
      for (const { commit, resolve, reject } of writes) {
        try {
          commit()
          resolve()
        } catch (error) {
          reject(error as Error)
        }
      }
    }
    this.#writing = undefined
  }

  async #write(records: readonly LogRecord[]): Promise<void> {
    if (this.#bytes > purgeLimits.logFileBytesMax) this.#rewrite = true
    const whole = this.#rewrite ? this.#snapshot() : []
    const bytes = encodeRecords([...whole, ...records])
    if (this.#rewrite) {
      this.#bytes = 0
      await this.#storage.replace(bytes)
      this.#rewrite = false
    } else await this.#storage.append(bytes)
    this.#bytes += bytes.byteLength
  }
}

function encodeRecords(records: readonly LogRecord[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) => {
      const body = toBinary(PurgeLogRecordSchema, create(PurgeLogRecordSchema, record))
      const head = Buffer.alloc(HEAD_BYTES)
      head.writeUInt32BE(body.byteLength, 0)
      head.writeUInt32BE(crc32(body), 4)
      return [head, body]
    }),
  )
}

/** Reads whole records into `records`; returns where they end. */
function readRecords(bytes: Buffer, records: PurgeLogRecord[]): number {
  let at = 0
  while (at + HEAD_BYTES <= bytes.byteLength) {
    const end = at + HEAD_BYTES + bytes.readUInt32BE(at)
    const body = bytes.subarray(at + HEAD_BYTES, end)
    // An empty body has the checksum 0, as has a stretch of zeros that a crash left behind.
    const isWhole = body.byteLength > 0 && end <= bytes.byteLength
    if (!isWhole || crc32(body) !== bytes.readUInt32BE(at + 4)) return at
    records.push(fromBinary(PurgeLogRecordSchema, body))
    at = end
  }
  return at
}
