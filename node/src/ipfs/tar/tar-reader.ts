/** Reads tar archives entry by entry; the content of each is read before the next one comes. */
import { KairoError } from '../../errors.ts'
import { ipfsLimits } from '../../limits/ipfs.ts'
import { ByteReader } from '../car/byte-reader.ts'
import { decodeTarHead, paddingOf, paxPath, RECORD_BYTES } from './tar-format.ts'

/** A file or folder of an archive. */
export interface TarEntry {
  readonly type: 'file' | 'folder'
  /** Names from the top; never empty, never `.` or `..`. */
  readonly names: readonly string[]
  readonly bytes: number
  /** Reads the content; what is left unread is gone over. */
  content(): AsyncGenerator<Uint8Array>
}

/**
 * The files and folders of an archive.
 * @throws KairoError `ERR_PROTOCOL` for what is no tar, `ERR_INVALID_INPUT` for entries that are neither file nor folder and for paths
 * that lead outside, `ERR_LIMIT` for too many.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source, 'tar archive')
  let longPath: string | undefined
  let count = 0
  while (!(await reader.isAtEnd())) {
    const head = decodeTarHead(await reader.take(RECORD_BYTES))
    if (head === undefined) continue
    if (head.type === 'x' || head.type === 'L') {
      const content = await readSmall(reader, head.bytes)
      longPath = head.type === 'x' ? paxPath(content) : content.toString('utf8').replace(/\0+$/, '')
      continue
    }
    if (head.type === 'g') {
      await readSmall(reader, head.bytes)
      continue
    }
    count += 1
    if (count > ipfsLimits.entriesMax) {
      throw new KairoError('ERR_LIMIT', `an archive may have ${ipfsLimits.entriesMax} entries`)
    }
    const path = longPath ?? head.path
    longPath = undefined
    const names = namesOf(path)
    const content = new EntryContent(reader, head.bytes)
    const read = (): AsyncGenerator<Uint8Array> => content.read()
    if (names.length > 0) {
      yield { type: typeOf(head.type, path), names, bytes: head.bytes, content: read }
    }
    await content.finish()
  }
}

class EntryContent {
  readonly #reader: ByteReader
  readonly #bytes: number
  #missing: number

  constructor(reader: ByteReader, bytes: number) {
    this.#reader = reader
    this.#bytes = bytes
    this.#missing = bytes
  }

  async *read(): AsyncGenerator<Uint8Array> {
    while (this.#missing > 0) {
      const piece = await this.#reader.some(this.#missing)
      if (piece === undefined) throw this.#reader.cutOff()
      this.#missing -= piece.byteLength
      yield piece
    }
  }

  async finish(): Promise<void> {
    await this.#reader.skip(this.#missing + paddingOf(this.#bytes).byteLength)
    this.#missing = 0
  }
}

async function readSmall(reader: ByteReader, bytes: number): Promise<Buffer> {
  if (bytes > ipfsLimits.pathCharsMax * 4) {
    throw new KairoError('ERR_PROTOCOL', 'a path in the tar archive is too long')
  }
  const content = await reader.take(bytes)
  await reader.skip(paddingOf(bytes).byteLength)
  return content
}

function typeOf(type: string, path: string): TarEntry['type'] {
  if (type === '0' || type === '7') return 'file'
  if (type === '5') return 'folder'
  throw new KairoError('ERR_INVALID_INPUT', `${path} is neither a file nor a folder`)
}

function namesOf(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '.')
  if (path.startsWith('/') || path.includes('\0') || names.includes('..')) {
    throw new KairoError('ERR_INVALID_INPUT', `the path ${JSON.stringify(path)} leads outside`)
  }
  if (names.length > ipfsLimits.pathSegmentsMax || path.length > ipfsLimits.pathCharsMax) {
    throw new KairoError('ERR_INVALID_INPUT', 'a path in the archive is too long')
  }
  return names
}
