/** A network of whole peers that are caches in front of one origin, each a process of its own. */
import {
  askSite,
  cdnArguments,
  isHit,
  type PurgeView,
  purgeAt,
} from '../../node/test/support/cdn-peers.ts'
import {
  SITE_HOST,
  startVersionedOrigin,
  versionIn,
} from '../../node/test/support/versioned-origin.ts'
import { startNetwork } from './kairo-network.ts'
import type { KairoProcess } from './kairo-process.ts'

/** Running peers. */
export interface PurgePeers {
  readonly count: number
  /** Has every peer cache a path and looks that each serves it from its cache. */
  cache(path: string): Promise<void>
  /** Purges a path by one command at one of the peers, by its number; how long it took until the answer, and what that says. */
  purge(issuer: number, path: string): Promise<{ readonly ms: number; readonly report: PurgeView }>
  stop(): Promise<void>
}

/** Starts peers that know each other. */
export async function startPurgePeers(count: number): Promise<PurgePeers> {
  const origin = await startVersionedOrigin()
  let peers: KairoProcess[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(peers.map((peer) => peer.stop()))
    await origin.stop()
  }
  try {
    peers = await startNetwork(count, cdnArguments(origin.url))
    const readies = peers.map(({ ready }) => ready)
    return {
      count,
      cache: async (path) => {
        for (const isCached of [false, true]) {
          const answers = await Promise.all(readies.map(({ http }) => askSite(http, path)))
          for (const answer of answers) {
            versionIn(path, answer)
            if (isCached && !isHit(answer)) throw new Error(`${path} is not cached everywhere`)
          }
        }
      },
      purge: async (issuer, path) => {
        const selector = { by: 'url', url: `http://${SITE_HOST}${path}` } as const
        const startedMs = performance.now()
        const report = await purgeAt(readies[issuer % count] as KairoProcess['ready'], selector)
        return { ms: performance.now() - startedMs, report }
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
