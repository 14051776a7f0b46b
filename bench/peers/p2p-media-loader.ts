/** p2p-media-loader as npm has it, and the WebTorrent tracker that its players meet at. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import Tracker from 'bittorrent-tracker/server'

const modules = join(import.meta.dirname, '../../node_modules')
const names = { '/core.js': 'p2p-media-loader-core', '/engine.js': 'p2p-media-loader-hlsjs' }

/** Its version. */
export function p2pMediaLoaderVersion(): string {
  const path = join(modules, names['/engine.js'], 'package.json')
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}

/** Its builds for browsers, by the path under which the bench's page has them. */
export function p2pMediaLoaderScripts(): [string, Buffer][] {
  return Object.entries(names).map(([path, name]) => [
    path,
    readFileSync(join(modules, name, 'dist', `${name}.es.min.js`)),
  ])
}

/** A running tracker. */
export interface WebtorrentTracker {
  /** Of its WebSocket. */
  readonly url: string
  stop(): void
}

/** Starts bittorrent-tracker's WebSocket server in this process. */
export async function startWebtorrentTracker(): Promise<WebtorrentTracker> {
  const server = new Tracker({ udp: false, http: false, stats: false })
  // What it says of clients that left in the middle of something.
  server.on('warning', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.http, 'listening')
  const { port } = server.http.address() as AddressInfo
  return { url: `ws://127.0.0.1:${port}`, stop: () => server.close() }
}
