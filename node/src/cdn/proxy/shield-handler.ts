/** Answers peers that ask for responses of an origin: from the cache, or by one request to the origin. */
import { KairoError } from '../../errors.ts'
import type { IncomingPeerRequest, PeerHttpAnswer, PeerHttpHandler } from '../../host/peer-http.ts'
import type { PreparedResponse } from '../../http/prepared-response.ts'
import type { CacheRequest } from '../message.ts'
import { refuseLoop } from '../origins/loop.ts'
import type { Exchange } from './exchange.ts'
import type { PurgeKnowledge } from './purge-knowledge.ts'
import { ANSWER_FIELD, PURGES_FIELD, RULE_FIELD, URL_FIELD } from './shield-protocol.ts'
import type { Site, SiteTable } from './site.ts'

/** What the handler works with. */
export interface ShieldHandlerComponents {
  readonly sites: SiteTable
  readonly purges: PurgeKnowledge | undefined
  readonly answer: (site: Site, exchange: Exchange) => Promise<PreparedResponse>
}

/** The handler of requests from peers. */
export function createShieldHandler(
  components: ShieldHandlerComponents,
  init: { readonly peerId: string },
): PeerHttpHandler {
  return async (incoming, signal) => {
    const site = components.sites.byDigest(incoming.headers[RULE_FIELD] ?? '')
    const request = requestOf(incoming)
    const isOurs =
      site !== undefined && components.sites.find(request.host, pathOf(request)) === site
    if (!isOurs) throw new KairoError('ERR_NOT_FOUND', 'this peer has no such host rule')
    refuseLoop(request.headers, init.peerId)
    const stamp = incoming.headers[PURGES_FIELD]
    const mustFetch = stamp !== undefined && components.purges?.covers(stamp) === false
    const response = await components.answer(site, {
      request,
      clientAddress: 'unknown',
      trusted: true,
      signal,
      fromPeer: true,
      mustFetch,
    })
    return answerOf(response)
  }
}

/** @throws KairoError `ERR_INVALID_INPUT` for a URL that is none. */
function requestOf(incoming: IncomingPeerRequest): CacheRequest {
  const {
    [RULE_FIELD]: _,
    [URL_FIELD]: text = '',
    [PURGES_FIELD]: __,
    ...headers
  } = incoming.headers
  const match = /^(https?):\/\/([a-z0-9.\-:[\]]{1,255})(\/[\x21-\x7e]{0,8191})$/.exec(text)
  if (match === null) throw new KairoError('ERR_INVALID_INPUT', 'the URL cannot be read')
  const [, scheme, host = '', target = ''] = match
  return { method: 'GET', scheme: scheme as 'http' | 'https', host, target, headers }
}

function answerOf({ status, headers, body, stream }: PreparedResponse): PeerHttpAnswer {
  return {
    status,
    headers: { ...headers, [ANSWER_FIELD]: '1' },
    body: stream ?? body,
  }
}

function pathOf({ target }: CacheRequest): string {
  return target.split('?', 1)[0] as string
}
