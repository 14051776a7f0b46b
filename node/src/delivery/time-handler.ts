/**
 * The time of this peer, for players that keep a distance to the live edge of a DASH stream (UTCTiming,
 * `urn:mpeg:dash:utc:http-iso:2014`): the wall clock in ISO 8601, to the millisecond.
 */

import { z } from 'zod'
import type { Clock } from '../clock.ts'
import type { PlainRoute } from '../http/plain-route.ts'
import type { PlainHandler } from '../http/prepared-response.ts'

/** Where players read the time. */
export const TIME_PATH = '/api/time'

/** Answers `GET /api/time`. */
export function createTimeHandler(components: { readonly clock: Clock }): PlainHandler {
  return ({ path }) => {
    if (path !== TIME_PATH) return undefined
    return {
      status: 200,
      headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
      body: [Buffer.from(new Date(components.clock.now()).toISOString())],
    }
  }
}

/** What the time handler answers, declared for the OpenAPI document. */
export const timeRoutes: readonly PlainRoute[] = [
  {
    path: TIME_PATH,
    summary: "The peer's wall clock in ISO 8601, for players that measure their latency.",
    access: 'viewer',
    params: z.object({}),
    mediaTypes: ['text/plain'],
    statuses: [],
  },
]
