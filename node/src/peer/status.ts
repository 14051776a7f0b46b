/** The whole peer as `kairo status` and the admin page show it. */
import type { z } from 'zod'
import type { statusSchema } from '../api/schemas.ts'
import { streamViews } from '../api/stream-view.ts'
import type { Settings } from '../config/schema.ts'
import type { CoordinationStatus } from '../coordination/coordination-service.ts'
import type { ConnectionInfo } from '../host/libp2p-host.ts'
import type { RunningRooms } from '../peer.ts'
import { KAIRO_VERSION } from '../version.ts'
import type { WatchFolder } from '../vod/watch-folder.ts'
import type { PeerAddresses } from './addresses.ts'

/** Gathers the status of a running peer. */
export function peerStatus(
  { components, testStream, startedMs }: RunningRooms,
  addresses: PeerAddresses,
  settings: Settings,
): z.input<typeof statusSchema> {
  const { clock, host, join, store, publishing, replicas, media, watchFolder } = components
  const usage = store.usage
  return {
    peerId: addresses.peerId,
    version: KAIRO_VERSION,
    uptimeS: Math.max(0, (clock.now() - startedMs) / 1000),
    home: addresses.home,
    addresses: {
      http: addresses.http,
      rtmp: addresses.rtmp,
      srt: addresses.srt,
      network: {
        http: [...addresses.network.http],
        rtmp: [...addresses.network.rtmp],
        srt: [...addresses.network.srt],
      },
      multiaddrs: [...addresses.multiaddrs],
    },
    peers: neighbours(host.connections()),
    streams: streamViews({ ...components, streams: replicas }),
    publishers: publishing.publishers().map((publisher) => ({
      stream: publisher.stream,
      protocol: publisher.protocol,
      remote: publisher.remote,
      since: new Date(publisher.sinceMs).toISOString(),
      bitrateBps: publisher.bitrateBps,
    })),
    store: {
      ...usage,
      memoryBytesMax: settings.memoryBytesMax,
      diskBytesMax: settings.diskBytesMax,
      degraded: store.health().status !== 'ok',
    },
    mediaChildren: media.stats().map(({ pid, state, job, label, cpuS, rssBytes }) => ({
      ...{ state, label, cpuS, rssBytes },
      pid: pid ?? null,
      job: job ?? null,
    })),
    watchFolder: watchStatus(watchFolder),
    join: join.status().map(({ target, state, lastError }) => ({
      target,
      state,
      error: lastError?.message ?? null,
    })),
    testStream: testStream === undefined ? null : { ...testStream.status },
    region: regionStatus(components.coordination.status),
  }
}

function regionStatus({
  region,
  engine,
  state,
  error,
  agent,
}: CoordinationStatus): z.input<typeof statusSchema>['region'] {
  return {
    ...{ name: region, engine, state, error: error?.message ?? null },
    phase: agent?.phase ?? null,
    memberCount: agent?.memberCount ?? 0,
    hasQuorum: agent?.hasQuorum ?? false,
    isDegraded: agent?.isDegraded ?? false,
    conflicts: agent?.conflicts.length ?? 0,
  }
}

function watchStatus(folder: WatchFolder | undefined): z.input<typeof statusSchema>['watchFolder'] {
  if (folder === undefined) return null
  const { failures, ...rest } = folder.status()
  return { ...rest, failures: [...failures] }
}

/** One line a peer: two that dial each other at once have two connections. */
function neighbours(connections: readonly ConnectionInfo[]): z.input<typeof statusSchema>['peers'] {
  const byPeer = new Map(connections.map((connection) => [connection.peerId, connection]))
  return [...byPeer.values()].map(({ peerId, multiaddr, direction }) => ({
    peerId,
    address: multiaddr,
    direction,
  }))
}
