/** Opens a TLS connection to a peer and makes sure that it is that peer before a byte of a request is sent. */
import { connect, type SecureContext, type TLSSocket } from 'node:tls'
import type { Clock } from '../../clock.ts'
import { parseAddress } from '../../config/address.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import { certificateDigest, peerIdOfCertificate } from './certificate.ts'
import type { PeerHttpMetrics } from './peer-http-metrics.ts'
import type { PeerEndpoint } from './unreachable-peers.ts'

/** AES-128 first: it costs a little less than AES-256, and the peers' keys are worth no more than its 128 bits. */
export const TLS_CIPHERS =
  'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'

/** No connection could be made; nothing was sent, so that the request may go another way. */
export class PeerConnectError extends KairoError {}

/** What connecting needs. */
export interface ConnectPeerComponents {
  readonly clock: Clock
  readonly metrics: PeerHttpMetrics
  /** With this peer's own certificate. */
  readonly context: SecureContext
  /** Told of an endpoint that was not reached, whether or not its asker still waits. */
  readonly onUnreachable: (peerId: string, endpoint: PeerEndpoint) => void
}

/**
 * A connection to the peer at the first of its addresses where it is.
 * @throws PeerConnectError `ERR_VERIFICATION` when somebody else was at the last of them, `ERR_NO_PROVIDER` else.
 */
export async function connectPeer(
  components: ConnectPeerComponents,
  peerId: string,
  endpoint: PeerEndpoint,
): Promise<TLSSocket> {
  const { metrics } = components
  const addresses = endpoint.addresses.slice(0, peerHttpLimits.addressesMax)
  const timeoutMs = peerHttpLimits.connectMsMax / Math.max(1, addresses.length)
  let last: KairoError = new KairoError('ERR_NO_PROVIDER', `${peerId} tells no HTTPS address`)
  for (const address of addresses) {
    try {
      const target = { peerId, digest: endpoint.certificateDigest, address, timeoutMs }
      const socket = await connectAddress(components, target)
      metrics.connects.inc({ outcome: 'ok' })
      return socket
    } catch (cause) {
      last = isKairoError(cause)
        ? cause
        : new KairoError('ERR_NO_PROVIDER', `cannot reach ${peerId} at ${address}`, { cause })
      metrics.connects.inc({ outcome: last.code })
      if (last.code === 'ERR_VERIFICATION') metrics.rejected.inc({ side: 'client' })
    }
  }
  components.onUnreachable(peerId, endpoint)
  throw new PeerConnectError(last.code, last.message, { cause: last })
}

interface ConnectTarget {
  readonly peerId: string
  /** Hex SHA-256 of its certificate; empty for any that the peer vouches for. */
  readonly digest: string
  readonly address: string
  readonly timeoutMs: number
}

async function connectAddress(
  { clock, context }: ConnectPeerComponents,
  { peerId, digest, address, timeoutMs }: ConnectTarget,
): Promise<TLSSocket> {
  const target = parseAddress(address)
  if (target === undefined) throw new KairoError('ERR_INVALID_INPUT', 'an address that is none')
  const socket = connect({
    ...target,
    secureContext: context,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    // Who it is says the peer's own signature in the certificate, checked below.
    rejectUnauthorized: false,
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onClose = (): void => reject(new KairoError('ERR_NO_PROVIDER', 'the connection closed'))
  const cancel = clock.after(timeoutMs, () => {
    reject(new KairoError('ERR_TIMEOUT', `${address} did not answer in time`))
  })
  socket.once('secureConnect', resolve)
  socket.on('error', reject)
  socket.once('close', onClose)
  try {
    await promise
    const der = socket.getPeerX509Certificate()?.raw
    if (der === undefined) throw new KairoError('ERR_VERIFICATION', 'no certificate was presented')
    checkCertificate(der, { peerId, digest, nowMs: clock.now() })
    socket.off('error', reject)
    socket.off('close', onClose)
    socket.setNoDelay(true)
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    cancel()
  }
}

function checkCertificate(
  der: Uint8Array,
  { peerId, digest, nowMs }: { peerId: string; digest: string; nowMs: number },
): void {
  const actual = peerIdOfCertificate(der, nowMs)
  if (actual !== peerId) {
    throw new KairoError('ERR_VERIFICATION', `${actual} answered where ${peerId} was expected`)
  }
  if (digest !== '' && certificateDigest(der) !== digest) {
    throw new KairoError('ERR_VERIFICATION', `${peerId} has another certificate than it told`)
  }
}
