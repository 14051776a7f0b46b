/** Secrets that a peer makes at its first start and keeps in its home folder. */
import { readFile } from 'node:fs/promises'
import { KairoError } from './errors.ts'
import { createFile } from './files.ts'

/** What is kept in a file. */
export interface SecretFileInit {
  readonly path: string
  /** A new secret; written when there is no file yet. */
  readonly made: string
  readonly form: RegExp
  /** What it is, for an error: `the webhook secret`. */
  readonly what: string
}

/**
 * Reads the file, or makes it with mode 0600; its folder must exist. The secret is never logged.
 * @throws KairoError `ERR_STORAGE` when it cannot be read or written, `ERR_CONFIG` when it holds no such secret.
 */
export async function loadSecret({ path, made, form, what }: SecretFileInit): Promise<string> {
  let text: string
  try {
    if (await createFile(path, `${made}\n`)) return made
    text = (await readFile(path, 'utf8')).trim()
  } catch (cause) {
    throw new KairoError('ERR_STORAGE', `cannot use ${path}: ${(cause as Error).message}`, {
      cause,
    })
  }
  if (form.test(text)) return text
  throw new KairoError('ERR_CONFIG', `${path} does not hold ${what}; delete it for a new one`)
}
