/** `GET /openapi.json`: the API described from the declarations that the server enforces (OpenAPI 3.1). */
import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import type { PlainRoute } from '../http/plain-route.ts'
import { PROBLEM_MEDIA_TYPE } from '../http/problem.ts'
import { defineRoute, isTextAnswer, type Route } from '../http/route.ts'
import type { StreamRoute } from '../http/stream-route.ts'

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  code: z.string(),
  instance: z.string().optional(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
})

/** The route; it describes `routes`, what plain handlers and streaming routes answer, and itself. */
export function openapiRoute(
  routes: readonly Route[],
  plainRoutes: readonly PlainRoute[],
  info: { readonly version: string },
  streamRoutes: readonly StreamRoute[] = [],
): Route {
  const route: Route = defineRoute({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document.',
    access: 'public',
    response: { 200: z.record(z.string(), z.unknown()) },
    handler: () => ({ status: 200, body: document() }),
  })
  let written: Record<string, unknown> | undefined
  const document = () => {
    written ??= openapiDocument([...routes, route], plainRoutes, info, streamRoutes)
    return written
  }
  return route
}

function openapiDocument(
  routes: readonly Route[],
  plainRoutes: readonly PlainRoute[],
  info: { readonly version: string },
  streamRoutes: readonly StreamRoute[],
): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:([A-Za-z0-9_]+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  for (const route of plainRoutes) {
    paths[route.path.replace(/:([A-Za-z0-9_]+)/g, '{$1}')] = { get: plainOperation(route) }
  }
  for (const route of streamRoutes) {
    const path = route.path.replace(/:([A-Za-z0-9_]+)/g, '{$1}')
    const operations = route.methods.map((method) => [
      method.toLowerCase(),
      streamOperation(route, method),
    ])
    paths[path] = { ...paths[path], ...Object.fromEntries(operations) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Kairo', version: info.version },
    paths,
    components: {
      schemas: { Problem: schemaOf(problemSchema, 'output') },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  }
}

function plainOperation(route: PlainRoute): Record<string, unknown> {
  const binary = { schema: { type: 'string', format: 'binary' } }
  const problem = { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } }
  const responses: Record<string, unknown> = {
    200: {
      description: 'OK',
      content: Object.fromEntries(route.mediaTypes.map((type) => [type, binary])),
    },
  }
  for (const status of route.statuses) {
    responses[status] = {
      description: STATUS_CODES[status] ?? 'Answer',
      ...(status >= 400 ? { content: problem } : {}),
    }
  }
  return {
    summary: route.summary,
    'x-kairo-access': route.access,
    parameters: [...parameters('path', route.params), ...parameters('query', route.query)],
    responses,
  }
}

function streamOperation(route: StreamRoute, method: string): Record<string, unknown> {
  const binary = { schema: { type: 'string', format: 'binary' } }
  const responses: Record<string, unknown> = { default: problemResponseObject }
  for (const status of route.statuses) {
    const { responseType } = route
    responses[status] = {
      description: STATUS_CODES[status] ?? 'Answer',
      ...(responseType === undefined || status === 204 || status === 304
        ? {}
        : { content: { [responseType]: binary } }),
    }
  }
  const hasBody = route.requestType !== undefined && ['POST', 'PUT', 'PATCH'].includes(method)
  return {
    summary: route.summary,
    'x-kairo-access': route.access,
    ...(route.access === 'public' ? {} : { security: [{ bearer: [] }] }),
    parameters: [...parameters('path', route.params), ...parameters('query', route.query)],
    ...(hasBody ? { requestBody: { content: { [String(route.requestType)]: binary } } } : {}),
    responses,
  }
}

const problemResponseObject = {
  description: 'A problem document (RFC 9457).',
  content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
}

function operation(route: Route): Record<string, unknown> {
  const responses: Record<string, unknown> = { default: problemResponseObject }
  for (const [status, schema] of Object.entries(route.response)) {
    const mediaType = isTextAnswer(schema) ? route.textType : 'application/json'
    responses[status] = {
      description: STATUS_CODES[status] ?? 'Answer',
      ...(status === '204'
        ? {}
        : { content: { [mediaType]: { schema: schemaOf(schema, 'output') } } }),
    }
  }
  return {
    summary: route.summary,
    'x-kairo-access': route.access,
    ...(route.access === 'public' ? {} : { security: [{ bearer: [] }] }),
    parameters: [...parameters('path', route.params), ...parameters('query', route.query)],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: schemaOf(route.body, 'input') } },
          },
        }),
    responses,
  }
}

function parameters(place: 'path' | 'query', schema: z.ZodObject | undefined): unknown[] {
  if (schema === undefined) {
    return []
  }
  return Object.entries(schema.shape).map(([name, field]) => ({
    name,
    in: place,
    required: place === 'path' || !(field as z.ZodType).safeParse(undefined).success,
    schema: schemaOf(field as z.ZodType, 'input'),
  }))
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return json
}
