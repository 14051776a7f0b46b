/** The proxy on Node's own requests: every method and target, bodies in both directions, ranges, other protocols refused. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { KairoError } from '../../errors.ts'
import { answerFields, bodyLength } from '../../http/answer.ts'
import { CorsPolicy } from '../../http/cors.ts'
import { sendEarlyHints } from '../../http/plain-fallback.ts'
import type { PreparedResponse } from '../../http/prepared-response.ts'
import type { RawHandler } from '../../http/raw-handler.ts'
import type { Logger } from '../../logger.ts'
import type { CacheRequest } from '../message.ts'
import { schemeOf } from '../rules/client-scheme.ts'
import type { CacheProxy } from './cache-proxy.ts'
import type { Exchange } from './exchange.ts'
import { bareHost } from './request-parts.ts'
import type { Site, SiteTable } from './site.ts'

/** What the handler works with. */
export interface RawProxyComponents {
  readonly logger: Logger
  readonly sites: SiteTable
  readonly proxy: CacheProxy
  readonly trusts: (address: string) => boolean
}

/** Verbatim answers take no part in it. */
const noCors = new CorsPolicy([])

/** Whether a rule takes the host and path of a request. */
export function isOfSite(sites: SiteTable, message: IncomingMessage): boolean {
  return siteOf(sites, hostOf(message), message.url ?? '') !== undefined
}

/** Answers every request whose host and path a rule takes. */
export function createRawProxy(components: RawProxyComponents): RawHandler {
  const { logger, sites, proxy } = components
  return (message, reply) => {
    const host = hostOf(message)
    const site = siteOf(sites, host, message.url ?? '')
    if (site === undefined) return false
    const client = new AbortController()
    reply.once('close', () => {
      if (!reply.writableFinished) client.abort(new KairoError('ERR_STOPPED', 'the client left'))
    })
    const exchange = exchangeOf(components, { message, reply, host, signal: client.signal })
    answer(proxy, site, exchange, reply).catch((error: unknown) => {
      // The head is out: only a connection that ends early tells the client that something is missing.
      if (!client.signal.aborted) logger.debug({ err: error }, 'an answer broke off')
      client.abort(error)
      reply.destroy()
    })
    return true
  }
}

/** `*` is about the server as a whole (RFC 9110 9.3.7), and whoever has its root speaks for it. */
function siteOf(sites: SiteTable, host: string, target: string): Site | undefined {
  if (target === '*') return sites.find(host, '/')
  return target.startsWith('/') ? sites.find(host, target.split('?', 1)[0] as string) : undefined
}

/**
 * The host that the client means, that of an absolute target before that of the field (RFC 9112 3.2.2); several `Host` lines together are no host,
 * and so are refused (3.2).
 */
function hostOf({ rawHeaders, headers }: IncomingMessage): string {
  const hosts = rawHeaders.filter(
    (_, index) => rawHeaders[index - 1]?.toLowerCase() === 'host' && index % 2 === 1,
  )
  const host = hosts.length > 1 ? hosts.join(',') : (headers.host ?? '')
  return bareHost(host.toLowerCase())
}

function exchangeOf(
  { trusts }: RawProxyComponents,
  from: {
    readonly message: IncomingMessage
    readonly reply: ServerResponse
    readonly host: string
    readonly signal: AbortSignal
  },
): Exchange {
  const { message, reply, host, signal } = from
  const clientAddress = message.socket.remoteAddress ?? ''
  const trusted = trusts(clientAddress)
  const headers = joined(message)
  const request: CacheRequest = {
    method: message.method ?? 'GET',
    scheme: schemeOf(headers, trusted),
    host,
    target: message.url ?? '/',
    headers,
  }
  const hasBody =
    message.headers['transfer-encoding'] !== undefined ||
    Number(message.headers['content-length'] ?? 0) > 0
  return {
    request,
    clientAddress,
    trusted,
    signal,
    ...(hasBody && { body: message }),
    hints: (headers, status) => sendEarlyHints(message, reply, headers, status),
    fromPeer: false,
  }
}

function joined({ headers }: IncomingMessage): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) fields[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return fields
}

async function answer(
  proxy: CacheProxy,
  site: Site,
  exchange: Exchange,
  reply: ServerResponse,
): Promise<void> {
  const response = proxy.peek(site, exchange)?.response ?? (await proxy.answer(site, exchange))
  if (reply.destroyed) return
  reply.sendDate = false
  reply.writeHead(response.status, fieldsOf(response, exchange.request.method))
  if (exchange.request.method === 'HEAD') {
    reply.end()
    return
  }
  if (response.stream !== undefined) {
    reply.flushHeaders()
    await pipeline(response.stream, reply)
    return
  }
  reply.cork()
  for (const piece of response.body) reply.write(piece)
  reply.uncork()
  reply.end()
}

function fieldsOf(response: PreparedResponse, method: string): string[] {
  const fields = answerFields(response, noCors, undefined)
  // A HEAD tells the length that GET would have had, or none.
  const isEmptyHead = method === 'HEAD' && bodyLength(response) === 0
  if (!isEmptyHead || response.headers['content-length'] !== undefined) return fields
  const at = fields.indexOf('content-length')
  return at < 0 ? fields : fields.toSpliced(at, 2)
}
