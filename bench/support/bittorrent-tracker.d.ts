/** What the bench uses of bittorrent-tracker, which brings no types. */
declare module 'bittorrent-tracker/server' {
  import type { Socket } from 'node:dgram'
  import type { EventEmitter } from 'node:events'
  import type { Server as HttpServer } from 'node:http'

  /** A tracker. */
  class Server extends EventEmitter {
    readonly udp4: Socket
    /** What WebSockets come through, too. */
    readonly http: HttpServer
    constructor(options: { udp?: boolean; http?: boolean; ws?: boolean; stats?: boolean })
    listen(port: number, hostname: string | { udp: string; udp6: string }): void
    close(): void
  }
  // biome-ignore lint/style/noDefaultExport: the package has no other.
  export default Server
}
