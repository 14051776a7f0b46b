/** Requests and responses for tests of the cache: short to write, complete to read. */
import type { CacheRequest, Fields, ResponseHead, StoredHead } from '../../src/cdn/message.ts'
import type { RulePolicy } from '../../src/cdn/rules/rule-policy.ts'
import { storedHead } from '../../src/cdn/rules/storable.ts'

/** Sunday, 22 November 2026, 10:00:00 GMT. */
export const START_MS = Date.UTC(2026, 10, 22, 10, 0, 0)

/** A host rule that gives no times of its own. */
export const plainPolicy: RulePolicy = {
  defaultTtlS: 0,
  negativeTtlS: 0,
  staleWhileRevalidateS: 0,
  staleIfErrorS: 0,
}

/** An HTTP date some seconds after {@link START_MS}. */
export function dateAt(seconds: number): string {
  return new Date(START_MS + seconds * 1_000).toUTCString()
}

/** A GET of `https://site.example/page`. */
export function get(headers: Fields = {}, changes: Partial<CacheRequest> = {}): CacheRequest {
  const request = { method: 'GET', scheme: 'https', host: 'site.example', target: '/page' } as const
  return { ...request, headers, ...changes }
}

/** A 200 of {@link START_MS}, or with another status. */
export function reply(headers: Fields = {}, status = 200): ResponseHead {
  return { status, headers: { date: dateAt(0), ...headers } }
}

/** What is stored of `reply(headers, status)`, asked for and received at {@link START_MS}. */
export function stored(
  headers: Fields = {},
  changes: Partial<StoredHead> & { readonly request?: CacheRequest } = {},
): StoredHead {
  const { request = get(), ...rest } = changes
  const times = { requestTimeMs: START_MS, responseTimeMs: START_MS }
  return { ...storedHead(request, reply(headers, rest.status), times), ...rest }
}

/** Milliseconds some seconds after {@link START_MS}. */
export function after(seconds: number): number {
  return START_MS + seconds * 1_000
}
