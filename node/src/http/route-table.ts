/** Puts declared routes behind Fastify: access, then input, then the handler, then the check of its answer. */
import assert from 'node:assert/strict'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { type Admission, AdmissionRefused, callerOf } from './admission.ts'
import type { CorsPolicy } from './cors.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { checkInput } from './input.ts'
import {
  createProblem,
  type FieldError,
  InvalidInput,
  isUnexpected,
  PROBLEM_MEDIA_TYPE,
  type Problem,
  pathOf,
  problemOf,
} from './problem.ts'
import { accessLevels, type Caller, isTextAnswer, type Route, type RouteRequest } from './route.ts'

/** What the table is built on. */
export interface RouteTableComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: HttpMetrics
  readonly cors: CorsPolicy
  readonly admission: Admission
}

/** What the table holds. */
export interface RouteTableInit {
  readonly routes: readonly Route[]
}

/** Declared routes, ready to be registered with Fastify. */
export class RouteTable {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #metrics: HttpMetrics
  readonly #cors: CorsPolicy
  readonly #routes: readonly Route[]
  readonly #admission: Admission

  constructor(components: RouteTableComponents, init: RouteTableInit) {
    this.#clock = components.clock
    this.#logger = components.logger
    this.#metrics = components.metrics
    this.#cors = components.cors
    this.#routes = init.routes
    this.#admission = components.admission
    for (const route of init.routes) {
      assert(accessLevels.includes(route.access), `${route.path} does not say who may call it`)
      assert(Object.keys(route.response).length > 0, `${route.path} declares no answer`)
    }
  }

  /** Adds every route, and answers to preflight requests for them. */
  register(fastify: FastifyInstance): void {
    const methods = new Map<string, Set<string>>()
    for (const route of this.#routes) {
      fastify.route({
        method: route.method,
        url: route.path,
        handler: (request, reply) => this.#serve(route, request, reply),
      })
      const known = methods.get(route.path) ?? new Set()
      methods.set(route.path, known.add(route.method))
    }
    for (const [path, known] of methods) {
      this.#preflight(fastify, path, [...known])
    }
    this.#preflight(fastify, '*', ['GET', 'HEAD'])
  }

  #preflight(fastify: FastifyInstance, path: string, methods: readonly string[]): void {
    const named = this.#routes.filter((route) => route.path === path)
    const isPublic = named.every((route) => route.access === 'public')
    fastify.options(path, async (request, reply) => {
      this.#setCors(reply, isPublic, request.headers.origin)
      reply.header('access-control-allow-methods', methods.join(', '))
      reply.header(
        'access-control-allow-headers',
        'Authorization, Content-Type, Range, If-None-Match',
      )
      reply.header('access-control-max-age', '600')
      return reply.code(204).send()
    })
  }

  async #serve(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const beganMs = this.#clock.monotonicMs()
    this.#setCors(reply, route.access === 'public', request.headers.origin)
    try {
      const caller = callerOf(request.raw)
      await this.#admission.admit(route, request.raw, caller)
      const answer = await route.handler(this.#input(route, request, reply, caller))
      return this.#answer(route, reply, answer)
    } catch (error) {
      return this.sendError(error, request, reply)
    } finally {
      const labels = { method: route.method, route: route.path, status: String(reply.statusCode) }
      this.#metrics.apiSeconds.observe(labels, (this.#clock.monotonicMs() - beganMs) / 1000)
    }
  }

  #setCors(reply: FastifyReply, isPublic: boolean, origin: string | undefined): void {
    const fields = isPublic
      ? this.#cors.publicFields(origin)
      : this.#cors.credentialedFields(origin)
    for (let index = 0; index < fields.length; index += 2) {
      reply.header(fields[index] as string, fields[index + 1])
    }
  }

  #input(
    route: Route,
    request: FastifyRequest,
    reply: FastifyReply,
    caller: Caller,
  ): RouteRequest<undefined, undefined, undefined> {
    const errors: FieldError[] = []
    const params = checkInput('path', route.params, request.params, errors)
    const query = checkInput('query', route.query, request.query, errors)
    const body = checkInput('body', route.body, request.body, errors)
    if (errors.length > 0) {
      throw new InvalidInput(errors)
    }
    const controller = new AbortController()
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) {
        controller.abort(new KairoError('ERR_STOPPED', 'the client left'))
      }
    })
    const input = { params, query, body, caller, requestId: request.id, signal: controller.signal }
    return input as RouteRequest<undefined, undefined, undefined>
  }

  #answer(
    route: Route,
    reply: FastifyReply,
    answer: { status: number; body: unknown; headers?: Readonly<Record<string, string>> },
  ): FastifyReply {
    const schema = route.response[answer.status]
    const checked = schema?.safeParse(answer.body)
    if (checked?.success !== true) {
      this.#metrics.invalidResponses.inc({ route: route.path })
      const issues = checked?.error?.issues ?? `status ${answer.status} is not declared`
      throw new Error(`the answer of ${route.method} ${route.path} does not fit its declaration`, {
        cause: issues,
      })
    }
    reply.code(answer.status)
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      reply.header(name, value)
    }
    if (answer.status === 204) {
      return reply.send()
    }
    if (isTextAnswer(schema)) {
      return reply.type(route.textType).send(checked.data)
    }
    return reply.type('application/json; charset=utf-8').send(JSON.stringify(checked.data))
  }

  /** Answers with the problem an error becomes; one that nobody planned is logged here, once. */
  sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const instance = pathOf(request.url)
    const problem = frameworkProblem(error, instance) ?? problemOf(error, instance)
    if (problem.status === 500 && isUnexpected(error)) {
      this.#logger.error({ err: error, requestId: request.id, path: instance }, 'a route failed')
    }
    if (error instanceof AdmissionRefused) reply.headers(error.headers)
    reply.header('cache-control', 'no-store')
    return reply.code(problem.status).type(PROBLEM_MEDIA_TYPE).send(JSON.stringify(problem))
  }
}

/** Fastify's own refusals (malformed JSON, too large a body, wrong media type) as problems. */
function frameworkProblem(error: unknown, instance: string): Problem | undefined {
  const { statusCode, code, message } = error as Partial<Record<string, unknown>>
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) {
    return undefined
  }
  const isLimit = code === 'FST_ERR_CTP_BODY_TOO_LARGE'
  return createProblem(statusCode, isLimit ? 'ERR_LIMIT' : 'ERR_INVALID_INPUT', {
    detail: String(message),
    instance,
  })
}
