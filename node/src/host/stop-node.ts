/**
 * Stops a libp2p node within a bounded time. It waits for the other ends of its connections and of its places at relays; one that is
 * stopping at the same moment, or gone, may never answer.
 */
import type { Clock } from '../clock.ts'
import { deadline, unlessAborted } from '../deadline.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { hostLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import type { KairoNode } from './libp2p-node.ts'

/** What is stopped: the node, and before it what keeps it reachable. */
export interface Stoppable {
  readonly node: Pick<KairoNode, 'stop' | 'getConnections'>
  readonly reach: { end(): Promise<void> } | undefined
}

/** Stops it in order; after `hostLimits.stopMsMax` its connections are cut, and after twice that it is left alone. */
export async function stopNode(
  { node, reach }: Stoppable,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<void> {
  const patience = deadline(clock, hostLimits.stopMsMax)
  const end = deadline(clock, 2 * hostLimits.stopMsMax)
  patience.signal.addEventListener('abort', () => {
    const connections = node.getConnections()
    logger.warn({ connections: connections.length }, 'the network waits for others: it is cut off')
    const reason = new KairoError('ERR_STOPPED', 'the peer is shutting down')
    for (const connection of connections) connection.abort(reason)
  })
  try {
    await unlessAborted(inOrder(node, reach), end.signal)
  } catch (error) {
    if (!isKairoError(error, 'ERR_TIMEOUT')) throw error
    logger.error({ err: error }, 'the network does not stop: it is left alone')
  } finally {
    patience.clear()
    end.clear()
  }
}

async function inOrder(node: Stoppable['node'], reach: Stoppable['reach']): Promise<void> {
  await reach?.end()
  await node.stop()
}
