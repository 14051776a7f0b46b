/** The child's end of the pipe: brings input to the job as it is asked for, and takes what the job makes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setImmediate as immediate } from 'node:timers/promises'
import { KairoError } from '../../errors.ts'
import { mediaChildLimits } from '../../limits/media-child.ts'
import type { AccessUnit, TrackConfig } from '../access-unit.ts'
import type { JobContext, JobCounters, JobInput } from './context.ts'
import type { Json, MediaJob } from './job.ts'
import {
  type ChildMessage,
  encodeBlobHead,
  encodeMessage,
  encodeUnitHead,
  type WireItem,
  WireReader,
} from './wire.ts'

/** {@link JobContext} over a socket. */
export class ChildPipe implements JobContext {
  readonly counters: JobCounters = { unitsIn: 0, damaged: 0, position: 0 }
  readonly input: AsyncIterable<JobInput>
  readonly #socket: Socket
  readonly #items: AsyncGenerator<WireItem, void, undefined>
  #unitsOut = 0
  #lastTurnMs = performance.now()

  constructor(socket: Socket) {
    this.#socket = socket
    // The peer is gone; nobody wants the work any more.
    socket.on('error', leaveAtOnce)
    this.#items = readItems(socket)
    this.input = this.#readInput()
  }

  /** The job; undefined when the pipe ends before one comes. */
  async job(): Promise<MediaJob | undefined> {
    const { value, done } = await this.#items.next()
    if (done === true) return undefined
    assert(value.type === 'job', 'a job comes first')
    return value.job
  }

  config(output: number, config: TrackConfig): void {
    this.send({ type: 'config', port: output, config })
  }

  unit(output: number, unit: AccessUnit): void {
    this.#unitsOut += 1
    this.#write(encodeUnitHead(output, unit), unit.data)
  }

  blob(about: Json, bytes: Buffer): void {
    this.#write(encodeBlobHead(about, bytes.byteLength), bytes)
  }

  note(note: Json): void {
    this.send({ type: 'note', note })
  }

  turn(): Promise<void> | undefined {
    if (this.#socket.writableLength > mediaChildLimits.outputBytesMax) return this.#drained()
    if (performance.now() - this.#lastTurnMs < mediaChildLimits.turnMs) return undefined
    return this.#breathe()
  }

  /** Sends a message. */
  send(message: ChildMessage): void {
    this.#socket.write(encodeMessage(message))
  }

  /** Sends the sign of life. */
  sendProgress(): void {
    // A peer that has paused does not look for signs of life, and they must not pile up meanwhile.
    if (this.#socket.writableLength > mediaChildLimits.outputBytesMax) return
    const { user, system } = process.cpuUsage()
    this.send({
      type: 'progress',
      progress: {
        ...this.counters,
        unitsOut: this.#unitsOut,
        cpuS: (user + system) / 1e6,
        rssBytes: process.memoryUsage.rss(),
      },
    })
  }

  /** Sends the last message and ends the process when it is out. */
  end(message: ChildMessage): void {
    this.#socket.end(encodeMessage(message), () => process.exit(0))
  }

  async *#readInput(): AsyncGenerator<JobInput, void, undefined> {
    for (;;) {
      const { value, done } = await this.#items.next()
      // A pipe that ends without a `finish` is a peer that is gone.
      if (done === true) return leaveAtOnce()
      if (value.type === 'finish') return
      if (value.type !== 'config' && value.type !== 'unit') {
        throw new KairoError('ERR_PROTOCOL', `a media child was sent ${value.type}`)
      }
      yield value
    }
  }

  #write(head: Buffer, data: Uint8Array): void {
    this.#socket.cork()
    this.#socket.write(head)
    this.#socket.write(data)
    this.#socket.uncork()
  }

  async #drained(): Promise<void> {
    await once(this.#socket, 'drain')
    this.#lastTurnMs = performance.now()
  }

  async #breathe(): Promise<void> {
    await immediate()
    this.#lastTurnMs = performance.now()
  }
}

/**
 * Ends this process although a call of FFmpeg may wait for the network or a file, in a thread that an ordinary exit would wait
 * for: without the peer nobody is left who would kill it.
 */
export function leaveAtOnce(): never {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('a process outlives its own SIGKILL')
}

/** Reads chunk by chunk; the socket is paused while nobody asks. */
async function* readItems(socket: Socket): AsyncGenerator<WireItem, void, undefined> {
  const reader = new WireReader()
  for await (const chunk of socket) yield* reader.push(chunk as Buffer)
}
