/**
 * AutoNAT (libp2p specs, autonat-v1): peers try each other's public addresses and say whether they were reached. The
 * package does it; what it lacks is added here by the components that it is handed:
 * - the server answers `E_DIAL_ERROR` to everybody it is connected with, and closes that connection, since it takes the
 *   connection at hand for the one it meant to make; so its dials are forced;
 * - nothing bounds how often somebody may have this peer dial; so requests are counted by address.
 */
import { strict as assert } from 'node:assert'
import { type AutoNATComponents, autoNAT } from '@libp2p/autonat'
import type { Connection } from '@libp2p/interface'
import type { Counter } from 'prom-client'
import { addressGroup } from '../../address-group.ts'
import type { Clock } from '../../clock.ts'
import { KairoError } from '../../errors.ts'
import { autonatLimits } from '../../limits/reach.ts'
import { TokenBuckets } from '../../token-buckets.ts'
import { hostOf } from './address-kind.ts'

/** The protocol's name on the wire. */
export const AUTONAT_PROTOCOL = '/libp2p/autonat/1.0.0'

/** The running service. */
export interface AutoNat {
  /** Asks the peer at the other end to try one own address that nobody has confirmed, if there is one. */
  verifyExternalAddresses(connection: Connection): Promise<void>
}

/** The service for a libp2p node. */
export function guardedAutoNat(components: {
  readonly clock: Clock
  /** Requests that were not served. */
  readonly refused: Counter
}): (node: AutoNATComponents) => AutoNat {
  const { requestBurstMax, requestIntervalMs, addressesMax } = autonatLimits
  const requests = new TokenBuckets(components, {
    ...{ burst: requestBurstMax, perSecond: 1_000 / requestIntervalMs, bucketsMax: addressesMax },
    whenFull: 'refuse',
  })
  return (node) => {
    const { registrar, connectionManager } = node
    const guarded: AutoNATComponents = {
      registrar: bound(registrar, {
        handle: (protocol, handler, options) =>
          registrar.handle(
            protocol,
            (stream, connection) => {
              if (requests.take(groupOf(connection))) return handler(stream, connection)
              components.refused.inc()
              stream.abort(new KairoError('ERR_LIMIT', 'too many requests to be dialled'))
            },
            options,
          ),
      }),
      connectionManager: bound(connectionManager, {
        // One address is a try for another peer; several are the walk for peers to ask.
        openConnection: (peer, options) =>
          connectionManager.openConnection(
            peer,
            Array.isArray(peer) ? options : { ...options, force: true },
          ),
      }),
      addressManager: node.addressManager,
      transportManager: node.transportManager,
      peerId: node.peerId,
      logger: node.logger,
      randomWalk: node.randomWalk,
      events: node.events,
      peerStore: node.peerStore,
    }
    const service = autoNAT({
      timeout: autonatLimits.timeoutMs,
      maxInboundStreams: autonatLimits.streamsMax,
      maxMessageSize: autonatLimits.messageBytesMax,
    })(guarded)
    assert(isAutoNat(service), 'AutoNAT has changed its shape')
    return service
  }
}

function groupOf({ remoteAddr }: Connection): string {
  return addressGroup(hostOf(remoteAddr) ?? '')
}

function isAutoNat(service: unknown): service is AutoNat {
  return typeof service === 'object' && service !== null && 'verifyExternalAddresses' in service
}

/** The object with some methods replaced; the others keep their `this`. */
function bound<T extends object>(target: T, replaced: Partial<T>): T {
  return Object.assign(Object.create(target) as T, replaced)
}
