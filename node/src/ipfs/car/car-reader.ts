/**
 * Reads CARs (https://ipld.io/specs/transport/car/carv1/, and version 2 around it) block by block. A length is believed only up to what
 * a block may have, and each block is checked by whoever stores it.
 */
import { CID } from 'multiformats/cid'
import { KairoError } from '../../errors.ts'
import { ipfsLimits } from '../../limits/ipfs.ts'
import { decodeCbor } from '../dag/cbor.ts'
import type { Block } from '../dag/walk.ts'
import { ByteReader } from './byte-reader.ts'

/** A CAR that is being read. */
export interface CarReading {
  readonly roots: readonly CID[]
  /** Not verified. */
  readonly blocks: AsyncIterable<Block>
}

/** Bytes of a CID with a hash that Kairo takes, at the most: version, codec and multihash as varints, and what is inline. */
const CID_BYTES_MAX = ipfsLimits.inlineBytesMax + 16
const V2_HEAD_BYTES = 40

/**
 * Opens a CAR.
 * @throws KairoError `ERR_PROTOCOL` for what is none; the blocks throw it too.
 */
export async function readCar(source: AsyncIterable<Uint8Array>): Promise<CarReading> {
  const reader = new ByteReader(source, 'CAR')
  const head = await readHead(reader)
  if (head.version === 1) return { roots: head.roots, blocks: readBlocks(reader, undefined) }
  if (head.version !== 2) {
    throw new KairoError('ERR_PROTOCOL', `Kairo reads CARs of version 1 and 2, not ${head.version}`)
  }
  const fixed = await reader.take(V2_HEAD_BYTES)
  const [offset, size] = [Number(fixed.readBigUInt64LE(16)), Number(fixed.readBigUInt64LE(24))]
  // Before the fixed head lie the 11 bytes of the pragma.
  if (offset < 51 || offset > ipfsLimits.readAheadBytesMax || !Number.isSafeInteger(size)) {
    throw new KairoError('ERR_PROTOCOL', 'the head of the CAR makes no sense')
  }
  await reader.skip(offset - 51)
  const inner = new ByteReader(portion(reader, size), 'CAR')
  const { roots, version } = await readHead(inner)
  if (version !== 1) throw new KairoError('ERR_PROTOCOL', 'a CAR within a CAR has version 1')
  return { roots, blocks: readBlocks(inner, reader) }
}

async function readHead(reader: ByteReader): Promise<{ version: number; roots: CID[] }> {
  const length = await reader.varint(ipfsLimits.carHeadBytesMax)
  const { value, links } = decodeCbor(await reader.take(length))
  const version = value instanceof Map ? value.get('version') : undefined
  if (typeof version !== 'number') throw new KairoError('ERR_PROTOCOL', 'this is no CAR')
  return { version, roots: [...links] }
}

async function* portion(reader: ByteReader, size: number): AsyncGenerator<Uint8Array> {
  for (let missing = size; missing > 0; ) {
    const piece = await reader.some(missing)
    if (piece === undefined) throw reader.cutOff()
    missing -= piece.byteLength
    yield piece
  }
}

async function* readBlocks(
  reader: ByteReader,
  rest: ByteReader | undefined,
): AsyncGenerator<Block> {
  while (!(await reader.isAtEnd())) {
    const length = await reader.varint(ipfsLimits.blockBytesMax + CID_BYTES_MAX)
    yield splitSection(await reader.take(length))
  }
  // The index of a CARv2 follows; it is read over, so that the sender can end.
  while ((await rest?.some(ipfsLimits.readAheadBytesMax)) !== undefined);
}

function splitSection(section: Buffer): Block {
  try {
    const [cid, bytes] = CID.decodeFirst(section)
    return { cid, bytes }
  } catch (cause) {
    throw new KairoError('ERR_PROTOCOL', 'a block of the CAR has no name', { cause })
  }
}
