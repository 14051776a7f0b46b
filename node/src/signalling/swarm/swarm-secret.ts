/** The secret of swarms: signs sessions and tickets. Made at the first start and kept in the home folder, so that pages come back as who they were after a restart. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { KairoError } from '../../errors.ts'
import { createFile } from '../../files.ts'

const secretBytes = 32
const secretForm = /^[A-Za-z0-9_-]{43,}$/

/**
 * Reads the file, or makes it with mode 0600; its folder must exist. The secret is never logged.
 * @throws KairoError `ERR_STORAGE` when it cannot be read or written, `ERR_CONFIG` when it holds no secret.
 */
export async function loadSwarmSecret(path: string): Promise<string> {
  const made = randomBytes(secretBytes).toString('base64url')
  let text: string
  try {
    if (await createFile(path, `${made}\n`)) return made
    text = (await readFile(path, 'utf8')).trim()
  } catch (cause) {
    throw new KairoError('ERR_STORAGE', `cannot use ${path}: ${(cause as Error).message}`, {
      cause,
    })
  }
  if (secretForm.test(text)) return text
  throw new KairoError('ERR_CONFIG', `${path} holds no secret of swarms; delete it for a new one`)
}
