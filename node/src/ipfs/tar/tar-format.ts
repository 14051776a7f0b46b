/**
 * The 512-byte heads of tar (POSIX.1-2017, ustar and pax). Folders travel between `kairo ipfs` and the peer as tar, which every system
 * can also make and read by itself.
 */
import { KairoError } from '../../errors.ts'

/** Bytes of a record; heads are one, contents are filled up to whole ones. */
export const RECORD_BYTES = 512

/** What a head says. */
export interface TarHead {
  readonly type: string
  readonly path: string
  readonly bytes: number
}

/** A head. Paths longer than 100 bytes go before it in a pax head of their own. */
export function encodeTarHead(head: TarHead): Buffer {
  const path = Buffer.from(head.path)
  if (path.byteLength <= 100) return encodePlain({ ...head, path: head.path })
  const pax = paxRecord('path', head.path)
  return Buffer.concat([
    encodePlain({ type: 'x', path: 'pax', bytes: pax.byteLength }),
    ...padded(pax),
    encodePlain({
      ...head,
      path: path
        .subarray(0, 64)
        .toString('latin1')
        .replace(/[^ -~]/g, '_'),
    }),
  ])
}

/** Content and the zeros after it. */
function padded(bytes: Buffer): Buffer[] {
  return [bytes, paddingOf(bytes.byteLength)]
}

/** The zeros after content of a length. */
export function paddingOf(length: number): Buffer {
  return Buffer.alloc((RECORD_BYTES - (length % RECORD_BYTES)) % RECORD_BYTES)
}

/**
 * Reads a head; undefined for the zeros at the end.
 * @throws KairoError `ERR_PROTOCOL` for what is no head.
 */
export function decodeTarHead(record: Buffer): TarHead | undefined {
  if (record.every((byte) => byte === 0)) return undefined
  const sum = Number.parseInt(text(record, 148, 8).trim(), 8)
  if (sum !== checksum(record)) throw new KairoError('ERR_PROTOCOL', 'this is no tar archive')
  const bytes = number(record)
  const prefix = text(record, 257, 5) === 'ustar' ? text(record, 345, 155) : ''
  const name = text(record, 0, 100)
  return {
    type: text(record, 156, 1) || '0',
    path: prefix === '' ? name : `${prefix}/${name}`,
    bytes,
  }
}

/** The path that a pax head gives to the entry after it; undefined when it says none. */
export function paxPath(content: Buffer): string | undefined {
  let path: string | undefined
  for (let at = 0; at < content.byteLength; ) {
    const space = content.indexOf(0x20, at)
    const length = Number(content.toString('latin1', at, Math.max(space, at)))
    if (space < 0 || !Number.isInteger(length) || length <= space - at) break
    const record = content.toString('utf8', space + 1, at + length - 1)
    if (record.startsWith('path=')) path = record.slice(5)
    at += length
  }
  return path
}

function paxRecord(key: string, value: string): Buffer {
  const body = Buffer.byteLength(` ${key}=${value}\n`)
  let length = body
  // The length counts its own digits.
  while (String(length).length + body !== length) length = String(length).length + body
  return Buffer.from(`${length} ${key}=${value}\n`)
}

function encodePlain({ type, path, bytes }: TarHead): Buffer {
  const record = Buffer.alloc(RECORD_BYTES)
  record.write(path, 0, 100, 'utf8')
  record.write(type === '5' ? '0000755\0' : '0000644\0', 100, 'latin1')
  record.write('0000000\0', 108, 'latin1')
  record.write('0000000\0', 116, 'latin1')
  writeSize(record, bytes)
  record.write('00000000000\0', 136, 'latin1')
  record.write(type, 156, 'latin1')
  record.write('ustar\x0000', 257, 'latin1')
  record.write(`${checksum(record).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return record
}

/** Octal up to 8 GiB, beyond it binary with the highest bit set, as GNU tar writes it. */
function writeSize(record: Buffer, bytes: number): void {
  if (bytes < 8 ** 11) {
    record.write(`${bytes.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
    return
  }
  record.writeUInt8(0x80, 124)
  record.writeBigUInt64BE(BigInt(bytes), 128)
}

function number(record: Buffer): number {
  const field = text(record, 124, 12).trim()
  const value =
    (record.readUInt8(124) & 0x80) === 0
      ? Number.parseInt(field || '0', 8)
      : Number(record.readBigUInt64BE(128))
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new KairoError('ERR_PROTOCOL', 'a tar entry without a length')
  }
  return value
}

function checksum(record: Buffer): number {
  let sum = 8 * 0x20
  for (let index = 0; index < RECORD_BYTES; index += 1) {
    if (index < 148 || index >= 156) sum += record[index] as number
  }
  return sum
}

function text(record: Buffer, start: number, length: number): string {
  const end = record.subarray(start, start + length).indexOf(0)
  return record.toString('utf8', start, end < 0 ? start + length : start + end)
}
