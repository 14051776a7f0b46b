/** /api/nearest and /nearest/: which peers a client is sent to, and the way there; fronts `nearest/`. */
import { isIP } from 'node:net'
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import type { PlainRoute } from '../http/plain-route.ts'
import type { PlainHandler } from '../http/prepared-response.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { rankingLimits } from '../limits/nearest.ts'
import { plainAddress } from '../nearest/client-subnet.ts'
import type { NearestPeer, NearestPeers } from '../nearest/nearest-peers.ts'
import type { PeerAdvert, PeerCatalog } from '../nearest/peer-advert.ts'
import { NEAREST_PREFIX, redirectTarget } from '../nearest/redirect.ts'
import { knownPeersSchema, nearestSchema } from './schemas-nearest.ts'

/** The rooms behind the routes. */
export interface NearestRouteComponents {
  readonly nearest: Pick<NearestPeers, 'rank'>
  readonly catalog: Pick<PeerCatalog, 'list'> & { self(): PeerAdvert }
  readonly isOperator: (bearer: string | undefined) => boolean
}

const nearestQuery = z.object({
  stream: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,127}$/)
    .optional(),
  for: z
    .string()
    .refine((text) => isIP(text) !== 0, { error: 'expected an IP address' })
    .optional(),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/)
    .optional(),
})

/** Who is nearest, for anyone; all peers that are known, for the operator. */
export function nearestRoutes({ nearest, catalog, isOperator }: NearestRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/nearest',
      summary:
        'Lists the best peers for the caller, best first, with reasons; the operator may ask for another address.',
      access: 'public',
      query: nearestQuery,
      response: { 200: nearestSchema },
      handler: ({ query, caller }) => {
        if (query.for !== undefined && !isOperator(caller.bearer)) {
          throw new KairoError('ERR_FORBIDDEN', 'only the operator may ask for another address')
        }
        const address = plainAddress(query.for ?? caller.address)
        const peers = nearest.rank({ address, region: query.region })
        return {
          status: 200,
          body: { client: { address }, peers: peers.map((peer) => viewOf(peer, query.stream)) },
          headers: { 'cache-control': 'no-store' },
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/nearest/peers',
      summary: 'Lists every peer that is known, as it describes itself, and this one.',
      access: 'operator',
      response: { 200: knownPeersSchema },
      handler: () => ({
        status: 200,
        body: {
          self: described(catalog.self()),
          peers: catalog.list().map((peer) => ({
            ...described(peer),
            rttMs: peer.rttMs ?? null,
            reachable: peer.reachable,
          })),
        },
      }),
    }),
  ]
}

/** What {@link nearestHandler} answers, for the OpenAPI document. */
export const nearestPlainRoutes: readonly PlainRoute[] = [
  {
    path: '/nearest/:path',
    summary: 'Redirects to the same path at the best peer for the caller.',
    access: 'public',
    params: z.object({ path: z.string().max(rankingLimits.pathCharsMax) }),
    mediaTypes: [],
    statuses: [302, 400],
  },
]

/** Answers `/nearest/<path>` with a redirect to the best peer. */
export function nearestHandler(components: Pick<NearestRouteComponents, 'nearest'>): PlainHandler {
  const { nearest } = components
  return ({ path, query }, _signal, client) => {
    if (!path.startsWith(NEAREST_PREFIX)) return undefined
    const target = path.slice(NEAREST_PREFIX.length - 1)
    const location = redirectTarget(
      nearest,
      { address: client },
      query === '' ? target : `${target}?${query}`,
    )
    return {
      status: 302,
      headers: {
        location,
        'cache-control': `private, max-age=${rankingLimits.redirectMaxAgeS}`,
      },
      body: [],
    }
  }
}

function viewOf(
  { peerId, peer, urls, score, reasons, isSelf }: NearestPeer,
  stream: string | undefined,
): z.input<typeof nearestSchema>['peers'][number] {
  const [base = ''] = urls
  return {
    peerId,
    url: stream === undefined ? base : `${base}/live/${stream}/master.m3u8`,
    urls: [...urls],
    region: peer.region,
    load: peer.load,
    freeBitsPerSecond: peer.freeBitsPerSecond,
    score,
    reasons: [...reasons],
    self: isSelf,
  }
}

function described(peer: PeerAdvert): z.input<typeof knownPeersSchema>['self'] {
  const { peerId, state, region, clientUrls, httpsAddresses, load, freeBitsPerSecond } = peer
  return {
    ...{ peerId, state, region, load, freeBitsPerSecond },
    urls: [...clientUrls],
    httpsAddresses: [...httpsAddresses],
    expires: new Date(peer.expiresAtMs).toISOString(),
  }
}
