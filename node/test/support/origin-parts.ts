/** What tests of origins are made of: components on a clock that stands still, requests, and bodies read whole. */
import { Registry } from 'prom-client'
import type { CacheRequest, Fields } from '../../src/cdn/message.ts'
import type { Origin, OriginRequestOptions, OriginResponse } from '../../src/cdn/origin.ts'
import type { OriginComponents } from '../../src/cdn/origins/http-origin.ts'
import { OriginMetrics } from '../../src/cdn/origins/origin-metrics.ts'
import { isKairoError } from '../../src/errors.ts'
import { keepingLogger, type Line } from './http-exchange.ts'
import { ManualClock, settle } from './manual-clock.ts'
import { metricOf } from './registry-value.ts'

/** Components of origins and what tests look at. */
export interface OriginParts {
  readonly components: OriginComponents
  readonly clock: ManualClock
  readonly registry: Registry
  readonly lines: Line[]
}

/** Fresh components; the clock starts at the time of this machine, as files do. */
export function originParts(): OriginParts {
  const clock = new ManualClock(Date.now())
  const registry = new Registry()
  const lines: Line[] = []
  const components = {
    clock,
    logger: keepingLogger(lines),
    metrics: new OriginMetrics(registry),
    peerId: 'peerA',
    random: () => 0,
  }
  return { components, clock, registry, lines }
}

/** A GET of a target, or something else. */
export function requestOf(target: string, init: Partial<CacheRequest> = {}): CacheRequest {
  return { method: 'GET', scheme: 'http', host: 'cdn.example', target, headers: {}, ...init }
}

/** Asks an origin; the signal is one that never fires unless given. */
export function ask(
  origin: Origin,
  target: string,
  init: Partial<CacheRequest> & Partial<OriginRequestOptions> = {},
): Promise<OriginResponse> {
  const { signal = new AbortController().signal, body, onInformational, ...request } = init
  return origin.fetch(requestOf(target, request), {
    signal,
    ...(body === undefined ? {} : { body }),
    ...(onInformational === undefined ? {} : { onInformational }),
  })
}

/** The whole body. */
export async function bodyOf(response: OriginResponse): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of response.body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The whole answer, its body as text. */
export async function wholeOf(
  answer: Promise<OriginResponse>,
): Promise<{ readonly status: number; readonly headers: Fields; readonly text: string }> {
  const response = await answer
  const text = (await bodyOf(response)).toString('latin1')
  return { status: response.status, headers: response.headers, text }
}

/** The code of the KairoError that a promise is rejected with; what it resolved to otherwise. */
export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work
  } catch (error) {
    if (isKairoError(error)) return error.code
    throw error
  }
}

/** Resolves when no request of any origin is under way; a test ends by tap's own time limit when some never is over. */
export async function allOver(registry: Registry): Promise<void> {
  while ((await metricOf(registry, 'kairo_cdn_origin_inflight')) > 0) await settle()
}
