/**
 * The catalog's file, byte for byte. After eight bytes of magic come batches `[length u32][crc32 u32][records]`, big-endian. A batch
 * is believed whole or not at all; what follows one that is torn is not read. Records:
 *
 * - `1` owner: number u32, tenant length u16, stream length u16, tenant, stream (UTF-8; a stream of length 0 is none)
 * - `2` object: owner's number u32 (0: nobody's), bytes u32, standing u8 (bit 7 main queue, low bits uses), digest
 * - `3` object gone: digest
 * - `4` kept: keepers u8 (a bit each; 0: kept no more), digest
 */
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import { storeLimits } from '../../limits/store.ts'
import { contentLimits } from '../../limits.ts'
import type { Digest } from '../digest.ts'
import type { Standing } from '../eviction/s3-fifo.ts'
import type { KeeperBits } from './keepers.ts'
import type { ObjectOwner } from './owner-accounts.ts'

/** First bytes of the file; the digit is the format's version. */
export const CATALOG_MAGIC: Buffer = Buffer.from('KAIROCT2', 'latin1')

/** Bytes before a batch's records. */
export const BATCH_HEAD_BYTES = 8

const OWNER = 1
const OBJECT = 2
const GONE = 3
const KEPT = 4
const DIGEST_BYTES = 32
const MAIN_BIT = 0x80

/** An object as the catalog knows it. */
export interface CatalogObject extends Standing {
  readonly digest: Digest
  readonly bytes: number
  readonly owner: ObjectOwner | undefined
}

/** An object that a catalog names. */
export interface CatalogedObject extends CatalogObject {
  /** True once its file was found. */
  isFound: boolean
}

/** What the records of a catalog add up to. */
export class CatalogImage {
  /** In the order in which they were last added. */
  readonly objects = new Map<Digest, CatalogedObject>()
  readonly kept = new Map<Digest, KeeperBits>()
  /** Records read. */
  records = 0
  readonly #owners = new Map<number, ObjectOwner>()

  /** Takes the records of one batch whose checksum was right; false at the first that makes no sense, those before it count. */
  apply(records: Buffer): boolean {
    let offset = 0
    while (offset < records.byteLength) {
      const next = this.#applyOne(records, offset)
      if (next === undefined) return false
      this.records += 1
      offset = next
    }
    return true
  }

  #applyOne(records: Buffer, offset: number): number | undefined {
    const kind = records.readUInt8(offset)
    if (kind === OWNER) return this.#applyOwner(records, offset + 1)
    if (kind === OBJECT) return this.#applyObject(records, offset + 1)
    if (kind === KEPT) return this.#applyKept(records, offset + 1)
    const end = offset + 1 + DIGEST_BYTES
    if (kind !== GONE || end > records.byteLength) return undefined
    this.objects.delete(records.toString('hex', offset + 1, end))
    return end
  }

  #applyOwner(records: Buffer, offset: number): number | undefined {
    if (offset + 8 > records.byteLength) return undefined
    const tenantEnd = offset + 8 + records.readUInt16BE(offset + 4)
    const end = tenantEnd + records.readUInt16BE(offset + 6)
    if (end > records.byteLength) return undefined
    const tenant = records.toString('utf8', offset + 8, tenantEnd)
    const stream = records.toString('utf8', tenantEnd, end)
    const owner = stream === '' ? { tenant } : { tenant, stream }
    this.#owners.set(records.readUInt32BE(offset), owner)
    return end
  }

  #applyObject(records: Buffer, offset: number): number | undefined {
    const end = offset + 9 + DIGEST_BYTES
    if (end > records.byteLength) return undefined
    const number = records.readUInt32BE(offset)
    const bytes = records.readUInt32BE(offset + 4)
    const standing = records.readUInt8(offset + 8)
    const owner = this.#owners.get(number)
    if (bytes === 0 || bytes > contentLimits.objectBytesMax) return undefined
    if (number !== 0 && owner === undefined) return undefined
    const digest = records.toString('hex', offset + 9, end)
    this.objects.delete(digest)
    const isMain = (standing & MAIN_BIT) !== 0
    const uses = standing & ~MAIN_BIT
    this.objects.set(digest, { digest, bytes, owner, isMain, uses, isFound: false })
    return end
  }

  #applyKept(records: Buffer, offset: number): number | undefined {
    const end = offset + 1 + DIGEST_BYTES
    if (end > records.byteLength) return undefined
    const keepers = records.readUInt8(offset)
    const digest = records.toString('hex', offset + 1, end)
    if (keepers === 0) this.kept.delete(digest)
    else this.kept.set(digest, keepers)
    return end
  }
}

/** Encodes records, and gives them out in batches of a bounded size. Owners are numbered anew in each encoder. */
export class CatalogEncoder {
  readonly #owners = new Map<string, number>()
  readonly #batches: Buffer[] = []
  readonly #open = Buffer.alloc(storeLimits.catalogBatchBytesMax)
  #offset = BATCH_HEAD_BYTES
  #bytes = 0

  /** Bytes encoded and not yet taken. */
  get bytes(): number {
    return this.#bytes + this.#offset - BATCH_HEAD_BYTES
  }

  /** An object is there. */
  object(object: CatalogObject): void {
    const number = object.owner === undefined ? 0 : this.#numberOf(object.owner)
    const at = this.#reserve(10 + DIGEST_BYTES)
    this.#open.writeUInt8(OBJECT, at)
    this.#open.writeUInt32BE(number, at + 1)
    this.#open.writeUInt32BE(object.bytes, at + 5)
    this.#open.writeUInt8((object.isMain ? MAIN_BIT : 0) | object.uses, at + 9)
    this.#open.write(object.digest, at + 10, 'hex')
  }

  /** An object is there no more. */
  gone(digest: Digest): void {
    const at = this.#reserve(1 + DIGEST_BYTES)
    this.#open.writeUInt8(GONE, at)
    this.#open.write(digest, at + 1, 'hex')
  }

  /** Who keeps an object, all of them; 0 for nobody any more. */
  kept(digest: Digest, keepers: KeeperBits): void {
    const at = this.#reserve(2 + DIGEST_BYTES)
    this.#open.writeUInt8(KEPT, at)
    this.#open.writeUInt8(keepers, at + 1)
    this.#open.write(digest, at + 2, 'hex')
  }

  /** What was encoded since the last call, ready for the file. */
  take(): Buffer[] {
    this.#close()
    this.#bytes = 0
    return this.#batches.splice(0)
  }

  #numberOf(owner: ObjectOwner): number {
    const { tenant, stream = '' } = owner
    const key = `${tenant.length} ${tenant}${stream}`
    const known = this.#owners.get(key)
    if (known !== undefined) return known
    const number = this.#owners.size + 1
    const names = [Buffer.from(tenant), Buffer.from(stream)] as const
    const at = this.#reserve(9 + names[0].byteLength + names[1].byteLength)
    this.#open.writeUInt8(OWNER, at)
    this.#open.writeUInt32BE(number, at + 1)
    this.#open.writeUInt16BE(names[0].byteLength, at + 5)
    this.#open.writeUInt16BE(names[1].byteLength, at + 7)
    names[0].copy(this.#open, at + 9)
    names[1].copy(this.#open, at + 9 + names[0].byteLength)
    this.#owners.set(key, number)
    return number
  }

  #reserve(bytes: number): number {
    assert(bytes <= storeLimits.catalogBatchBytesMax - BATCH_HEAD_BYTES, 'a record fits in a batch')
    if (this.#offset + bytes > this.#open.byteLength) this.#close()
    const at = this.#offset
    this.#offset += bytes
    return at
  }

  #close(): void {
    if (this.#offset === BATCH_HEAD_BYTES) return
    const batch = Buffer.from(this.#open.subarray(0, this.#offset))
    const records = batch.subarray(BATCH_HEAD_BYTES)
    batch.writeUInt32BE(records.byteLength, 0)
    batch.writeUInt32BE(crc32(records), 4)
    this.#batches.push(batch)
    this.#bytes += records.byteLength
    this.#offset = BATCH_HEAD_BYTES
  }
}

/** Length and checksum in a batch's head; undefined when no batch of ours begins like this. */
export function readBatchHead(head: Buffer): { bytes: number; checksum: number } | undefined {
  if (head.byteLength < BATCH_HEAD_BYTES) return undefined
  const bytes = head.readUInt32BE(0)
  if (bytes === 0 || bytes > storeLimits.catalogBatchBytesMax) return undefined
  return { bytes, checksum: head.readUInt32BE(4) }
}

/** True when these records are those that the head was written for. */
export function isWhole(records: Buffer, checksum: number): boolean {
  return crc32(records) === checksum
}
