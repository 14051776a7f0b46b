/** What a peer needs to tell of its videos and to play those of others, on a network in memory. */
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { Fetcher } from '../../src/content/fetch/fetch-client.ts'
import { FetchServer } from '../../src/content/fetch/fetch-server.ts'
import { ProviderService } from '../../src/content/records/provider.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import { NetworkVideos } from '../../src/content/videos/network-videos.ts'
import { VideoDirectory } from '../../src/content/videos/video-directory.ts'
import { PeerHttps } from '../../src/host/peer-https/peer-https.ts'
import type { PeerSigner } from '../../src/host/peer-signature.ts'
import { silentLogger } from '../../src/logger.ts'
import { newSigner } from './adverts.ts'
import { ManualClock } from './manual-clock.ts'
import { type MemoryPeer, memoryNetwork } from './memory-network.ts'
import type { MadeVideo } from './videos.ts'

/** A network in memory whose peers tell of videos. */
export class VideoNetwork {
  readonly clock = new ManualClock()
  readonly makePeer: (peerId: string) => MemoryPeer = memoryNetwork()
  /** Peers that run. */
  readonly alive = new Set<string>()
  /** Ends them. */
  readonly kills: (() => Promise<void>)[] = []

  /** Must come before the test's folder, which would be taken away under peers that still write. */
  constructor(t: Test) {
    t.teardown(async () => {
      for (const kill of this.kills) await kill()
    })
  }
}

/** One of its peers. */
export interface VideoPeer {
  readonly peerId: string
  readonly signer: PeerSigner
  readonly network: MemoryPeer
  readonly registry: Registry
  readonly store: ContentStore
  readonly videos: VideoDirectory
  readonly player: NetworkVideos
  /** Tells of these videos, in place of those before, and serves their objects. */
  share(...videos: readonly MadeVideo[]): void
  /** Ends it, as a crash does. */
  kill(): Promise<void>
}

/** Starts a peer; one with an earlier one's signer takes its place. */
export async function startVideoPeer(
  net: VideoNetwork,
  init: {
    readonly directory: string
    readonly signer?: PeerSigner
    /** Folder of a store on disk; in RAM alone by default. */
    readonly objects?: string
  },
): Promise<VideoPeer> {
  const signer = init.signer ?? (await newSigner())
  const { peerId } = signer
  const { clock } = net
  const network = net.makePeer(peerId)
  const registry = new Registry()
  const base = { clock, logger: silentLogger, registry, transport: network }
  const store = new ContentStore(base, {
    memoryBytesMax: 2 ** 24,
    ...(init.objects === undefined
      ? { diskBytesMax: 0 }
      : { directory: init.objects, diskBytesMax: 2 ** 24 }),
  })
  const http = new PeerHttps({ ...base, endpointsOf: () => undefined }, {})
  const fetcher = new Fetcher({ ...base, http, store })
  const videos = new VideoDirectory(
    { ...base, gossip: network, peers: network, signer, fetcher, store },
    { directory: init.directory },
  )
  const providers = new ProviderService({
    ...{ ...base, routing: network, peers: network, peerId },
    records: { get: () => undefined },
  })
  const player = new NetworkVideos({
    ...{ ...base, store, fetcher, videos, providers },
    alivePeers: () =>
      [...net.alive].filter((peer) => peer !== peerId).map((id) => ({ peerId: id })),
    isAlive: (peer) => net.alive.has(peer),
  })
  const objects = new Map<string, Buffer>()
  store.addSource({
    has: (digest) => objects.has(digest),
    read: async (digest) => objects.get(digest),
  })
  await store.start()
  await http.start()
  new FetchServer({ ...base, http, store }).start()
  providers.start()
  await videos.start()
  net.alive.add(peerId)
  const kill = async (): Promise<void> => {
    net.alive.delete(peerId)
    network.vanish()
    player.stop()
    await videos.stop()
    await providers.stop()
    await http.stop()
    await store.stop()
  }
  net.kills.push(kill)
  return {
    ...{ peerId, signer, network, registry, store, videos, player, kill },
    share: (...made) => {
      objects.clear()
      for (const one of made) for (const [digest, bytes] of one.objects) objects.set(digest, bytes)
      videos.ownChanged(() => made.map(({ record }) => record))
    },
  }
}
