/**
 * What the owner of a stream chose for it, beside its keys: quality, recording, DVR, restreaming. One file a stream under
 * `<home>/stream-options`; what is not chosen follows the peer's settings.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import { replaceFile } from '../files.ts'
import { parseJson } from '../json.ts'
import { streamOptionsLimits } from '../limits.ts'

/** A restream target: a place that the stream is also sent to. */
export const restreamTargetSchema = z.strictObject({
  /** Chosen by the owner, unique in the stream; names the target in status and logs. */
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected lower-case letters, digits, dashes'),
  /** Secret: it holds the target's stream key. */
  url: z.url({ protocol: /^(?:rtmp|rtmps|srt)$/ }).max(2_000),
  enabled: z.boolean().default(true),
})

/** A place that a stream is also sent to. */
export type RestreamTarget = z.output<typeof restreamTargetSchema>

/** Everything an owner may choose; absent values follow the peer's settings. */
export const streamOptionsSchema = z.strictObject({
  /** As the setting `defaultQuality`: `source`, `auto`, `720p`, or a preset's name. */
  quality: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/)
    .optional(),
  record: z.boolean().optional(),
  /** Seconds. */
  dvrWindowS: z.number().int().min(0).max(86_400).optional(),
  /** SRT passphrase of this stream's publishers. */
  srtPassphrase: z.string().min(10).max(79).optional(),
  restream: z
    .array(restreamTargetSchema)
    .max(streamOptionsLimits.restreamTargetsMax)
    .refine((targets) => new Set(targets.map(({ name }) => name)).size === targets.length, {
      error: 'two targets have the same name',
    })
    .optional(),
  /** Where this peer pulls the stream from, instead of waiting for a publisher. */
  pullUrl: z
    .url({ protocol: /^(?:rtsp|rtsps|rtmp|rtmps|srt|https?)$/ })
    .max(2_000)
    .optional(),
})

/** What the owner of a stream chose. */
export type StreamOptions = z.output<typeof streamOptionsSchema>

const fileSchema = z.strictObject({ version: z.literal(1), options: streamOptionsSchema })

/** The options of every owned stream of one home folder. */
export class StreamOptionsStore {
  readonly #directory: string
  readonly #options = new Map<string, StreamOptions>()
  readonly #listeners = new Set<(name: string, options: StreamOptions) => void>()

  /**
   * Reads every file.
   * @throws KairoError `ERR_CONFIG` naming the file that cannot be read.
   */
  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (const file of readdirSync(directory).sort()) {
      if (!file.endsWith('.json')) continue
      const path = join(directory, file)
      const parsed = fileSchema.safeParse(parseJson(readFileSync(path, 'utf8')))
      if (!parsed.success) {
        throw new KairoError(
          'ERR_CONFIG',
          `the stream options ${path} are damaged: restore or delete the file`,
        )
      }
      this.#options.set(file.slice(0, -'.json'.length), parsed.data.options)
    }
  }

  /** The options of a stream; empty when nothing was chosen. */
  get(name: string): StreamOptions {
    return this.#options.get(name) ?? {}
  }

  /**
   * Replaces the options of a stream and tells who listens.
   * @throws KairoError `ERR_STORAGE` when they cannot be written.
   */
  set(name: string, options: StreamOptions): void {
    const content: z.input<typeof fileSchema> = { version: 1, options }
    try {
      replaceFile(join(this.#directory, `${name}.json`), `${JSON.stringify(content, null, 2)}\n`)
    } catch (cause) {
      throw new KairoError('ERR_STORAGE', `cannot write the options of ${name}`, { cause })
    }
    this.#options.set(name, options)
    for (const listener of this.#listeners) listener(name, options)
  }

  /** Forgets the options of a stream that is removed. */
  remove(name: string): void {
    if (!this.#options.delete(name)) return
    rmSync(join(this.#directory, `${name}.json`), { force: true })
    for (const listener of this.#listeners) listener(name, {})
  }

  /** Calls `listener` after each change, until the function returned is called. */
  onChange(listener: (name: string, options: StreamOptions) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
