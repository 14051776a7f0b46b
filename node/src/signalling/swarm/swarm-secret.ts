/** The secret of swarms: signs sessions and tickets. Kept, so that pages come back as who they were after a restart. */
import { randomBytes } from 'node:crypto'
import { loadSecret } from '../../secret-file.ts'

const secretBytes = 32
const secretForm = /^[A-Za-z0-9_-]{43,}$/

/**
 * The secret in a file of the home folder, made where there is none.
 * @throws KairoError `ERR_STORAGE`, `ERR_CONFIG` as {@link loadSecret}
 */
export async function loadSwarmSecret(path: string): Promise<string> {
  const made = randomBytes(secretBytes).toString('base64url')
  return await loadSecret({ path, made, form: secretForm, what: 'the secret of swarms' })
}
