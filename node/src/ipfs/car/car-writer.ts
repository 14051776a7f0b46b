/** Writes CARs. */
import type { CID } from 'multiformats/cid'
import type { Block } from '../dag/walk.ts'
import { carHead, carSection } from './car-section.ts'

/** A whole CAR, piece by piece. */
export async function* writeCar(
  root: CID,
  blocks: AsyncIterable<Block>,
): AsyncGenerator<Uint8Array> {
  yield carHead(root)
  for await (const block of blocks) yield Buffer.concat(carSection(block))
}
