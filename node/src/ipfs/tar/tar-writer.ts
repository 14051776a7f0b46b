/** Writes tar archives. */
import { encodeTarHead, paddingOf, RECORD_BYTES } from './tar-format.ts'

/** Something to write. */
export interface TarInput {
  readonly type: 'file' | 'folder'
  readonly path: string
  /** Bytes of the content, exactly. */
  readonly bytes: number
  readonly content: () => AsyncIterable<Uint8Array>
}

/** The archive, piece by piece. A file whose content has another length than it said ends it with an error. */
export async function* writeTar(entries: AsyncIterable<TarInput>): AsyncGenerator<Uint8Array> {
  for await (const { type, path, bytes, content } of entries) {
    yield encodeTarHead({ type: type === 'folder' ? '5' : '0', path, bytes })
    if (type === 'folder') continue
    let sent = 0
    for await (const piece of content()) {
      sent += piece.byteLength
      if (sent > bytes) break
      yield piece
    }
    if (sent !== bytes) throw new Error(`${path} has changed its length while it was read`)
    yield paddingOf(bytes)
  }
  yield Buffer.alloc(2 * RECORD_BYTES)
}
