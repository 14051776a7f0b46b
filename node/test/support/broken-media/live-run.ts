/**
 * Publishes broken streams to real servers over real sockets, and lists everything about what came of each that is not as it must be:
 * how the publisher's connection ended, what was published, and what ffprobe and the part checker say of it.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Registry } from 'prom-client'
import { systemClock } from '../../../src/clock.ts'
import { RtmpServer } from '../../../src/ingest/rtmp/server.ts'
import { SrtServer } from '../../../src/ingest/srt/server.ts'
import { silentLogger } from '../../../src/logger.ts'
import type { CheckedRendition } from '../cmaf-checker.ts'
import { PublishedStream } from '../published-stream.ts'
import { mediaBytes, publishBytes } from '../rtmp-wire.ts'
import { until } from '../until.ts'
import { FLV_SCRIPT, type FlvTag } from './bytes.ts'
import type { Clips } from './clips.ts'

const run = promisify(execFile)

/** A broken live stream. */
export interface BrokenStream {
  /** Unique in the corpus. */
  readonly name: string
  /** What is wrong with it, a clause. */
  readonly about: string
  /** FLV tags go over RTMP, the bytes of a transport stream over SRT. */
  readonly make: (clips: Clips) => Promise<readonly FlvTag[] | Buffer>
  readonly ends: LiveEnding
}

/** What must become of it. */
export interface LiveEnding {
  /** Why the connection ended, as the server counts it; a pattern where the damage decides. */
  readonly reason: string
  /** What was published till then, none when nothing may be; undefined where the damage decides which. */
  readonly renditions?: readonly string[]
  /** Length of the longest of them, least and most, seconds. */
  readonly seconds?: readonly [number, number]
  /** Renditions whose pictures or sound are damaged inside, so that a decoder complains. */
  readonly damaged?: readonly string[]
}

/** Publishes streams, one after the other. */
export class LiveRun {
  readonly #directory: string
  readonly #clips: Clips

  constructor(directory: string, clips: Clips) {
    this.#directory = directory
    this.#clips = clips
  }

  /** Publishes one stream; everything that is wrong with what came of it, in words. */
  async problems({ make, ends }: BrokenStream): Promise<readonly string[]> {
    const media = await make(this.#clips)
    const stream = new PublishedStream({ realClock: systemClock, endGraceMs: 0 })
    const registry = new Registry()
    const reasons = Buffer.isBuffer(media)
      ? await this.#overSrt(stream, registry, media)
      : await overRtmp(stream, registry, media)
    const problems: string[] = []
    if (!new RegExp(`^(${ends.reason})$`).test(reasons.join()))
      problems.push(`ended as ${reasons.join() || 'nothing'}`)
    const names = stream.publication.record.renditions.map(({ name }) => name)
    const filled: CheckedRendition[] = []
    for (const name of names) {
      const rendition = await stream.checked(name)
      if (rendition.parts.length > 0) filled.push(rendition)
    }
    const found = filled.map(({ name }) => name)
    const expected = ends.renditions ?? found
    if (found.join() !== expected.join()) problems.push(`has ${found}`)
    for (const one of await stream.violations(found)) problems.push(JSON.stringify(one))
    const lengths = filled.map(({ parts }) => parts.reduce((sum, one) => sum + one.durationUs, 0))
    const seconds = Math.max(0, ...lengths) / 1e6
    const [least, most] = ends.seconds ?? [0, 0]
    if (seconds < least || seconds > most) problems.push(`lasts ${seconds} s`)
    for (const rendition of filled) {
      const damaged = ends.damaged?.includes(rendition.name) === true
      problems.push(...(await this.#complaints(rendition, damaged)))
    }
    stream.service.stop()
    return problems
  }

  /** What ffprobe says of each stretch of one configuration; of damaged ones only that nothing decodes. */
  async #complaints({ name, parts }: CheckedRendition, damaged: boolean): Promise<string[]> {
    const said: string[] = []
    for (const init of new Set(parts.map((part) => part.init.toString('latin1')))) {
      const of = parts.filter((part) => part.init.toString('latin1') === init)
      const path = join(this.#directory, 'played.mp4')
      await writeFile(
        path,
        Buffer.concat([Buffer.from(init, 'latin1'), ...of.map(({ data }) => data)]),
      )
      const entries = 'stream=nb_read_frames'
      const { stdout, stderr } = await run('ffprobe', [
        ...['-v', 'error', '-count_frames', '-of', 'json', '-show_entries', entries, path],
      ])
      const frames = Number(JSON.parse(stdout).streams[0]?.nb_read_frames ?? 0)
      if (frames === 0) said.push(`${name}: nothing decodes`)
      if (stderr !== '' && !damaged) said.push(`${name}: ${stderr.slice(0, 300)}`)
    }
    return said
  }

  async #overSrt(stream: PublishedStream, registry: Registry, media: Buffer): Promise<string[]> {
    const components = { clock: systemClock, logger: silentLogger, registry }
    const server = new SrtServer(
      { ...components, publishing: stream.service, passphraseFor: () => undefined },
      { host: '127.0.0.1', port: 0 },
    )
    await server.start()
    try {
      const path = join(this.#directory, 'pushed.ts')
      await writeFile(path, media)
      const { port } = server.address()
      const url = `srt://127.0.0.1:${port}?streamid=publish:secret&linger=3`
      // As data, so that ffmpeg sends the bytes as they are and mends nothing.
      const args = ['-v', 'error', '-nostdin', '-f', 'data', '-i', path, '-map', '0', '-c', 'copy']
      const child = spawn('ffmpeg', [...args, '-f', 'data', url], { stdio: 'ignore' })
      await once(child, 'close')
      await settled(registry, 'kairo_srt_disconnects_total')
    } finally {
      await server.stop()
    }
    return reasonsOf(registry, 'kairo_srt_disconnects_total')
  }
}

async function overRtmp(
  stream: PublishedStream,
  registry: Registry,
  tags: readonly FlvTag[],
): Promise<string[]> {
  const server = new RtmpServer(
    { clock: systemClock, logger: silentLogger, registry, publishing: stream.service },
    { host: '127.0.0.1', port: 0 },
  )
  await server.start()
  try {
    const { host, port } = server.address()
    const socket = connect(port, host)
    // A refused publisher is cut off while it sends.
    socket.on('error', () => {})
    socket.resume()
    const closed = once(socket, 'close')
    const media = tags
      .filter(({ type }) => type !== FLV_SCRIPT)
      .map(({ type, timeMs, body }) => mediaBytes(type, timeMs, body))
    socket.end(Buffer.concat([publishBytes('secret'), ...media]))
    await closed
    await settled(registry, 'kairo_rtmp_disconnects_total')
  } finally {
    await server.stop()
  }
  return reasonsOf(registry, 'kairo_rtmp_disconnects_total')
}

/** Resolves when the server has counted the end of the connection: it reads on while the client is gone already. */
async function settled(registry: Registry, metric: string): Promise<void> {
  await until(async () => (await reasonsOf(registry, metric)).length > 0, metric)
}

async function reasonsOf(registry: Registry, name: string): Promise<string[]> {
  const values = (await registry.getSingleMetric(name)?.get())?.values ?? []
  return values.filter(({ value }) => value > 0).map(({ labels }) => String(labels.reason))
}
