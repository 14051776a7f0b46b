/** The plain handlers in their order, as the fast lane and the ordinary server both ask them. */
import type { Logger } from '../logger.ts'
import type {
  EarlyHints,
  PlainHandler,
  PlainRequest,
  PreparedResponse,
} from './prepared-response.ts'
import { isUnexpected, problemOf, problemResponse } from './problem.ts'

/** Asks one handler after the other and turns their failures into problem documents. */
export class PlainHandlers {
  readonly #logger: Logger
  readonly #handlers: readonly PlainHandler[]

  constructor(components: { readonly logger: Logger }, handlers: readonly PlainHandler[]) {
    this.#logger = components.logger
    this.#handlers = handlers
  }

  /** The first answer that is not `undefined`; a handler that throws has answered with a problem. */
  ask(
    request: PlainRequest,
    signal: AbortSignal,
    client: string,
    hints?: EarlyHints,
  ): PreparedResponse | Promise<PreparedResponse> | undefined {
    try {
      for (const handler of this.#handlers) {
        const answer = handler(request, signal, client, hints)
        if (answer !== undefined) {
          return answer
        }
      }
      return undefined
    } catch (error) {
      return this.failed(error, request)
    }
  }

  /** The answer for a request whose handler failed; a failure nobody planned is logged here, once. */
  failed(error: unknown, request: PlainRequest): PreparedResponse {
    if (isUnexpected(error)) {
      this.#logger.error({ err: error, path: request.path }, 'a plain handler failed')
    }
    return problemResponse(problemOf(error, request.path))
  }
}
