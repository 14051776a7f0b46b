/** /api/cdn/rules: which sites this peer is a shared cache in front of; fronts `cdn/host-rules` and `cdn/cdn-cache`. */
import { z } from 'zod'
import type { CdnCache } from '../cdn/cdn-cache.ts'
import type { HostRule } from '../cdn/host-rule.ts'
import type { HostRules } from '../cdn/host-rules.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { doneSchema } from './schemas.ts'
import { hostRulesSchema, hostRuleViewSchema, newHostRuleSchema } from './schemas-cdn.ts'

/** The rooms behind the routes. */
export interface CdnRouteComponents {
  readonly hostRules: Pick<HostRules, 'list' | 'put' | 'remove'>
  readonly cdnCache: Pick<CdnCache, 'index'>
}

const params = z.object({ name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/) })

/** Routes that only the operator may call; no answer holds a secret. */
export function cdnRoutes({ hostRules, cdnCache }: CdnRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/cdn/rules',
      summary: 'Lists the host rules of this peer.',
      access: 'operator',
      response: { 200: hostRulesSchema },
      handler: () => ({
        status: 200,
        body: { rules: hostRules.list().map(view), entries: cdnCache.index.size },
      }),
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/cdn/rules/:name',
      summary:
        'Adds a host rule or replaces it; what was cached under other words of it is forgotten. A secret that is left out stays.',
      access: 'operator',
      params,
      body: newHostRuleSchema,
      response: { 200: hostRuleViewSchema },
      handler: ({ params: { name }, body }) => {
        const rule: HostRule = { ...body, name }
        hostRules.put(rule)
        return { status: 200, body: view(rule) }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/cdn/rules/:name',
      summary: 'Removes a host rule and what was cached under it.',
      access: 'operator',
      params,
      response: { 200: doneSchema },
      handler: ({ params: { name } }) => {
        hostRules.remove(name)
        return { status: 200, body: { done: true as const } }
      },
    }),
  ]
}

function view({ origin, ...rule }: HostRule): z.input<typeof hostRuleViewSchema> {
  switch (origin.type) {
    case 'http':
      return {
        ...rule,
        origin: {
          type: 'http',
          url: withoutPassword(origin.url),
          ...(origin.host !== undefined && { host: origin.host }),
        },
      }
    case 'folder':
      return { ...rule, origin }
    case 's3': {
      const { secretAccessKey, ...shown } = origin
      return { ...rule, origin: { ...shown, hasSecret: secretAccessKey !== '' } }
    }
  }
}

function withoutPassword(text: string): string {
  const url = new URL(text)
  if (url.username === '' && url.password === '') return text
  url.username = ''
  url.password = ''
  return url.href
}
