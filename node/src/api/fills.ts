/** /api/cdn/fills: URLs that are cached before anybody asks for them; fronts `content/fill/fill-service`. */
import type { Fill, FillService } from '../content/fill/fill-service.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { doneSchema } from './schemas.ts'
import { fillListSchema, fillsQuerySchema, fillsSchema, newFillsSchema } from './schemas-fills.ts'

/** The room behind the routes. */
export interface FillRouteComponents {
  readonly fills: Pick<FillService, 'order' | 'list' | 'clear'>
}

/** Routes that only the operator may call. */
export function fillRoutes({ fills }: FillRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/cdn/fills',
      summary: 'Reads URLs into the cache of this peer, at once or at a quiet time of the day.',
      access: 'operator',
      body: newFillsSchema,
      response: { 200: fillsSchema },
      handler: ({ body: { urls, between } }) => {
        fills.order(urls, between)
        const ordered = new Set(urls)
        return { status: 200, body: { fills: fills.list().filter(({ url }) => ordered.has(url)) } }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/cdn/fills',
      summary: 'Lists what was ordered to be read into the cache, and what became of it.',
      access: 'operator',
      query: fillsQuerySchema,
      response: { 200: fillListSchema },
      handler: ({ query: { state, order, limit, skip } }) => {
        const all = fills.list()
        const meant = state === undefined ? all : all.filter((fill) => fill.state === state)
        if (order === 'newest') meant.reverse()
        return {
          status: 200,
          body: { fills: meant.slice(skip, skip + limit), ...countStates(all) },
        }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/cdn/fills',
      summary: 'Takes everything off the list that is not being read now.',
      access: 'operator',
      response: { 200: doneSchema },
      handler: () => {
        fills.clear()
        return { status: 200, body: { done: true as const } }
      },
    }),
  ]
}

function countStates(fills: readonly Fill[]): Record<Fill['state'], number> {
  const counts = { waiting: 0, done: 0, failed: 0 }
  for (const { state } of fills) counts[state] += 1
  return counts
}
