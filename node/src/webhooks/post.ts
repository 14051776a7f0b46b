/** One webhook request: bounded in time and in what is read of the answer; redirects are answers like any other. */
import { type Agent as HttpAgent, request as httpRequest } from 'node:http'
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { webhookLimits as limits } from '../limits/webhooks.ts'
import type { WebhookMetrics } from './webhook-metrics.ts'

/** What a request goes over. */
export interface PostAgents {
  readonly http: HttpAgent
  readonly https: HttpsAgent
}

/** What a request works with. */
export interface PostComponents {
  readonly clock: Clock
  readonly agents: PostAgents
  readonly metrics: Pick<WebhookMetrics, 'cutAnswers'>
}

/**
 * Sends a body and gives the status of the answer.
 * @throws KairoError `ERR_TIMEOUT`, `ERR_NO_PROVIDER`, or `ERR_STOPPED` when `signal` fires.
 */
export function post(
  { clock, agents, metrics }: PostComponents,
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let answered = false
  const secure = url.startsWith('https:')
  const outgoing = (secure ? httpsRequest : httpRequest)(
    url,
    {
      method: 'POST',
      agent: secure ? agents.https : agents.http,
      signal,
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
        'user-agent': 'Kairo-Webhooks',
      },
    },
    (response) => {
      answered = true
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength
        if (bytes <= limits.answerBytesMax || outgoing.destroyed) return
        // It has answered; what else it says is of no use.
        metrics.cutAnswers.inc()
        outgoing.destroy()
      })
      response.once('close', () => resolve(response.statusCode ?? 0))
    },
  )
  const cancel = clock.after(limits.timeoutMs, () => {
    const words = `no whole answer within ${limits.timeoutMs} ms`
    reject(new KairoError('ERR_TIMEOUT', words))
    outgoing.destroy(new KairoError('ERR_TIMEOUT', words))
  })
  outgoing.once('close', () => {
    cancel()
    // An answer that is none, such as one that changes the protocol: the connection ends without another word.
    if (!answered)
      reject(new KairoError('ERR_NO_PROVIDER', 'the connection ended without an answer'))
  })
  outgoing.on('error', (cause) => {
    if (cause instanceof KairoError) reject(cause)
    else if (signal.aborted) reject(new KairoError('ERR_STOPPED', 'the peer stops', { cause }))
    else reject(new KairoError('ERR_NO_PROVIDER', reasonOf(cause), { cause }))
  })
  outgoing.end(body)
  return promise
}

/** Node's words hold the address, which may hold a key; its codes do not. */
function reasonOf(cause: Error): string {
  return (cause as NodeJS.ErrnoException).code ?? 'the connection failed'
}
