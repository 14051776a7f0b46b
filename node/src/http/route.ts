/**
 * Declared routes. Each says what it takes, what it answers and who may call it; the server checks all three, and the
 * OpenAPI document is written from the same declarations.
 */
import { z } from 'zod'

/**
 * Who may call a route: anyone; whoever may watch; whoever holds a stream key; whoever holds the operator token.
 * Everything but `public` needs an {@link Authenticator}.
 */
export type Access = 'public' | 'viewer' | 'publisher' | 'operator'

/** The levels of {@link Access}, the least first. */
export const accessLevels: readonly Access[] = ['public', 'viewer', 'publisher', 'operator']

/** Methods a route may have. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What an authenticator may judge by. */
export interface Caller {
  /** The token of `Authorization: Bearer`, if there is one. */
  readonly bearer: string | undefined
  /** Address of the other end of the connection. */
  readonly address: string
}

/** Says whether a caller has one level of access. */
export type Authenticator = (caller: Caller) => boolean | Promise<boolean>

/** Answer bodies by status. */
export type ResponseSchemas = Readonly<Record<number, z.ZodType>>

/** One of the answers a route declares. */
export type Answer<R extends ResponseSchemas> = {
  [S in keyof R & number]: {
    readonly status: S
    readonly body: z.input<R[S]>
    /** More header fields, lower case. */
    readonly headers?: Readonly<Record<string, string>>
  }
}[keyof R & number]

type Output<T extends z.ZodType | undefined> = T extends z.ZodType ? z.output<T> : undefined

/** What a handler gets: validated input, and who asks. */
export interface RouteRequest<
  P extends z.ZodObject | undefined,
  Q extends z.ZodObject | undefined,
  B extends z.ZodType | undefined,
> {
  readonly params: Output<P>
  readonly query: Output<Q>
  readonly body: Output<B>
  readonly caller: Caller
  /** Id of the request, as in the log and in `X-Request-Id`. */
  readonly requestId: string
  /** Fires when the client is gone. */
  readonly signal: AbortSignal
}

/** A route as its room writes it. */
export interface RouteDeclaration<
  P extends z.ZodObject | undefined,
  Q extends z.ZodObject | undefined,
  B extends z.ZodType | undefined,
  R extends ResponseSchemas,
> {
  readonly method: Method
  /** `/api/streams/:name`; a parameter is one whole segment. */
  readonly path: string
  /** One sentence for the OpenAPI document. */
  readonly summary: string
  readonly access: Access
  /**
   * Who may call from this very machine, where that is more: a direct connection from loopback that asks for a
   * loopback name, so neither a reverse proxy nor a web page with a rebound name passes. Default: `access`.
   */
  readonly localAccess?: Access
  /** Path parameters; they arrive as text, so numbers are `z.coerce.number()`. */
  readonly params?: P
  /** Query parameters; as `params`. */
  readonly query?: Q
  /** JSON body. */
  readonly body?: B
  /** Each status the handler may answer with, and its body. A `z.string()` is sent as it is, all else as JSON. */
  readonly response: R
  /** Media type of text answers. Default `text/plain; charset=utf-8`. */
  readonly textType?: string
  /** Throws a KairoError to answer with a problem document. A literal in a body is written `as const`. */
  readonly handler: (
    request: RouteRequest<P, Q, B>,
  ) => Promise<Answer<NoInfer<R>>> | Answer<NoInfer<R>>
}

/** A declared route, its types closed over. */
export interface Route {
  readonly method: Method
  readonly path: string
  readonly summary: string
  readonly access: Access
  readonly localAccess: Access
  readonly params: z.ZodObject | undefined
  readonly query: z.ZodObject | undefined
  readonly body: z.ZodType | undefined
  readonly response: ResponseSchemas
  readonly textType: string
  /** Takes input that the schemas have accepted; answers what they are still to check. */
  readonly handler: (request: RouteRequest<undefined, undefined, undefined>) => Promise<{
    readonly status: number
    readonly body: unknown
    readonly headers?: Readonly<Record<string, string>>
  }>
}

/** Declares a route. */
export function defineRoute<
  R extends ResponseSchemas,
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(declaration: RouteDeclaration<P, Q, B, R>): Route {
  const { handler } = declaration
  return {
    method: declaration.method,
    path: declaration.path,
    summary: declaration.summary,
    access: declaration.access,
    localAccess: declaration.localAccess ?? declaration.access,
    params: declaration.params,
    query: declaration.query,
    body: declaration.body,
    response: declaration.response,
    textType: declaration.textType ?? 'text/plain; charset=utf-8',
    handler: async (request) => await handler(request as unknown as RouteRequest<P, Q, B>),
  }
}

/** True when a declared answer is sent as text and not as JSON. */
export function isTextAnswer(schema: z.ZodType | undefined): boolean {
  return schema instanceof z.ZodString
}
