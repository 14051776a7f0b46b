/** Whether a client came by HTTPS, where TLS ends before this peer. */
import type { CacheRequest, Fields } from '../message.ts'
import { fieldOf } from './field.ts'

/**
 * The scheme of the client's own request: a proxy that the operator trusts says it in `X-Forwarded-Proto`, else in `Forwarded` (RFC 7239 5.4). The first
 * in a chain is the client's. It is part of the key, since origins send those who came by the one to the other.
 */
export function schemeOf(headers: Fields, trusted: boolean): CacheRequest['scheme'] {
  if (!trusted) return 'http'
  const said = fieldOf(headers, 'x-forwarded-proto') ?? protoOf(fieldOf(headers, 'forwarded') ?? '')
  return said.split(',', 1)[0]?.trim().toLowerCase() === 'https' ? 'https' : 'http'
}

function protoOf(forwarded: string): string {
  const [first = ''] = forwarded.split(',', 1)
  return /(?:^|;)\s*proto="?([a-z]+)/i.exec(first)?.[1] ?? ''
}
