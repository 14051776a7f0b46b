/** Puts streaming routes behind Fastify: access, then a place among those under way, then the handler, then its stream. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { addressGroup } from '../address-group.ts'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { streamRouteLimits } from '../limits/upload.ts'
import type { Logger } from '../logger.ts'
import { type Admission, AdmissionRefused, callerOf } from './admission.ts'
import type { CorsPolicy } from './cors.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { checkInput } from './input.ts'
import { watchPace } from './pace.ts'
import { type FieldError, InvalidInput, isUnexpected, pathOf, problemOf } from './problem.ts'
import { problemAnswer } from './problem-answer.ts'
import type { StreamAnswer, StreamMethod, StreamRequest, StreamRoute } from './stream-route.ts'

/** What the table is built on. */
export interface StreamTableComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: HttpMetrics
  readonly cors: CorsPolicy
  readonly admission: Admission
}

/** What the table is told. */
export interface StreamTableInit {
  readonly routes: readonly StreamRoute[]
  /** True once the server stops: answers are then the last of their connections. */
  readonly isStopping: () => boolean
}

/** Marks a Fastify route as one whose body no time limit on whole requests applies to. */
const STREAM_ROUTE_CONFIG = { streams: true } as const

/** Streaming routes, ready to be registered with Fastify. */
export class StreamTable {
  readonly #components: StreamTableComponents
  readonly #init: StreamTableInit
  readonly #underWay = new Map<StreamRoute, Map<string, number>>()

  constructor(components: StreamTableComponents, init: StreamTableInit) {
    this.#components = components
    this.#init = init
  }

  /** Adds every route, in a scope of its own in which Fastify leaves bodies alone. */
  register(fastify: FastifyInstance): void {
    fastify.register((scope, _options, done) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
      for (const route of this.#init.routes) {
        scope.route({
          method: [...route.methods],
          url: route.path,
          exposeHeadRoute: false,
          config: STREAM_ROUTE_CONFIG,
          handler: (request, reply) => this.#serve(route, request, reply),
        })
        scope.options(route.path, (request, reply) => this.#preflight(route, request, reply))
      }
      done()
    })
  }

  #corsFields(route: StreamRoute, origin: string | undefined): readonly string[] {
    const { cors } = this.#components
    return route.access === 'public' ? cors.publicFields(origin) : cors.credentialedFields(origin)
  }

  #preflight(route: StreamRoute, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const fields = this.#corsFields(route, request.headers.origin)
    for (let index = 0; index < fields.length; index += 2) {
      reply.header(fields[index] as string, fields[index + 1])
    }
    const allowed = ['Authorization', 'Content-Type', 'Range', 'If-None-Match', 'If-Range']
    return reply
      .headers({
        'access-control-allow-methods': route.methods.join(', '),
        'access-control-allow-headers': [...allowed, ...(route.requestHeaders ?? [])].join(', '),
        'access-control-max-age': '600',
        ...route.everyHeaders,
        ...route.optionsHeaders?.(),
      })
      .code(204)
      .send()
  }

  async #serve(route: StreamRoute, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    reply.hijack()
    const { clock, metrics, logger } = this.#components
    const beganMs = clock.monotonicMs()
    const controller = new AbortController()
    const gone = (): void => {
      if (!reply.raw.writableFinished) {
        controller.abort(new KairoError('ERR_STOPPED', 'the client left'))
      }
    }
    reply.raw.once('close', gone)
    const transfer = { message: request.raw, reply: reply.raw }
    // The pace is what bounds the transfer; Node's idle time would end one that waits for us.
    request.raw.socket.setTimeout(0)
    const stopWatching = watchPace(clock, transfer, (reason) => {
      metrics.ended.inc({ reason })
      request.raw.socket.destroy()
    })
    let leave: (() => void) | undefined
    try {
      const answer = await this.#answer(route, request, controller.signal, (release) => {
        leave = release
      })
      await this.#send(route, request, reply, answer, controller.signal)
    } catch (error) {
      // The head has left: the connection is cut by now, and only a failure of ours is worth a line.
      if (!isDeparture(error)) {
        logger.error({ err: error, requestId: request.id, path: route.path }, 'a transfer failed')
      }
      reply.raw.destroy()
    } finally {
      stopWatching()
      leave?.()
      metrics.apiSeconds.observe(
        { method: request.method, route: route.path, status: String(reply.raw.statusCode) },
        (clock.monotonicMs() - beganMs) / 1000,
      )
    }
  }

  /** The handler's answer, or the problem that it or the checks before it became. */
  async #answer(
    route: StreamRoute,
    request: FastifyRequest,
    signal: AbortSignal,
    onPlace: (leave: () => void) => void,
  ): Promise<StreamAnswer> {
    try {
      const caller = callerOf(request.raw)
      await this.#components.admission.admit(route, request.raw, caller)
      const input = requestInput(route, request, caller, signal)
      onPlace(this.#enter(route, addressGroup(caller.address)))
      return await route.handler(input)
    } catch (error) {
      return this.#problem(error, request)
    }
  }

  #problem(error: unknown, request: FastifyRequest): StreamAnswer {
    const instance = pathOf(request.url)
    const problem = problemOf(error, instance)
    if (isUnexpected(error)) {
      this.#components.logger.error(
        { err: error, requestId: request.id, path: instance },
        'a route failed',
      )
    }
    return problemAnswer(problem, {
      ...(error instanceof TooManyStreams
        ? { 'retry-after': String(streamRouteLimits.retryAfterS) }
        : {}),
      ...(error instanceof AdmissionRefused ? error.headers : {}),
    })
  }

  /** Takes a place among the requests under way; the returned function gives it back. */
  #enter(route: StreamRoute, address: string): () => void {
    const { metrics } = this.#components
    const addresses = this.#underWay.get(route) ?? new Map<string, number>()
    this.#underWay.set(route, addresses)
    let all = 0
    for (const count of addresses.values()) all += count
    const own = addresses.get(address) ?? 0
    if (all >= route.requestsMax || own >= route.requestsPerAddressMax) {
      const reason = own >= route.requestsPerAddressMax ? 'address' : 'all'
      metrics.streamsRefused.inc({ route: route.path, reason })
      throw new TooManyStreams()
    }
    addresses.set(address, own + 1)
    metrics.streams.inc({ route: route.path })
    return () => {
      const left = (addresses.get(address) ?? 1) - 1
      if (left === 0) addresses.delete(address)
      else addresses.set(address, left)
      metrics.streams.dec({ route: route.path })
    }
  }

  async #send(
    route: StreamRoute,
    request: FastifyRequest,
    reply: FastifyReply,
    answer: StreamAnswer,
    signal: AbortSignal,
  ): Promise<void> {
    const { raw } = reply
    const hasRest = !request.raw.complete
    if (hasRest || this.#init.isStopping()) raw.shouldKeepAlive = false
    const own = Object.entries({
      ...(reply.getHeaders() as Record<string, string>),
      ...route.everyHeaders,
      ...answer.headers,
    }).flat()
    raw.writeHead(answer.status, [...own, ...this.#corsFields(route, request.headers.origin)])
    if (hasRest) this.#linger(request, reply)
    const { body } = answer
    if (body === undefined || body instanceof Uint8Array || request.method === 'HEAD') {
      raw.end(request.method === 'HEAD' ? undefined : body)
      return
    }
    await pipeline(Readable.from(body, { objectMode: true, highWaterMark: 1 }), raw, { signal })
  }

  /** The answer came before the body's end: what still comes is thrown away for a moment, so that the client reads it. */
  #linger(request: FastifyRequest, reply: FastifyReply): void {
    const { socket } = request.raw
    reply.raw.once('finish', () => {
      request.raw.resume()
      const cancel = this.#components.clock.after(streamRouteLimits.lingerMs, () =>
        socket.destroy(),
      )
      socket.once('close', cancel)
    })
  }
}

class TooManyStreams extends KairoError {
  constructor() {
    super('ERR_LIMIT', 'too many transfers are under way; try again in a moment')
  }
}

/** True for the errors that a stream ends with when its client goes. */
function isDeparture(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: string }
  return (
    name === 'AbortError' ||
    ['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE', 'ERR_STOPPED'].includes(code ?? '')
  )
}

function requestInput(
  route: StreamRoute,
  request: FastifyRequest,
  caller: StreamRequest<undefined, undefined>['caller'],
  signal: AbortSignal,
): StreamRequest<undefined, undefined> {
  const errors: FieldError[] = []
  const params = checkInput('path', route.params, request.params, errors)
  const query = checkInput('query', route.query, request.query, errors)
  if (errors.length > 0) throw new InvalidInput(errors)
  const input = {
    method: request.method as StreamMethod,
    url: request.url,
    params,
    query,
    headers: request.headers,
    body: request.raw,
    caller,
    requestId: request.id,
    signal,
  }
  return input as unknown as StreamRequest<undefined, undefined>
}
