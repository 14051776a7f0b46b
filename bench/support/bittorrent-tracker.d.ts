/** What the bench uses of bittorrent-tracker, which brings no types. */
declare module 'bittorrent-tracker/server' {
  import type { Socket } from 'node:dgram'
  import type { EventEmitter } from 'node:events'

  /** A tracker. */
  class Server extends EventEmitter {
    readonly udp4: Socket
    constructor(options: { udp?: boolean; http?: boolean; ws?: boolean; stats?: boolean })
    listen(port: number, hostname: { udp: string; udp6: string }): void
  }
  // biome-ignore lint/style/noDefaultExport: the package has no other.
  export default Server
}
