/** /api/restream and /api/keys/:name/restream: where streams are also sent; fronts `restream/service` and `ingest/stream-options`. */
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { StreamKeys } from '../ingest/stream-keys.ts'
import {
  type RestreamTarget,
  type StreamOptionsStore,
  streamOptionsSchema,
} from '../ingest/stream-options.ts'
import type { RestreamService } from '../restream/service.ts'
import { doneSchema } from './schemas.ts'
import { newTargetSchema, restreamingSchema, targetPatchSchema } from './schemas-restream.ts'

/** The rooms behind the routes. */
export interface RestreamRouteComponents {
  readonly keys: Pick<StreamKeys, 'get'>
  readonly streamOptions: Pick<StreamOptionsStore, 'get' | 'set'>
  readonly restreaming: RestreamService
}

const nameParams = z.object({ name: z.string().min(1).max(64) })
const targetParams = nameParams.extend({ target: z.string().min(1).max(32) })

/** Routes that only the operator may call; no answer holds a target's key. */
export function restreamRoutes(components: RestreamRouteComponents): Route[] {
  const { restreaming } = components
  const targets = new Targets(components)
  return [
    defineRoute({
      method: 'GET',
      path: '/api/restream',
      summary: 'Tells where every restream target of every stream stands.',
      access: 'operator',
      response: { 200: restreamingSchema },
      handler: () => ({ status: 200, body: view(restreaming) }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/keys/:name/restream',
      summary: 'Adds a target to a stream; a live one is sent there from its next keyframe on.',
      access: 'operator',
      params: nameParams,
      body: newTargetSchema,
      response: { 201: doneSchema },
      handler: ({ params, body }) => {
        targets.add(params.name, body)
        return { status: 201, body: { done: true as const } }
      },
    }),
    defineRoute({
      method: 'PATCH',
      path: '/api/keys/:name/restream/:target',
      summary: 'Switches a target on or off, or gives it another address.',
      access: 'operator',
      params: targetParams,
      body: targetPatchSchema,
      response: { 200: doneSchema },
      handler: ({ params, body: { url, enabled } }) => {
        const patch = {
          ...(url !== undefined && { url }),
          ...(enabled !== undefined && { enabled }),
        }
        targets.change(params.name, params.target, patch)
        return { status: 200, body: { done: true as const } }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/keys/:name/restream/:target',
      summary: 'Takes a target off a stream.',
      access: 'operator',
      params: targetParams,
      response: { 200: doneSchema },
      handler: ({ params }) => {
        targets.remove(params.name, params.target)
        return { status: 200, body: { done: true as const } }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/keys/:name/restream/:target/retry',
      summary: 'Tries a target of a live stream again, without waiting any longer.',
      access: 'operator',
      params: targetParams,
      response: { 200: doneSchema },
      handler: ({ params }) => {
        restreaming.retry(params.name, params.target)
        return { status: 200, body: { done: true as const } }
      },
    }),
  ]
}

/** The lists of targets in the streams' options. */
class Targets {
  readonly #components: RestreamRouteComponents

  constructor(components: RestreamRouteComponents) {
    this.#components = components
  }

  add(stream: string, target: RestreamTarget): void {
    const targets = this.#of(stream)
    if (targets.some(({ name }) => name === target.name)) {
      throw new KairoError('ERR_NAME_TAKEN', `${stream} has a target ${target.name} already`)
    }
    this.#components.restreaming.check(stream, target.url)
    this.#set(stream, [...targets, target])
  }

  change(stream: string, name: string, patch: Partial<RestreamTarget>): void {
    const targets = this.#having(stream, name)
    if (patch.url !== undefined) this.#components.restreaming.check(stream, patch.url)
    const changed = targets.map((each) => (each.name === name ? { ...each, ...patch } : each))
    this.#set(stream, changed)
  }

  remove(stream: string, name: string): void {
    const targets = this.#having(stream, name)
    this.#set(
      stream,
      targets.filter((each) => each.name !== name),
    )
  }

  #of(stream: string): readonly RestreamTarget[] {
    const { keys, streamOptions } = this.#components
    if (keys.get(stream) === undefined) {
      throw new KairoError('ERR_NOT_FOUND', `no stream named ${stream} here`)
    }
    return streamOptions.get(stream).restream ?? []
  }

  #having(stream: string, name: string): readonly RestreamTarget[] {
    const targets = this.#of(stream)
    if (targets.some((each) => each.name === name)) return targets
    throw new KairoError('ERR_NOT_FOUND', `${stream} has no target ${name}`)
  }

  #set(stream: string, restream: readonly RestreamTarget[]): void {
    const { streamOptions } = this.#components
    const parsed = streamOptionsSchema.safeParse({ ...streamOptions.get(stream), restream })
    if (!parsed.success) {
      const words = parsed.error.issues.map(({ message }) => message).join('; ')
      throw new KairoError('ERR_INVALID_INPUT', words)
    }
    streamOptions.set(stream, parsed.data)
  }
}

function view(restreaming: RestreamService): z.input<typeof restreamingSchema> {
  const streams = restreaming.status().map(({ targets, ...stream }) => ({
    ...stream,
    targets: targets.map(({ sinceMs, error, ...target }) => ({
      ...target,
      error: error ?? null,
      since: sinceMs === undefined ? null : new Date(sinceMs).toISOString(),
    })),
  }))
  return { streams }
}
