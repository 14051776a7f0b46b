/**
 * The network's random walk at the pace of a walk. Whoever looks for relays takes the next peer as soon as it has looked at the last one, and
 * each is a query that all neighbours answer: in a small network, where no relay is left to be found, that never ends.
 */
import type { CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2'
import type { PeerInfo } from '@libp2p/interface'
import type { Clock } from '../../clock.ts'
import { reachLimits } from '../../limits/reach.ts'

/** libp2p's walk: peers of the network, met by chance. */
export type RandomWalk = CircuitRelayTransportComponents['randomWalk']

/** The same walk: the first peers at once, each further one after a pause. */
export function pacedWalk({ clock }: { readonly clock: Clock }, walk: RandomWalk): RandomWalk {
  return {
    async *walk(options): AsyncGenerator<PeerInfo> {
      let met = 0
      for await (const peer of walk.walk(options)) {
        yield peer
        met += 1
        if (met >= reachLimits.walkBurst) await pause(clock, options?.signal)
      }
    },
  }
}

/** @throws what the signal says */
async function pause(clock: Clock, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  const { promise, resolve } = Promise.withResolvers<void>()
  const cancel = clock.after(reachLimits.walkPauseMs, resolve)
  const wake = (): void => resolve()
  signal?.addEventListener('abort', wake, { once: true })
  await promise
  signal?.removeEventListener('abort', wake)
  cancel()
  signal?.throwIfAborted()
}
