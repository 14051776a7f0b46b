/**
 * The work of the `tracker` bench, the same for both sides: so many peers, each in so many swarms, that all have the same number of peers. An
 * announce says that a peer is still in a swarm and asks for some of the others.
 */

/** Peers that announce. */
export const peers = 500
/** Swarms that each of them is in. */
export const swarmsPerPeer = 40
/** Peers in a swarm. */
const peersPerSwarm = 100
/** Others that an announce asks for: what bittorrent-tracker gives to those who do not say. */
export const wanted = 50

/** One side, with all peers in their swarms. */
export interface AnnounceLoad {
  readonly name: string
  readonly serverPid: number
  /** Announces answered in so many seconds; as many are on their way as the server can take. */
  run(seconds: number): Promise<number>
  stop(): Promise<void>
}

/** The swarms of each peer: all peers are dealt out over some swarms, then over others, until each is in enough; at random, but alike in each run. */
export const swarmsOf: readonly (readonly number[])[] = dealOut()

function dealOut(): number[][] {
  const dealt: number[][] = Array.from({ length: peers }, () => [])
  let state = 1
  const draw = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let deal = 0; deal < swarmsPerPeer; deal++) {
    const order = Array.from({ length: peers }, (_, peer) => peer)
    for (let left = peers; left > 0; left--) {
      const [peer = 0] = order.splice(draw(left), 1)
      const swarm = (deal * peers) / peersPerSwarm + Math.floor((left - 1) / peersPerSwarm)
      dealt[peer]?.push(swarm)
    }
  }
  return dealt
}
