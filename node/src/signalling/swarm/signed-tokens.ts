/**
 * What this edge signs for pages, and knows again: sessions and tickets. Both are `v1.<base64url of JSON>.<HMAC-SHA-256 of what is before, base64url>`, under
 * keys of their own that are derived from one secret; a comparison says nothing by its time.
 *
 * A ticket holds `{swarm, exp}`: the name of the swarm that it is for, and until when, in seconds since the Unix epoch. Whoever runs the page makes it with the secret.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { parseJson } from '../../json.ts'

const sessionSchema = z.object({ id: z.string(), tag: z.string() })
const ticketSchema = z.object({ swarm: z.string(), exp: z.number() })

/** Signs and reads them. */
export class SignedTokens {
  readonly #sessionKey: Buffer
  readonly #ticketKey: string

  /** @param secret of the home folder */
  constructor(secret: string) {
    this.#sessionKey = mac(secret, 'session')
    this.#ticketKey = secret
  }

  /** The session of a page in a swarm, to show after a break; equally short whatever the swarm's name is. */
  session(id: string, swarm: string): string {
    return signed({ id, tag: this.#tagOf(swarm) }, this.#sessionKey)
  }

  /** Whose session of a swarm it is; undefined for what this edge never signed. */
  readSession(text: string, swarm: string): string | undefined {
    const { data } = sessionSchema.safeParse(payloadOf(text, this.#sessionKey))
    return data?.tag === this.#tagOf(swarm) ? data.id : undefined
  }

  /** Whether a ticket lets into a swarm. */
  admits(ticket: string | undefined, swarm: string, nowMs: number): boolean {
    if (ticket === undefined) return false
    const { data } = ticketSchema.safeParse(payloadOf(ticket, this.#ticketKey))
    return data !== undefined && data.swarm === swarm && nowMs < data.exp * 1_000
  }

  #tagOf(swarm: string): string {
    return mac(this.#sessionKey, `swarm ${swarm}`).toString('base64url', 0, 12)
  }
}

function signed(payload: object, key: Buffer): string {
  const text = `v1.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`
  return `${text}.${mac(key, text).toString('base64url')}`
}

function payloadOf(token: string, key: Buffer | string): unknown {
  const end = token.lastIndexOf('.')
  const text = token.slice(0, Math.max(0, end))
  const shown = Buffer.from(token.slice(end + 1), 'base64url')
  const right = mac(key, text)
  const isRight = shown.byteLength === right.byteLength && timingSafeEqual(shown, right)
  if (!isRight || !text.startsWith('v1.')) return undefined
  return parseJson(Buffer.from(text.slice('v1.'.length), 'base64url').toString())
}

function mac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
