/** A network of whole peers that are caches in front of one origin, each a process of its own. */
import {
  askSite,
  cdnArguments,
  isHit,
  type PurgeView,
  purgeAt,
  untilAcquainted,
} from '../../node/test/support/cdn-peers.ts'
import {
  SITE_HOST,
  startVersionedOrigin,
  type VersionedOrigin,
  versionIn,
} from '../../node/test/support/versioned-origin.ts'
import { type KairoProcess, startKairo } from './kairo-process.ts'

/** Peers that start at the same time. */
const START_AT_ONCE = 4

/** Running peers. */
export interface PurgePeers {
  /** Has every peer cache a path and looks that each serves it from its cache. */
  cache(path: string): Promise<void>
  /** Purges a path by one command at one of the peers, by its number; how long it took until the answer, and what that says. */
  purge(issuer: number, path: string): Promise<{ readonly ms: number; readonly report: PurgeView }>
  stop(): Promise<void>
}

/** Starts peers that know each other. */
export async function startPurgePeers(count: number): Promise<PurgePeers> {
  const origin = await startVersionedOrigin()
  const peers: KairoProcess[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(peers.map((peer) => peer.stop()))
    await origin.stop()
  }
  try {
    await startAll(origin, peers, count)
    const readies = peers.map(({ ready }) => ready)
    await untilAcquainted(readies)
    return {
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

/** The first alone, the others to it, a few at a time. */
async function startAll(
  origin: VersionedOrigin,
  peers: KairoProcess[],
  count: number,
): Promise<void> {
  const startOne = async (): Promise<void> => {
    const joined = peers[0] === undefined ? [] : ['--join', peers[0].ready.multiaddrs[0] as string]
    peers.push(await startKairo([...cdnArguments(origin.url), '--no-mdns', ...joined]))
  }
  await startOne()
  let left = count - 1
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await startOne()
    }
  }
  await Promise.all(Array.from({ length: START_AT_ONCE }, lane))
}
