/** Connections to peers, kept alive between requests and only ever used for the peer that each was verified to be. */
import { Agent, type AgentOptions, type RequestOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import { type ConnectPeerComponents, connectPeer } from './connect-peer.ts'
import type { PeerEndpoint } from './unreachable-peers.ts'

/** Options of a request through a {@link PeerAgent}. */
export interface PeerRequestOptions extends RequestOptions {
  readonly peerId: string
  readonly endpoint: PeerEndpoint
}

/** An agent whose pools are named by peer, not by host. */
export class PeerAgent extends Agent {
  readonly #components: ConnectPeerComponents

  constructor(components: ConnectPeerComponents) {
    const options: AgentOptions = {
      keepAlive: true,
      maxFreeSockets: peerHttpLimits.idleSocketsPerPeerMax,
      timeout: peerHttpLimits.idleMsMax,
      // The connection used last is the most likely to be still there.
      scheduling: 'lifo',
    }
    super(options)
    this.#components = components
  }

  override getName(options?: RequestOptions): string {
    const { peerId, endpoint } = options as PeerRequestOptions
    return `${peerId} ${endpoint.certificateDigest}`
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const { peerId, endpoint } = options as PeerRequestOptions
    connectPeer(this.#components, peerId, endpoint).then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as unknown as Duplex),
    )
    return undefined
  }

  /** Called by Node for a socket that a request has left; false closes it. */
  override keepSocketAlive(stream: Duplex): boolean {
    let idle = 0
    for (const sockets of Object.values(this.freeSockets)) idle += sockets?.length ?? 0
    if (idle >= peerHttpLimits.idleSocketsMax) {
      this.#components.metrics.limits.inc({ limit: 'idle_sockets' })
      return false
    }
    return Boolean(super.keepSocketAlive(stream))
  }
}
