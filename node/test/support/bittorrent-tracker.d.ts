/** The part of bittorrent-tracker's client that tests use; the package carries no types. */
declare module 'bittorrent-tracker/client' {
  import type { EventEmitter } from 'node:events'

  interface ClientOptions {
    readonly infoHash: Uint8Array
    readonly peerId: Uint8Array
    readonly announce: readonly string[]
    readonly port: number
  }

  interface ClientEvents {
    readonly update: [response: object]
    readonly scrape: [response: object]
    readonly warning: [error: Error]
    readonly error: [error: Error]
  }

  // biome-ignore lint/style/noDefaultExport: that is how the package exports it.
  export default class Client extends EventEmitter<ClientEvents> {
    constructor(options: ClientOptions)
    start(options?: { readonly numwant?: number }): void
    complete(): void
    scrape(): void
    stop(): void
    destroy(): void
  }
}
