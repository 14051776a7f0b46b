/**
 * Puts broken files through the library and the pipeline with real media children, and lists everything about each that is not as it
 * must be: how it ended, what can be played, what is left on disk, and what its children did.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ArchivedRendition } from '../../../src/content/archive/presentation.ts'
import { isKairoError } from '../../../src/errors.ts'
import type { LadderPlan, LadderSource } from '../../../src/media/ladder/plan.ts'
import type { Violation } from '../cmaf-checker.ts'
import { violations } from '../vod-checks.ts'
import { smallLadder, startVodPeer, type VodPeer } from '../vod-peer.ts'
import type { BrokenFile, RefusedEnding, RepairedEnding } from './broken-file.ts'
import type { Clips } from './clips.ts'

const run = promisify(execFile)
const { signal } = new AbortController()
/** H.264 that browsers do not play, as plans say it of a source that is not copied. */
const NOT_PLAYABLE = 'avc1.ff'
/** Resident memory of a child with tiny pictures: FFmpeg itself takes about 130 MiB. */
const RSS_BYTES_MAX = 700 * 2 ** 20
/** Why a child is killed that did wrong; one that is merely late or no longer wanted did not. */
const MISBEHAVED = new Set(['memory', 'garbage', 'receiver', 'stuck', 'queue'])
/** What a finished video has in its folder. */
const KEPT = /^(manifest|(source|72p|audio[a-z0-9-]*)(\.\d+)?\.(mp4|index)|storyboard-\d+\.jpg)$/

/** One library with its pipeline, and one file after the other. */
export class FileRun {
  readonly #directory: string
  readonly #clips: Clips
  #peer: VodPeer | undefined
  #encode = false
  #rssBytesMax = 0
  readonly #kills = new Map<string, number>()
  #sampler: NodeJS.Timeout | undefined

  constructor(directory: string, clips: Clips) {
    this.#directory = directory
    this.#clips = clips
  }

  /** Starts the library. */
  async start(): Promise<this> {
    const peer = await startVodPeer(join(this.#directory, 'vod'), {
      ...{ parallel: 1, storyboard: false },
      ladder: (source) => this.#ladder(source),
    })
    this.#peer = peer
    this.#sampler = setInterval(() => {
      for (const { rssBytes } of peer.media.stats()) {
        this.#rssBytesMax = Math.max(this.#rssBytesMax, rssBytes)
      }
    }, 100)
    return this
  }

  /** Stops it. */
  async stop(): Promise<void> {
    clearInterval(this.#sampler)
    await this.#peer?.stop()
  }

  /** Puts one file through; everything that is wrong with what came of it, in words. */
  async problems(file: BrokenFile): Promise<readonly string[]> {
    const path = join(this.#directory, file.name)
    await writeFile(path, await file.make(this.#clips))
    this.#encode = file.encode === true
    this.#rssBytesMax = 0
    const problems =
      'error' in file.ends
        ? await this.#refused(path, file.ends)
        : await this.#repaired(path, file.ends)
    return [...problems, ...(await this.#aftermath())]
  }

  get #running(): VodPeer {
    if (this.#peer === undefined) throw new Error('start first')
    return this.#peer
  }

  async #refused(path: string, { error, says }: RefusedEnding): Promise<string[]> {
    const { library, settled } = this.#running
    try {
      const { id } = await library.addFile({ path, title: '', mode: 'move' })
      const status = await settled(id)
      const { code = 'none', message = '' } = status.error ?? {}
      const problems: string[] = []
      if (code !== error || !says.test(message)) {
        problems.push(`ended as ${JSON.stringify(status)}`)
      }
      const left = await readdir(join(this.#directory, 'vod', id))
      if (left.join() !== 'manifest') problems.push(`left ${left}`)
      await library.remove(id)
      return problems
    } catch (refusal) {
      if (!isKairoError(refusal, error) || !says.test(refusal.message)) throw refusal
      return []
    }
  }

  async #repaired(path: string, ending: RepairedEnding): Promise<string[]> {
    const { library, settled } = this.#running
    const { id } = await library.addFile({ path, title: '', mode: 'move' })
    const status = await settled(id)
    if (status.state !== 'ready') return [`ended as ${JSON.stringify(status)}`]
    const problems: string[] = []
    const [least, most] = ending.seconds
    const seconds = status.durationUs / 1e6
    if (seconds < least || seconds > most) problems.push(`lasts ${seconds} s`)
    const names = status.renditions.join()
    if (names !== (ending.renditions?.join() ?? names)) problems.push(`has ${names}`)
    if (names === '') problems.push('has nothing to play')
    for (const one of (await violations(library, id)) as readonly Violation[]) {
      if (ending.allowed?.includes(one.rule) !== true) problems.push(JSON.stringify(one))
    }
    for (const rendition of library.get(id)?.renditions ?? []) {
      const damaged = ending.damaged?.includes(rendition.info.name) === true
      for (const complaint of await this.#complaints(rendition, damaged)) {
        problems.push(`${rendition.info.name}: ${complaint}`)
      }
    }
    const left = await readdir(join(this.#directory, 'vod', id))
    const extra = left.filter((name) => !KEPT.test(name))
    if (extra.length > 0) problems.push(`left ${extra}`)
    await library.remove(id)
    return problems
  }

  /** What ffprobe says of each stretch of a rendition that has one configuration; of damaged ones only that nothing in them decodes. */
  async #complaints(rendition: ArchivedRendition, damaged: boolean): Promise<string[]> {
    const { library } = this.#running
    const inits = [...new Set(rendition.segments.map(({ initDigest }) => initDigest))]
    const said: string[] = []
    for (const init of inits) {
      const of = rendition.segments.filter(({ initDigest }) => initDigest === init)
      const digests = [init, ...of.map(({ digest }) => digest)]
      const bytes = await Promise.all(digests.map((digest) => library.read(digest, { signal })))
      const path = join(this.#directory, 'played.mp4')
      await writeFile(path, Buffer.concat(bytes))
      const { stdout, stderr } = await run('ffprobe', [
        ...[
          '-v',
          'error',
          '-count_frames',
          '-of',
          'json',
          '-show_entries',
          'stream=nb_read_frames',
        ],
        path,
      ])
      const frames = Number(JSON.parse(stdout).streams[0]?.nb_read_frames ?? 0)
      if (frames === 0) said.push('nothing decodes')
      if (stderr !== '' && !damaged) said.push(stderr.slice(0, 400))
    }
    return said
  }

  /** What must be so after every job, however it ended. */
  async #aftermath(): Promise<string[]> {
    const { media, registry } = this.#running
    const problems: string[] = []
    const stats = media.stats()
    const busy = stats.filter(({ job }) => job !== undefined)
    if (busy.length > 0) problems.push(`children still at work: ${JSON.stringify(busy)}`)
    if (this.#rssBytesMax > RSS_BYTES_MAX) problems.push(`a child took ${this.#rssBytesMax} bytes`)
    const kills = await registry.getSingleMetric('kairo_media_kills_total')?.get()
    for (const { labels, value } of kills?.values ?? []) {
      const reason = String(labels.reason)
      const before = this.#kills.get(reason) ?? 0
      this.#kills.set(reason, value)
      if (value > before && MISBEHAVED.has(reason)) problems.push(`a child was killed: ${reason}`)
    }
    return problems
  }

  #ladder(source: LadderSource): LadderPlan {
    const small = smallLadder(source)
    const isCopied = source.video?.codecString !== NOT_PLAYABLE
    return this.#encode || !isCopied ? small : { ...small, video: [] }
  }
}

/** Processes of media children that this process still has, to be asked for when all pools have stopped. */
export async function strayChildren(): Promise<readonly number[]> {
  const text = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
  const stray: number[] = []
  for (const pid of text.trim().split(' ').filter(Boolean)) {
    // One that ended this moment has no command line any more.
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (command.includes('media/child/child.ts')) stray.push(Number(pid))
  }
  return stray
}
