/** Where a running peer is reached: by people, publishers, and other peers. */
import type { AddressInfo } from 'node:net'
import { formatAddress, localHost, networkHosts } from '../config/address.ts'
import { KairoError } from '../errors.ts'
import type { HttpServer } from '../http/server.ts'
import type { RtmpServer } from '../ingest/rtmp/server.ts'
import type { SrtServer } from '../ingest/srt/server.ts'
import type { RunningRooms } from '../peer.ts'

/** Where a running peer is reached; the body of the ready line. */
export interface PeerAddresses {
  readonly peerId: string
  readonly home: string
  readonly http: string
  /** Without the stream key; null when RTMP is off. */
  readonly rtmp: string | null
  /** Without the stream id (`?streamid=publish:<stream key>`); null when SRT is off. */
  readonly srt: string | null
  /** The same for other machines of the local network; empty when a server is bound to one address. */
  readonly network: {
    readonly http: readonly string[]
    readonly rtmp: readonly string[]
    readonly srt: readonly string[]
  }
  readonly multiaddrs: readonly string[]
  /** Secret key of the first stream of this peer. */
  readonly streamKey: string
  /** Name of that stream. */
  readonly stream: string
  /** Name of the built-in test stream; null without one. */
  readonly testStream: string | null
  /** With the operator token. */
  readonly admin: string
}

/** The addresses of a peer whose servers listen. */
export function peerAddresses(rooms: RunningRooms, home: string): PeerAddresses {
  const { components, http, admin, rtmp, srt, testStream } = rooms
  const first = components.keys.list().find(({ builtIn }) => !builtIn)
  const test = components.keys.list().find(({ builtIn }) => builtIn)
  const url = httpUrl(http)
  return {
    peerId: components.host.peerId,
    home,
    http: url,
    rtmp: rtmp === undefined ? null : rtmpUrl(rtmp),
    srt: srt === undefined ? null : srtUrl(srt),
    network: {
      http: networkHosts(bound(http).address).map((host) => httpUrl(http, host)),
      rtmp:
        rtmp === undefined
          ? []
          : networkHosts(rtmp.address().host).map((host) => rtmpUrl(rtmp, host)),
      srt:
        srt === undefined ? [] : networkHosts(srt.address().host).map((host) => srtUrl(srt, host)),
    },
    multiaddrs: components.host.multiaddrs(),
    streamKey: first?.streamKey ?? '',
    stream: first?.name ?? '',
    testStream: testStream === undefined ? null : (test?.name ?? null),
    admin: `${httpUrl(admin)}/admin?token=${components.operatorToken.value}`,
  }
}

/** Where RTMP is pushed to, without the stream key. */
export function rtmpUrl(rtmp: RtmpServer, host: string = localHost(rtmp.address().host)): string {
  return `rtmp://${formatAddress({ host, port: rtmp.address().port })}/live`
}

/** Where SRT is sent to, without the stream id. */
export function srtUrl(srt: SrtServer, host: string = localHost(srt.address().host)): string {
  return `srt://${formatAddress({ host, port: srt.address().port })}`
}

/** The HTTP server's root. */
export function httpUrl(http: HttpServer, host: string = localHost(bound(http).address)): string {
  return `http://${formatAddress({ host, port: bound(http).port })}`
}

function bound(http: HttpServer): AddressInfo {
  const address = http.address()
  if (address === undefined) throw new KairoError('ERR_STOPPED', 'the HTTP server does not listen')
  return address
}
