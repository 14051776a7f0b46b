/** /api/cdn/rules: which sites this peer is a shared cache in front of; fronts `cdn/host-rules` and `cdn/cdn-cache`. */
import { z } from 'zod'
import type { CdnCache } from '../cdn/cdn-cache.ts'
import type { HostRule } from '../cdn/host-rule.ts'
import type { HostRules } from '../cdn/host-rules.ts'
import type { LoadedSettings } from '../config/load.ts'
import { KairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { doneSchema } from './schemas.ts'
import { hostRulesSchema, hostRuleViewSchema, newHostRuleSchema } from './schemas-cdn.ts'

/** The rooms behind the routes. */
export interface CdnRouteComponents {
  readonly hostRules: Pick<HostRules, 'list' | 'put' | 'remove'>
  readonly cdnCache: Pick<CdnCache, 'index'>
  readonly loaded: { readonly settings: Pick<LoadedSettings['settings'], 'adminHttp'> }
}

const params = z.object({ name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/) })

/** Routes that only the operator may call; no answer holds a secret. */
export function cdnRoutes({ hostRules, cdnCache, loaded }: CdnRouteComponents): Route[] {
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
      handler: ({ params: { name }, body: { force, ...body } }) => {
        const rule: HostRule = { ...body, name }
        if (!force && loaded.settings.adminHttp === 'same' && locksOut(rule)) throw lockedOut()
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

/** Paths by which the operator comes in. */
const OWN_PATHS = ['/admin', '/api/', '/assets/']
/** Hosts by which the commands and the pages on this machine come in, and every host. */
const OWN_HOSTS = /^(\*|(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?)$/

/** True for a rule after which no request of the operator would reach this peer, where pages and API share its port. */
function locksOut({ hosts, pathPrefix }: HostRule): boolean {
  const takesPaths = OWN_PATHS.some((path) => path.startsWith(pathPrefix))
  return takesPaths && hosts.some((host) => OWN_HOSTS.test(host))
}

function lockedOut(): KairoError {
  return new KairoError(
    'ERR_INVALID_INPUT',
    'the rule also takes the requests for the admin page and the API of this peer, which share its port: nothing but a restart with adminHttp would bring them back. Give them a port of their own (the setting adminHttp), narrow the hosts or the path, or put the rule with force: true (kairo cdn add … force=true)',
  )
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
