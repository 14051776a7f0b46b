/** bittorrent-tracker, the tracker that npm offers, and announces to it over UDP (BEP 15), the fastest transport that it has. */
import { createSocket, type Socket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { type ServedProcess, startNodeServer } from '../support/served-process.ts'
import {
  type AnnounceLoad,
  peers,
  swarmsOf,
  swarmsPerPeer,
  wanted,
} from '../support/tracker-work.ts'

/** On their way at once: the server's socket always has some waiting. */
const WINDOW = 64
const ANNOUNCE_BYTES = 98
const ANSWER_HEAD_BYTES = 20
const PEER_BYTES = 6
const FIRST_PORT = 10_000
/** BEP 15: an announce, and its events. */
const ANNOUNCE = 1
const UPDATE = 0
const STARTED = 2
/** A packet may be lost even on loopback; then what is on its way is sent again. */
const STALL_MS = 500

/** Its version. */
export function bittorrentTrackerVersion(): string {
  const path = new URL('./package.json', import.meta.resolve('bittorrent-tracker'))
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}

/** Starts it on the servers' core and lets all peers join their swarms. */
export async function loadBittorrentTracker(): Promise<AnnounceLoad> {
  const server = await startNodeServer('bittorrent-tracker', './tracker-bittorrent-server.ts', {
    core: 'server',
  })
  const load = new UdpLoad(server)
  await load.join()
  return load
}

class UdpLoad implements AnnounceLoad {
  readonly name = 'bittorrent-tracker'
  readonly serverPid: number
  readonly #server: ServedProcess
  readonly #socket: Socket = createSocket('udp4')
  readonly #packet = Buffer.alloc(ANNOUNCE_BYTES)
  /** The announce that comes next, and how many there will be. */
  #next = 0
  #end = 0
  #event = STARTED
  #answered = 0
  #isWhole = true
  #onAnswer: () => void = () => {}

  constructor(server: ServedProcess) {
    this.#server = server
    this.serverPid = server.pid
    // The constant that the server takes for a connection, so that no round trip is spent on getting one.
    this.#packet.writeUInt32BE(0x417, 0)
    this.#packet.writeUInt32BE(0x27101980, 4)
    this.#packet.writeUInt32BE(ANNOUNCE, 8)
    this.#packet.writeUInt32BE(wanted, 92)
    this.#socket.on('message', (answer) => {
      this.#answered += 1
      const count = (answer.length - ANSWER_HEAD_BYTES) / PEER_BYTES
      if (answer.readUInt32BE(0) !== ANNOUNCE || count !== wanted) this.#isWhole = false
      this.#onAnswer()
    })
  }

  async join(): Promise<void> {
    this.#end = peers * swarmsPerPeer
    await this.#announce(() => this.#answered >= this.#end)
    this.#event = UPDATE
    this.#end = Number.POSITIVE_INFINITY
  }

  async run(seconds: number): Promise<number> {
    const endMs = performance.now() + seconds * 1_000
    this.#isWhole = true
    const before = this.#answered
    await this.#announce(() => performance.now() >= endMs)
    if (!this.#isWhole) throw new Error(`bittorrent-tracker did not give ${wanted} peers`)
    return (this.#answered - before) / seconds
  }

  async #announce(isDone: () => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      let seen = this.#answered
      const stalled = setInterval(() => {
        if (this.#answered === seen) for (let sent = 0; sent < WINDOW; sent++) this.#send()
        seen = this.#answered
      }, STALL_MS)
      this.#onAnswer = () => {
        if (!isDone()) {
          if (this.#next < this.#end) this.#send()
          return
        }
        this.#onAnswer = () => {}
        clearInterval(stalled)
        // What is still on its way comes before the next run.
        setTimeout(resolve, STALL_MS)
      }
      for (let sent = 0; sent < WINDOW; sent++) this.#send()
    })
  }

  #send(): void {
    const packet = this.#packet
    const peer = this.#next % peers
    const nth = Math.floor(this.#next / peers) % swarmsPerPeer
    packet.writeUInt32BE(this.#next >>> 0, 12)
    packet.writeUInt32BE(swarmsOf[peer]?.[nth] ?? 0, 16)
    packet.writeUInt32BE(peer, 36)
    packet.writeUInt32BE(this.#event, 80)
    // An address of its own would be read wrongly by the server; so peers are ports of the one that it sees.
    packet.writeUInt16BE(FIRST_PORT + peer, 96)
    this.#next += 1
    // The socket keeps what it is given until it is sent.
    this.#socket.send(Buffer.from(packet), this.#server.port, '127.0.0.1')
  }

  async stop(): Promise<void> {
    this.#socket.close()
    await this.#server.stop()
  }
}
