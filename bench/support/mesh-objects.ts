/** The objects of the `mesh-fetch` bench: the same sizes at both servers, of bytes that nothing can compress. */
import { randomBytes } from 'node:crypto'

/** Sizes by the name they have in the figures; a part of a live stream, a segment, and one beyond the kernel's buffers. */
export const meshSizes = { '64k': 64 * 1024, '1m': 1024 * 1024, '8m': 8 * 1024 * 1024 } as const

/** Name of a size. */
export type MeshSize = keyof typeof meshSizes

/** Objects of each size: as many as are under way at once, since a peer fetches one object once at a time. */
export const meshCopies = 8

/** The objects by name, `1m-0`. */
export function meshObjects(): Map<string, Buffer> {
  const objects = new Map<string, Buffer>()
  for (const [size, bytes] of Object.entries(meshSizes)) {
    for (let copy = 0; copy < meshCopies; copy += 1) {
      objects.set(`${size}-${copy}`, randomBytes(bytes))
    }
  }
  return objects
}
