/** The operator token: the secret, made at first start, that whoever changes anything on this peer must show. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { KairoError } from '../errors.ts'
import { createFile } from '../files.ts'

const fileName = 'operator.token'
const tokenBytes = 32
const tokenForm = /^[A-Za-z0-9_-]{43}$/

/** Compares what callers show with the peer's token, in a time that says nothing about it. */
export class OperatorToken {
  /** 32 random bytes, base64url. Shown to the operator, never logged. */
  readonly value: string
  readonly #digest: Buffer

  constructor(value: string) {
    this.value = value
    this.#digest = digestOf(value)
  }

  /** True when `candidate` is the token. */
  verify(candidate: string | undefined): boolean {
    return candidate !== undefined && timingSafeEqual(digestOf(candidate), this.#digest)
  }
}

/**
 * Reads `<home>/operator.token`, or makes it with mode 0600. `home` must exist.
 * @throws KairoError `ERR_CONFIG` when the file holds no token or others may read it, `ERR_STORAGE` when it cannot be
 * read or written.
 */
export async function loadOperatorToken(home: string): Promise<OperatorToken> {
  const path = join(home, fileName)
  const value = randomBytes(tokenBytes).toString('base64url')
  try {
    if (await createFile(path, `${value}\n`)) return new OperatorToken(value)
  } catch (error) {
    throw new KairoError('ERR_STORAGE', `cannot write ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  return await readToken(path)
}

async function readToken(path: string): Promise<OperatorToken> {
  let text: string
  let mode: number
  try {
    mode = (await stat(path)).mode
    text = (await readFile(path, 'utf8')).trim()
  } catch (error) {
    throw new KairoError('ERR_STORAGE', `cannot read ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new KairoError('ERR_CONFIG', `others may read ${path}; run: chmod 600 ${path}`)
  }
  if (!tokenForm.test(text)) {
    throw new KairoError('ERR_CONFIG', `${path} holds no token; delete it and a new one is made`)
  }
  return new OperatorToken(text)
}

/** Equal lengths for the comparison, whatever was shown. */
function digestOf(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}
