/**
 * Declared routes whose bodies are streams: uploads without a bound in memory, downloads of any length. They stand beside the
 * routes of route.ts with the same access rules, problem documents and place in the OpenAPI document.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { z } from 'zod'
import type { Access, Caller } from './route.ts'

/** Methods that a streaming route may have; `OPTIONS` is answered for it. */
export type StreamMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

type Output<T extends z.ZodType | undefined> = T extends z.ZodType ? z.output<T> : undefined

/** What a streaming handler gets. */
export interface StreamRequest<
  P extends z.ZodObject | undefined,
  Q extends z.ZodObject | undefined,
> {
  readonly method: StreamMethod
  /** Path and query as sent. */
  readonly url: string
  readonly params: Output<P>
  readonly query: Output<Q>
  readonly headers: IncomingHttpHeaders
  /** The request's body. Whoever stops reading it leaves it as it is: destroying it would cut the answer off. */
  readonly body: Readable
  readonly caller: Caller
  /** Id of the request, as in the log and in `X-Request-Id`. */
  readonly requestId: string
  /** Fires when the client is gone, or is cut off for being too slow. */
  readonly signal: AbortSignal
}

/** What a streaming handler answers. */
export interface StreamAnswer {
  readonly status: number
  /** Lower-case names; `Date`, `Connection` and CORS fields are added. */
  readonly headers: Readonly<Record<string, string>>
  /** A stream needs `content-length` among the headers, or is sent in chunks. It is closed when the client leaves. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
}

/** A streaming route as its room writes it. */
export interface StreamRouteDeclaration<
  P extends z.ZodObject | undefined,
  Q extends z.ZodObject | undefined,
> {
  readonly methods: readonly StreamMethod[]
  /** `/api/uploads/:id`; a parameter is one whole segment. */
  readonly path: string
  /** One sentence for the OpenAPI document. */
  readonly summary: string
  readonly access: Access
  /** Who may call from this very machine, where that is more; see `RouteDeclaration.localAccess`. Default: `access`. */
  readonly localAccess?: Access
  readonly params?: P
  readonly query?: Q
  /** Media type of the request's body, where there is one. */
  readonly requestType?: string
  /** Statuses of answers that are no problem documents. */
  readonly statuses: readonly number[]
  /** Media type of those answers' bodies; absent when they have none. */
  readonly responseType?: string
  /** Requests of this route at once; more get 429. */
  readonly requestsMax: number
  /** The same of one address. */
  readonly requestsPerAddressMax: number
  /** Header fields that pages of other origins may send beside the usual ones. */
  readonly requestHeaders?: readonly string[]
  /** Further fields of the answer to `OPTIONS`. */
  readonly optionsHeaders?: () => Readonly<Record<string, string>>
  /** Further fields of every answer, problems too. */
  readonly everyHeaders?: Readonly<Record<string, string>>
  /** Throws a KairoError to answer with a problem document. */
  readonly handler: (request: StreamRequest<P, Q>) => Promise<StreamAnswer>
}

/** A declared streaming route, its types closed over. */
export interface StreamRoute
  extends Omit<StreamRouteDeclaration<undefined, undefined>, 'params' | 'query' | 'localAccess'> {
  readonly localAccess: Access
  readonly params: z.ZodObject | undefined
  readonly query: z.ZodObject | undefined
}

/** Declares a streaming route. */
export function defineStreamRoute<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
>(declaration: StreamRouteDeclaration<P, Q>): StreamRoute {
  return {
    ...declaration,
    localAccess: declaration.localAccess ?? declaration.access,
    params: declaration.params,
    query: declaration.query,
    handler: async (request) =>
      await declaration.handler(request as unknown as StreamRequest<P, Q>),
  }
}
