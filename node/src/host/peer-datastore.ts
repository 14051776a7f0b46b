/**
 * The datastore of what libp2p remembers of other peers: a LevelDB folder that is opened and closed with the host. All in
 * it can be learned again, so a folder that is broken is started anew rather than keeping the peer down.
 */
import { mkdir, rm } from 'node:fs/promises'
import { LevelDatastore } from 'datastore-level'
import { KairoError } from '../errors.ts'
import type { Logger } from '../logger.ts'

/**
 * Opens the folder, making it if need be.
 * @throws KairoError `ERR_ADDRESS_IN_USE` when another process has it open, `ERR_STORAGE` when it cannot be written.
 */
export async function openPeerDatastore(path: string, logger: Logger): Promise<LevelDatastore> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    return await open(path)
  } catch (cause) {
    const code = codeOf(cause)
    if (code === 'LEVEL_LOCKED') {
      throw new KairoError(
        'ERR_ADDRESS_IN_USE',
        `${path} is in use by another peer; give each peer its own home folder`,
        { cause },
      )
    }
    if (code !== 'LEVEL_CORRUPTION') {
      throw new KairoError('ERR_STORAGE', `cannot open ${path}: ${code}`, { cause })
    }
    logger.warn({ path, err: cause }, 'the memory of other peers is damaged; starting it anew')
    await rm(path, { recursive: true, force: true })
    return await openPeerDatastore(path, logger)
  }
}

async function open(path: string): Promise<LevelDatastore> {
  const datastore = new LevelDatastore(path)
  // The database first and by itself, since the datastore's own opening hides why it failed.
  await datastore.db.open()
  await datastore.open()
  return datastore
}

/** The innermost code: level wraps the reason (`LEVEL_LOCKED`) in an error of its own. */
function codeOf(error: unknown): string {
  let code = 'unknown error'
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') code = at.code
  }
  return code
}
