/** Five peers in front of one origin, all asked at once for what none of them has: how often the origin is asked. */
import { askAtOnce, cdnArguments, untilAcquainted } from '../../node/test/support/cdn-peers.ts'
import { startVersionedOrigin, versionIn } from '../../node/test/support/versioned-origin.ts'
import { type KairoProcess, startKairo } from './kairo-process.ts'

const PEERS = 5
const MISSES = 1_000
/** 20 KB, by its name. */
const PATH = '/wanted/20000'

/**
 * Requests that reached the origin for {@link MISSES} simultaneous ones of clients.
 * @throws Error when an answer is not what the origin has.
 */
export async function countOriginRequests(): Promise<number> {
  const origin = await startVersionedOrigin()
  const peers: KairoProcess[] = []
  try {
    for (let index = 0; index < PEERS; index += 1) {
      const joined = peers.flatMap(({ ready }) => ['--join', ready.multiaddrs[0] as string])
      const extra = ['--no-mdns', '--peer-https', '127.0.0.1:0', ...joined]
      peers.push(await startKairo([...cdnArguments(origin.url), ...extra]))
    }
    const readies = peers.map(({ ready }) => ready)
    await untilAcquainted(readies)
    for (const answer of await askAtOnce(readies, PATH, MISSES)) versionIn(PATH, answer)
    return origin.requests(PATH)
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()))
    await origin.stop()
  }
}
