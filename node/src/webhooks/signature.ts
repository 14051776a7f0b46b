/** Signatures of webhooks after the Standard Webhooks specification 1.0 ("Verifying webhook authenticity", symmetric scheme `v1`). */
import { createHmac } from 'node:crypto'

const SECRET_PREFIX = 'whsec_'
/** Bytes of a key below which signatures could be made by guessing; the specification asks for 24. */
const SECRET_BYTES_MIN = 16

/** True for a secret that holds a key; text behind `whsec_` that is no base64 holds next to none. */
export function isUsableSecret(secret: string): boolean {
  return secretBytes(secret).byteLength >= SECRET_BYTES_MIN
}

/** The header fields of a request: who receives it checks the signature over id, time and body, and refuses old times. */
export function signedHeaders(
  secret: string,
  message: { readonly id: string; readonly timestampS: number; readonly body: string },
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const { id, timestampS, body } = message
  const digest = createHmac('sha256', secretBytes(secret))
    .update(`${id}.${timestampS}.${body}`)
    .digest('base64')
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': `v1,${digest}`,
  }
}

/** The key: base64 behind `whsec_`, as the specification writes secrets; any other text is taken as its bytes. */
function secretBytes(secret: string): Buffer {
  if (!secret.startsWith(SECRET_PREFIX)) return Buffer.from(secret, 'utf8')
  return Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64')
}
