/** Peers that announce to the soft state of a shard, each over a TCP connection of its own, with the batches that peers send. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { ByteWriter } from '../../tracker/src/bytes/byte-writer.ts'
import { writeBatchHead, writeRecord } from '../../tracker/src/soft/batch.ts'
import { readBatchAnswer } from '../../tracker/src/soft/batch-answer.ts'
import { decodeReplies, encodeQuestions } from '../../tracker/src/soft/questions.ts'
import { type ServedProcess, startNodeServer } from './served-process.ts'
import { FrameReader, frameHeaderBytes, writeFrameHeader } from './tracker-frames.ts'
import { type AnnounceLoad, peers, swarmsOf, swarmsPerPeer, wanted } from './tracker-work.ts'

/** Connections that are made at once. */
const CONNECTING = 50

/** Both ways of announcing, to one server. */
export interface SoftLoads {
  /** All swarms of a peer in one batch, as peers send them. */
  readonly batches: AnnounceLoad
  /** One swarm in a batch: what a peer with one swarm sends, and nearly all of it the kernel's and Node's work on a socket. */
  readonly singles: AnnounceLoad
}

/** Starts the server on the servers' core and lets all peers join their swarms. */
export async function loadSoftState(): Promise<SoftLoads> {
  const server = await startNodeServer('kairo', './tracker-soft-server.ts', { core: 'server' })
  const all: SoftPeer[] = []
  for (let peer = 0; peer < peers; peer += CONNECTING) {
    const some = Array.from({ length: CONNECTING }, (_, at) => SoftPeer.connect(server, peer + at))
    all.push(...(await Promise.all(some)))
  }
  // The last of them to join meet all others the next time.
  for (let round = 0; round < 2; round++) await Promise.all(all.map((peer) => peer.announceOnce()))
  const load = (recordsPerBatch: number): AnnounceLoad => ({
    name: recordsPerBatch === 1 ? 'kairo, one a batch' : 'kairo',
    serverPid: server.pid,
    run: async (seconds) => await runAll(all, recordsPerBatch, seconds),
    stop: async () => {
      for (const peer of all) peer.close()
      await server.stop()
    },
  })
  return { batches: load(swarmsPerPeer), singles: load(1) }
}

async function runAll(
  all: readonly SoftPeer[],
  recordsPerBatch: number,
  seconds: number,
): Promise<number> {
  const startMs = performance.now()
  const endMs = startMs + seconds * 1_000
  const counts = await Promise.all(all.map((peer) => peer.announceUntil(endMs, recordsPerBatch)))
  // The last answers came a little later.
  const took = (performance.now() - startMs) / 1_000
  return counts.reduce((sum, count) => sum + count, 0) / took
}

class SoftPeer {
  readonly #socket: Socket
  readonly #swarms: readonly number[]
  readonly #writer = new ByteWriter(2_048)
  /** Ids of the others, by handle, which are small numbers as long as nobody leaves: asked for once. */
  readonly #names: string[] = []
  #onAnswer: (frame: Uint8Array) => void = () => {}
  #sequence = 0
  #next = 0

  constructor(socket: Socket, peer: number) {
    this.#socket = socket
    this.#swarms = swarmsOf[peer] ?? []
    const reader = new FrameReader((frame) => this.#onAnswer(frame))
    socket.on('data', (chunk) => reader.push(chunk))
    this.#send(Buffer.from(`12D3KooW${String(peer).padStart(44, 'A')}`))
  }

  static async connect(server: ServedProcess, peer: number): Promise<SoftPeer> {
    const socket = connect({ port: server.port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new SoftPeer(socket, peer)
  }

  close(): void {
    this.#socket.destroy()
  }

  async announceOnce(): Promise<void> {
    await this.#announce(swarmsPerPeer, () => true)
  }

  /** @returns announces that were answered */
  async announceUntil(endMs: number, recordsPerBatch: number): Promise<number> {
    return await this.#announce(recordsPerBatch, () => performance.now() >= endMs)
  }

  /** One batch on its way at a time. Callbacks, not promises: the load must not be what is measured. */
  #announce(records: number, isDone: () => boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      let count = 0
      const isWhole = this.#sequence > 1
      this.#onAnswer = (frame) => {
        try {
          const unknown = this.#take(frame, records, isWhole)
          if (unknown.length === 0) count += records
          else this.#send(encodeQuestions([{ type: 'names', handles: unknown }]))
          if (unknown.length > 0) return
        } catch (error) {
          reject(error)
          return
        }
        if (isDone()) resolve(count)
        else this.#sendBatch(records)
      }
      this.#sendBatch(records)
    })
  }

  #unknown: number[] = []

  /** @returns handles whose names are to be asked for before this announce is done */
  #take(frame: Uint8Array, records: number, isWhole: boolean): readonly number[] {
    const asked = this.#unknown
    if (asked.length > 0) {
      const [reply] = decodeReplies(frame).replies
      if (reply?.type !== 'names') throw new Error('kairo did not give names')
      asked.forEach((handle, at) => {
        this.#names[handle] = reply.peerIds[at] ?? ''
      })
      this.#unknown = []
      return this.#unknown
    }
    const { isTaken, introductions } = readBatchAnswer(frame)
    if (!isTaken || introductions.length !== records) throw new Error('kairo did not take a batch')
    const unknown = new Set<number>()
    for (const { handles } of introductions) {
      if (isWhole && handles.length !== wanted)
        throw new Error(`kairo gave ${handles.length} peers`)
      for (let at = 0; at < handles.length; at++) {
        const handle = handles[at] as number
        if (this.#names[handle] === undefined) unknown.add(handle)
      }
    }
    this.#unknown = [...unknown]
    return this.#unknown
  }

  #sendBatch(records: number): void {
    const isAll = this.#sequence === 0
    const after = this.#sequence
    this.#sequence += 1
    const writer = this.#writer
    writer.length = 0
    const base = { session: 1, term: 1, isGoodbye: false, load: undefined }
    writeBatchHead(writer, { ...base, sequence: this.#sequence, after, isAll })
    const holding = { viewers: 1 + (this.#sequence % 100), window: undefined, ranges: [] }
    for (let record = 0; record < records; record++) {
      const id = this.#next % swarmsPerPeer
      this.#next += 1
      // As long as the hash of a file.
      const name = { stream: `k51qzi5uqu5swarm${this.#swarms[id]}`, rendition: '' }
      writeRecord(writer, { id, name: isAll ? name : undefined, holding, wants: wanted })
    }
    this.#send(writer.bytes.subarray(0, writer.length))
  }

  #send(message: Uint8Array): void {
    const framed = Buffer.allocUnsafe(frameHeaderBytes + message.length)
    writeFrameHeader(framed, message.length)
    framed.set(message, frameHeaderBytes)
    this.#socket.write(framed)
  }
}
