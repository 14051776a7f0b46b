/** Real hosts on 127.0.0.1 that ask one another by HTTPS and over libp2p streams; stopped with the test. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import type { PeerHttpHandler } from '../../src/host/peer-http.ts'
import { PeerHttps } from '../../src/host/peer-https/peer-https.ts'
import type { PeerEndpoint } from '../../src/host/peer-https/unreachable-peers.ts'
import { silentLogger } from '../../src/logger.ts'
import { startHost } from './hosts.ts'

/** One peer of a test. */
export interface HttpPeer {
  readonly id: string
  readonly host: Libp2pHost
  readonly http: PeerHttps
  readonly registry: Registry
  readonly privateKey: PrivateKey
  /** What its adverts would say. */
  readonly endpoint: PeerEndpoint
}

/** How a peer of a test is made. */
export interface HttpPeerOptions {
  /** Answer HTTPS; default true. */
  readonly https?: boolean
  /** What this peer believes of others' endpoints. */
  readonly endpoints?: Map<string, PeerEndpoint>
  readonly join?: readonly HttpPeer[]
  readonly handlers?: Readonly<Record<string, PeerHttpHandler>>
}

/** Starts a peer. */
export async function startHttpPeer(t: Test, options: HttpPeerOptions = {}): Promise<HttpPeer> {
  const privateKey = await generateKeyPair('Ed25519')
  const join = (options.join ?? []).map(({ host }) => host)
  const host = await startHost(t, { privateKey, join })
  const registry = new Registry()
  const http = new PeerHttps(
    {
      clock: systemClock,
      logger: silentLogger,
      registry,
      transport: host,
      endpointsOf: (peerId) => options.endpoints?.get(peerId),
    },
    {
      privateKey,
      ...(options.https === false ? {} : { listen: { host: '127.0.0.1', port: 0 } }),
    },
  )
  for (const [prefix, handler] of Object.entries(options.handlers ?? {}))
    http.handle(prefix, handler)
  await http.start()
  t.teardown(() => http.stop())
  const endpoint = {
    addresses: http.port === undefined ? [] : [`127.0.0.1:${http.port}`],
    certificateDigest: http.certificateDigest,
  }
  options.endpoints?.set(host.peerId, endpoint)
  return { id: host.peerId, host, http, registry, privateKey, endpoint }
}

/** A whole body. */
export async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
