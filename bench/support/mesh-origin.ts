/** Five peers in front of one origin, all asked at once for what none of them has: how often the origin is asked. */
import { askAtOnce, cdnArguments } from '../../node/test/support/cdn-peers.ts'
import { until } from '../../node/test/support/until.ts'
import { startVersionedOrigin, versionIn } from '../../node/test/support/versioned-origin.ts'
import { startNetwork } from './kairo-network.ts'
import { type KairoProcess, readMetric } from './kairo-process.ts'

const PEERS = 5
const MISSES = 1_000
/** 20 KB, by its name. */
const PATH = '/wanted/20000'
const HOLD_MS_MAX = 15_000

/** What became of the misses. */
export interface OriginMisses {
  readonly originRequests: number
  /** Requests, those of peers to their shields among them, that waited for what another one had asked for. */
  readonly waited: number
}

/**
 * The origin answers only when all clients wait: those that a peer has asked for, and the others, which wait for these.
 * @throws Error when an answer is not what the origin has, or when not all come to wait.
 */
export async function missAtOnce(): Promise<OriginMisses> {
  const origin = await startVersionedOrigin()
  let peers: KairoProcess[] = []
  try {
    peers = await startNetwork(PEERS, cdnArguments(origin.url))
    const readies = peers.map(({ ready }) => ready)
    const { promise, resolve } = Promise.withResolvers<void>()
    origin.gate = promise
    const asking = askAtOnce(readies, PATH, MISSES)
    const ofAll = async (name: string, labels?: string): Promise<number> => {
      const values = readies.map((ready) => readMetric(ready, name, labels))
      return (await Promise.all(values)).reduce((sum, value) => sum + value, 0)
    }
    try {
      await until(
        async () => {
          const inLane = await ofAll('kairo_http_connections', 'state="waiting"')
          const handedOver = await ofAll('kairo_http_connections', 'state="handed"')
          return inLane + handedOver >= MISSES && origin.requests(PATH) > 0
        },
        `all ${MISSES} clients wait`,
        HOLD_MS_MAX,
      )
    } finally {
      resolve()
    }
    for (const answer of await asking) versionIn(PATH, answer)
    return {
      originRequests: origin.requests(PATH),
      waited: await ofAll('kairo_cdn_collapsed_total'),
    }
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()))
    await origin.stop()
  }
}
