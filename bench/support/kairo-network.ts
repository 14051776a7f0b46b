/** Networks of whole peers on loopback, each a process of its own. */
import { untilAcquainted } from '../../node/test/support/cdn-peers.ts'
import { type KairoProcess, startKairo } from './kairo-process.ts'

/** Peers that start at the same time; more of them only wait for each other. */
const START_AT_ONCE = 4

/** Time for peers to find each other, on a loaded machine. */
const ACQUAINT_MS = 180_000

/** Starts peers with these arguments, each joining those that are there, and waits until all know each other; all or none. */
export async function startNetwork(
  count: number,
  shared: readonly string[],
): Promise<KairoProcess[]> {
  const peers: KairoProcess[] = []
  const startOne = async (): Promise<void> => {
    const joined = peers.flatMap(({ ready }) => ['--join', ready.multiaddrs[0] as string])
    // Nothing is transcoded, so no child looks what the machine can encode.
    const quiet = ['--no-mdns', '--default-quality', 'source']
    peers.push(await startKairo([...shared, ...quiet, ...joined]))
  }
  let left = count - 1
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await startOne()
    }
  }
  try {
    await startOne()
    const lanes = await Promise.allSettled(Array.from({ length: START_AT_ONCE }, lane))
    for (const one of lanes) if (one.status === 'rejected') throw one.reason
    const readies = peers.map(({ ready }) => ready)
    await untilAcquainted(readies, ACQUAINT_MS)
    return peers
  } catch (error) {
    await Promise.all(peers.map((peer) => peer.stop()))
    throw error
  }
}
