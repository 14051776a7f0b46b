/** The key of webhook signatures: kept in the home folder, unless the operator sets one. */
import { randomBytes } from 'node:crypto'
import { loadSecret } from '../secret-file.ts'

/** The specification asks for 24 to 64 bytes. */
const SECRET_BYTES = 32
const SECRET_FORM = /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/

/**
 * The secret in a file of the home folder, made where there is none.
 * @throws KairoError `ERR_STORAGE`, `ERR_CONFIG` as {@link loadSecret}
 */
export async function loadWebhookSecret(path: string): Promise<string> {
  const made = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`
  return await loadSecret({ path, made, form: SECRET_FORM, what: 'the webhook secret' })
}
