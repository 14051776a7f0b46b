/** The key of webhook signatures: made at the first start and kept in the home folder, unless the operator sets one. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { KairoError } from '../errors.ts'
import { createFile } from '../files.ts'

/** The specification asks for 24 to 64 bytes. */
const SECRET_BYTES = 32
const SECRET_FORM = /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/

/**
 * Reads the file, or makes it with mode 0600; its folder must exist. The secret is never logged.
 * @throws KairoError `ERR_STORAGE` when it cannot be read or written, `ERR_CONFIG` when it holds no secret.
 */
export async function loadWebhookSecret(path: string): Promise<string> {
  const made = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`
  let text: string
  try {
    if (await createFile(path, `${made}\n`)) return made
    text = (await readFile(path, 'utf8')).trim()
  } catch (cause) {
    throw new KairoError('ERR_STORAGE', `cannot use ${path}: ${(cause as Error).message}`, {
      cause,
    })
  }
  if (SECRET_FORM.test(text)) return text
  throw new KairoError('ERR_CONFIG', `${path} holds no webhook secret; delete it for a new one`)
}
