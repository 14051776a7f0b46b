/**
 * What a page of the mesh's browser test runs: one mesh with a memory of its own, and a channel between the pages in place of an edge. It is
 * bundled as a script; the test calls `beginMesh` in each page, and then its `here`.
 */
import { systemClock } from '../../src/clock.ts'
import { PartMemory } from '../../src/memory/part-memory.ts'
import { Mesh, type MeshCounters, type MeshEvents, type PeerFigures } from '../../src/mesh/mesh.ts'
import type { Step } from '../../src/protocol/edge-messages.ts'

/** Something that the mesh told, without its bytes. */
interface Told {
  readonly name: keyof MeshEvents
  readonly values: readonly unknown[]
}

interface Signal {
  readonly from: string
  readonly to: string
  readonly step: Step
}

/** Changes what a page sends on the channel for chunks. */
type Spoil = (message: ArrayBuffer) => ArrayBuffer

const pieceBytes = 50_000

/** One page. */
export class MeshPage {
  readonly #id: string
  readonly #signals = new BroadcastChannel('signals')
  readonly #told: Told[] = []
  readonly #waiting = new Set<(told: Told) => void>()
  readonly #memory = new PartMemory({ bytesMax: 100_000_000, onEvicted: () => {} })
  readonly #mesh: Mesh
  #spoil: Spoil | undefined

  constructor(id: string, uploadBps: number) {
    this.#id = id
    this.#mesh = new Mesh(
      {
        clock: systemClock,
        random: Math.random,
        memory: this.#memory,
        createConnection: (config) => this.#createConnection(config),
      },
      { iceServers: [], uploadBps, events: this.#events() },
    )
    this.#signals.onmessage = ({ data }: MessageEvent<Signal>) => {
      if (data.to === id) this.#mesh.takeStep(data.from, data.step)
    }
  }

  /** Ends it, so that another one can begin in its page. */
  close(): void {
    this.#mesh.close()
    this.#signals.close()
  }

  get mesh(): Mesh {
    return this.#mesh
  }

  figures(): readonly PeerFigures[] {
    return this.#mesh.figures()
  }

  counters(): MeshCounters {
    return this.#mesh.counters()
  }

  /** Resolves with what was told first of this name with these first values, now or later. */
  async told(name: keyof MeshEvents, ...values: readonly unknown[]): Promise<readonly unknown[]> {
    const fits = (told: Told): boolean =>
      told.name === name && values.every((value, index) => told.values[index] === value)
    const known = this.#told.find(fits)
    if (known !== undefined) return known.values
    return await new Promise((resolve) => {
      const wait = (told: Told): void => {
        if (fits(told) && this.#waiting.delete(wait)) resolve(told.values)
      }
      this.#waiting.add(wait)
    })
  }

  /** How often something was told. */
  count(name: keyof MeshEvents): number {
    return this.#told.filter((told) => told.name === name).length
  }

  /** Bytes of a part come in by HTTP, as it were, in pieces. */
  fill(key: string, from: number, to: number): void {
    for (let offset = from; offset < to; offset += pieceBytes) {
      const bytes = new Uint8Array(Math.min(pieceBytes, to - offset))
      for (const index of bytes.keys()) bytes[index] = byteAt(offset + index)
      this.#memory.write(key, offset, bytes)
    }
  }

  setBytes(key: string, bytes: number): void {
    this.#memory.setBytes(key, bytes)
  }

  /** Resolves when so many bytes are there from the first one on. */
  async available(key: string, bytes: number): Promise<void> {
    if (this.#memory.available(key, 0) >= bytes) return
    await new Promise<void>((resolve) => {
      const unwatch = this.#memory.watch(key, () => {
        if (this.#memory.available(key, 0) < bytes) return
        unwatch()
        resolve()
      })
    })
  }

  /** Whether a part is there to its last byte, and each byte is right. */
  isRight(key: string): boolean {
    return (
      this.#memory.isComplete(key) &&
      this.#memory.join(key).every((byte, at) => byte === byteAt(at))
    )
  }

  /** From now on chunks say that they belong so much further behind. */
  lieAboutOffsets(by: number): void {
    this.#spoil = (message) => {
      const header = new DataView(message)
      header.setUint32(4, header.getUint32(4) + by)
      return message
    }
  }

  #createConnection(config: RTCConfiguration): RTCPeerConnection {
    const connection = new RTCPeerConnection(config)
    const create = connection.createDataChannel.bind(connection)
    connection.createDataChannel = (label, init) => {
      const channel = create(label, init)
      const send = channel.send.bind(channel) as (data: string | ArrayBuffer) => void
      channel.send = (data: unknown) =>
        send(data instanceof ArrayBuffer ? (this.#spoil?.(data) ?? data) : (data as string))
      return channel
    }
    return connection
  }

  #events(): MeshEvents {
    const tell =
      (name: keyof MeshEvents) =>
      (...values: readonly unknown[]): void => {
        const told = { name, values }
        this.#told.push(told)
        for (const wait of [...this.#waiting]) wait(told)
      }
    return {
      onUp: tell('onUp'),
      onDown: tell('onDown'),
      onRtt: tell('onRtt'),
      onHave: tell('onHave'),
      onLost: tell('onLost'),
      onPush: tell('onPush'),
      onEnd: tell('onEnd'),
      onLength: (peer, key, bytes) => {
        this.#memory.setBytes(key, bytes)
        tell('onLength')(peer, key, bytes)
      },
      onChunk: (peer, key, offset, bytes) => {
        this.#memory.write(key, offset, bytes, peer)
        tell('onChunk')(peer, key, offset, bytes.length)
      },
      onStep: (to, step) => this.#signals.postMessage({ from: this.#id, to, step }),
    }
  }
}

declare global {
  /** The mesh of this page. */
  var here: MeshPage
  /** Sets it, in place of the one before. */
  var beginMesh: (id: string, uploadBps: number) => void
}

globalThis.beginMesh = (id, uploadBps) => {
  globalThis.here?.close()
  globalThis.here = new MeshPage(id, uploadBps)
}

/** Bytes that differ from place to place, so that none can be taken for another. */
function byteAt(at: number): number {
  return (Math.imul(at + 1, 0x9e3779b1) >>> 24) & 0xff
}
