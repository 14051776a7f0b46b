/** The operator's view of the whole peer: status, checks and settings; fronts the rooms it tells of. */
import type { z } from 'zod'
import type { LoadedSettings } from '../config/load.ts'
import { settingKeys, shownSetting } from '../config/schema.ts'
import type { Check } from '../doctor/check.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { configSchema, doctorSchema, statusSchema } from './schemas.ts'

/** The peer as the routes ask it. */
export interface OperatorRouteComponents {
  readonly loaded: LoadedSettings
  readonly status: () => z.input<typeof statusSchema>
  readonly doctor: () => Promise<readonly Check[]>
}

/** Routes that only the operator may call. */
export function operatorRoutes(components: OperatorRouteComponents): Route[] {
  const { settings, origins } = components.loaded
  return [
    defineRoute({
      method: 'GET',
      path: '/api/status',
      summary: 'Tells addresses, neighbours, publishers, streams and cache of this peer.',
      access: 'operator',
      response: { 200: statusSchema },
      handler: () => ({ status: 200, body: components.status() }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/doctor',
      summary: 'Checks this peer and its machine, and says what to do.',
      access: 'operator',
      response: { 200: doctorSchema },
      handler: async () => ({ status: 200, body: { checks: [...(await components.doctor())] } }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/config',
      summary: 'Lists the effective settings and where each came from.',
      access: 'operator',
      response: { 200: configSchema },
      handler: () => ({
        status: 200,
        body: {
          settings: settingKeys.map((name) => ({
            name,
            value: shownSetting(settings, name),
            origin: origins[name],
          })),
        },
      }),
    }),
  ]
}
