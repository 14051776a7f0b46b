/**
 * The peer's identity: an Ed25519 key whose public half is the libp2p peer id. Kept as one line of base64 (libp2p's
 * protobuf PrivateKey) in `identity.key` of the home folder, readable by its owner only.
 */
import { chmod, mkdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { KairoError } from '../errors.ts'
import { createFile } from '../files.ts'
import type { Logger } from '../logger.ts'

const FILE_NAME = 'identity.key'
const OWNER_ONLY_FILE = 0o600
const OWNER_ONLY_FOLDER = 0o700
const OTHERS = 0o077

/** What a peer is known by. */
export interface Identity {
  readonly privateKey: PrivateKey
  /** libp2p peer id, base58. */
  readonly peerId: string
  /** True when the key was made by this call. */
  readonly created: boolean
}

/**
 * Reads the identity of a home folder, or makes one there. A file that others may read is closed to them, with a
 * warning. A file that cannot be understood is never replaced: a peer that silently changes its name loses its
 * reputation and its streams' readers.
 * @throws KairoError `ERR_CONFIG` for a broken file, `ERR_STORAGE` when the folder cannot be read or written.
 */
export async function loadIdentity(home: string, logger: Logger): Promise<Identity> {
  const path = join(home, FILE_NAME)
  const existing = await readKeyFile(path, logger)
  if (existing !== undefined) return identityOf(parseKey(existing, path), false)
  const privateKey = await generateKeyPair('Ed25519')
  const won = await createKeyFile(path, privateKey)
  if (won) return identityOf(privateKey, true)
  // Another process made one in between: its key is the home's identity.
  return identityOf(parseKey((await readKeyFile(path, logger)) ?? '', path), false)
}

function identityOf(privateKey: PrivateKey, created: boolean): Identity {
  return { privateKey, peerId: peerIdFromPrivateKey(privateKey).toString(), created }
}

async function readKeyFile(path: string, logger: Logger): Promise<string | undefined> {
  try {
    const { mode } = await stat(path)
    if ((mode & OTHERS) !== 0) {
      logger.warn({ path }, 'the identity key was open to other users of this machine; closed it')
      await chmod(path, OWNER_ONLY_FILE)
    }
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined
    throw storageError(path, cause)
  }
}

function parseKey(text: string, path: string): PrivateKey {
  let privateKey: PrivateKey
  try {
    privateKey = privateKeyFromProtobuf(Buffer.from(text.trim(), 'base64'))
  } catch (cause) {
    throw new KairoError(
      'ERR_CONFIG',
      `${path} holds no readable identity key. Restore it from a backup, or move it away to start as a new peer.`,
      { cause },
    )
  }
  if (privateKey.type !== 'Ed25519') {
    throw new KairoError(
      'ERR_CONFIG',
      `${path} holds a ${privateKey.type} key; a peer's identity is Ed25519. Move it away to start as a new peer.`,
    )
  }
  return privateKey
}

/** False when another process made one in the meantime. */
async function createKeyFile(path: string, privateKey: PrivateKey): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: OWNER_ONLY_FOLDER })
    const text = Buffer.from(privateKeyToProtobuf(privateKey)).toString('base64')
    return await createFile(path, `${text}\n`)
  } catch (cause) {
    throw storageError(path, cause)
  }
}

function storageError(path: string, cause: unknown): KairoError {
  return new KairoError('ERR_STORAGE', `cannot read or write ${path}: ${codeOf(cause)}`, { cause })
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error'
}
