/** Who may call a route: by credentials, or by being a program or page of this very machine. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { FailureLimiter } from '../failure-limiter.ts'
import { httpLimits } from '../limits.ts'
import { clientAddressOf } from './client-message.ts'
import type { HttpMetrics } from './http-metrics.ts'
import type { Access, Authenticator, Caller } from './route.ts'

/** How callers prove each level of access; a level without one lets nobody in. */
export type Authenticators = Readonly<Partial<Record<Exclude<Access, 'public'>, Authenticator>>>

/** What admission is built on. */
export interface AdmissionComponents {
  readonly clock: Clock
  readonly metrics: HttpMetrics
}

/** A caller that is turned away, with the header fields that say what would help. */
export class AdmissionRefused extends KairoError {
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: 'ERR_LIMIT' | 'ERR_UNAUTHORIZED',
    message: string,
    headers: AdmissionRefused['headers'],
  ) {
    super(code, message)
    this.headers = headers
  }
}

/** Judges callers for every kind of route, so that guesses at one count at all of them. */
export class Admission {
  readonly #metrics: HttpMetrics
  readonly #authenticators: Authenticators
  readonly #failures: FailureLimiter

  constructor(components: AdmissionComponents, authenticators: Authenticators) {
    this.#metrics = components.metrics
    this.#authenticators = authenticators
    this.#failures = new FailureLimiter(components, {
      failuresMax: httpLimits.authFailuresMax,
      windowMs: httpLimits.authFailureWindowMs,
      addressesMax: httpLimits.authFailureAddressesMax,
    })
  }

  /**
   * Whether a request shows the operator's credentials, for the shelter of a peer that is overloaded. A wrong guess counts nowhere here:
   * credentials on other sites' requests are no guesses, and all that is learned is a token's worth of randomness.
   */
  isOperators(message: IncomingMessage): boolean {
    const caller = callerOf(message)
    if (caller.bearer === undefined || this.#failures.waitMs(caller.address) > 0) return false
    return this.#authenticators.operator?.(caller) === true
  }

  /** @throws AdmissionRefused unless the caller may call the route. */
  async admit(
    rule: { readonly access: Access; readonly localAccess: Access },
    message: Pick<IncomingMessage, 'headers' | 'httpVersion'>,
    caller: Caller,
  ): Promise<void> {
    const access = isLocal(message, caller) ? rule.localAccess : rule.access
    if (access === 'public') {
      return
    }
    const waitMs = this.#failures.waitMs(caller.address)
    if (waitMs > 0) {
      this.#metrics.denied.inc({ access, reason: 'too-many-failures' })
      throw new AdmissionRefused(
        'ERR_LIMIT',
        'too many wrong credentials from this address; try later',
        { 'retry-after': String(Math.ceil(waitMs / 1000)) },
      )
    }
    const authenticator = this.#authenticators[access]
    if (authenticator !== undefined && (await authenticator(caller))) {
      return
    }
    this.#metrics.denied.inc({ access, reason: caller.bearer === undefined ? 'missing' : 'wrong' })
    if (caller.bearer !== undefined) {
      this.#failures.fail(caller.address)
    }
    throw new AdmissionRefused('ERR_UNAUTHORIZED', `this needs ${access} credentials`, {
      'www-authenticate': 'Bearer',
    })
  }
}

/** What a request says of who sends it. */
export function callerOf(message: IncomingMessage): Caller {
  const match = /^Bearer ([\x21-\x7e]+)$/i.exec(message.headers.authorization ?? '')
  return { bearer: match?.[1], address: clientAddressOf(message) }
}

const loopbackAddress = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/
const loopbackHost = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i

/**
 * True for a program on this machine that came here directly and by a loopback name, and for a page that this peer served
 * itself. A page of another site, or of another server on this machine, is neither: browsers name the origin of whatever
 * can change something, and the relation of the page to us (Fetch Metadata) with the rest.
 */
function isLocal(
  { headers, httpVersion }: Pick<IncomingMessage, 'headers' | 'httpVersion'>,
  caller: Caller,
): boolean {
  const isForwarded =
    // What nginx sends unless it is told otherwise: no field says that it is there, and the name asked for is this machine's.
    httpVersion === '1.0' ||
    headers.forwarded !== undefined ||
    headers.via !== undefined ||
    Object.keys(headers).some((name) => name.startsWith('x-forwarded-') || name === 'x-real-ip')
  return (
    !isForwarded &&
    loopbackAddress.test(caller.address) &&
    loopbackHost.test(headers.host ?? '') &&
    isOwnPage(headers)
  )
}

function isOwnPage({ origin, host = '', ...headers }: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return false
  }
  return origin === undefined || origin.toLowerCase() === `http://${host.toLowerCase()}`
}
