/** Networks of whole peers on loopback, each a process of its own. */
import { type KairoProcess, startKairo } from './kairo-process.ts'

/** Peers that start at the same time; more of them only wait for each other. */
const START_AT_ONCE = 4

/** Starts peers with these arguments, the first alone and the others to it; all or none. */
export async function startNetwork(
  count: number,
  shared: readonly string[],
): Promise<KairoProcess[]> {
  const peers: KairoProcess[] = []
  const startOne = async (): Promise<void> => {
    const joined = peers[0] === undefined ? [] : ['--join', peers[0].ready.multiaddrs[0] as string]
    peers.push(await startKairo([...shared, '--no-mdns', ...joined]))
  }
  let left = count - 1
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await startOne()
    }
  }
  const started = startOne().then(() =>
    Promise.allSettled(Array.from({ length: START_AT_ONCE }, lane)),
  )
  const failed = (await started).find((lane) => lane.status === 'rejected')
  if (failed === undefined) return peers
  await Promise.all(peers.map((peer) => peer.stop()))
  throw failed.reason
}
