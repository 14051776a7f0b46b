/**
 * The streams that may be published at this peer: for each a readable name, the secret stream key that a publisher
 * presents, and the Ed25519 key that names and signs it. One file a stream under `<home>/streams`, mode 0600.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { generateStreamKey, type StreamKey, streamKeyFromPem } from '../content/stream-key.ts'
import { KairoError } from '../errors.ts'
import { replaceFile } from '../files.ts'
import { parseJson } from '../json.ts'
import { streamKeyLimits } from '../limits.ts'

/** A stream that this peer owns. */
export interface OwnedStream {
  /** Readable name: `[a-z0-9][a-z0-9-]{0,63}`. */
  readonly name: string
  readonly title: string
  /** The secret that a publisher presents. */
  readonly streamKey: string
  /** Names and signs the stream. */
  readonly key: StreamKey
  /** True for the built-in test stream, which nobody else may publish. */
  readonly builtIn: boolean
}

/** Names a stream may have; the same in paths, records and files. */
const STREAM_NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,63}$/

/** A stream with its keys as it goes from one peer to another: whoever has it may publish the stream. */
export const exportedStreamSchema = z.strictObject({
  version: z.literal(1),
  name: z.string().regex(STREAM_NAME_PATTERN),
  title: z.string().min(1).max(200),
  streamKey: z.string().min(16).max(200),
  privateKey: z.string().max(1_000),
})

/** See {@link exportedStreamSchema}. */
export type ExportedStream = z.output<typeof exportedStreamSchema>

const fileSchema = z.object({
  version: z.literal(1),
  title: z.string().max(200),
  streamKey: z.string().min(16).max(200),
  privateKey: z.string(),
  builtIn: z.boolean(),
})

/** The owned streams of one home folder. */
export class StreamKeys {
  readonly #directory: string
  readonly #streams = new Map<string, OwnedStream>()
  /** By SHA-256 of the secret, so that a look-up takes the same time for near misses. */
  readonly #bySecret = new Map<string, OwnedStream>()

  /**
   * Reads every stream file.
   * @throws KairoError `ERR_CONFIG` naming the file that cannot be read; a key is never silently replaced.
   */
  constructor(directory: string) {
    this.#directory = directory
    for (const file of readdirSync(directory).sort()) {
      if (file.endsWith('.json'))
        this.#add(readStreamFile(join(directory, file), file.slice(0, -5)))
    }
  }

  list(): readonly OwnedStream[] {
    return [...this.#streams.values()]
  }

  get(name: string): OwnedStream | undefined {
    return this.#streams.get(name)
  }

  /** The stream that a publisher's secret opens. */
  bySecret(secret: string): OwnedStream | undefined {
    return this.#bySecret.get(secretHash(secret))
  }

  /**
   * Makes a stream with new keys. Without a name it gets a readable one that ends in part of its id, so that peers
   * which never heard of each other do not choose the same.
   * @throws KairoError `ERR_INVALID_INPUT`, `ERR_NAME_TAKEN`, `ERR_LIMIT`.
   */
  create(
    init: { name?: string; prefix?: string; title?: string; builtIn?: boolean } = {},
  ): OwnedStream {
    const key = generateStreamKey()
    const name = init.name ?? `${init.prefix ?? 'stream'}-${key.id.slice(-5)}`
    if (!STREAM_NAME_PATTERN.test(name)) {
      throw new KairoError(
        'ERR_INVALID_INPUT',
        'a stream name has 1 to 64 characters: lower-case letters, digits and dashes, no dash first',
      )
    }
    const stream: OwnedStream = {
      name,
      title: init.title ?? name,
      streamKey: randomBytes(18).toString('base64url'),
      key,
      builtIn: init.builtIn ?? false,
    }
    this.#keep(stream)
    return stream
  }

  /**
   * A stream with its keys, for another peer that is to take over when this one is gone. A secret.
   * @throws KairoError `ERR_NOT_FOUND`; `ERR_FORBIDDEN` for the test stream, which every peer has its own of.
   */
  export(name: string): ExportedStream {
    const stream = this.#streams.get(name)
    if (stream === undefined) throw new KairoError('ERR_NOT_FOUND', `no stream named ${name} here`)
    if (stream.builtIn)
      throw new KairoError('ERR_FORBIDDEN', 'every peer has a test stream of its own')
    const { title, streamKey, key } = stream
    return { version: 1, name, title, streamKey, privateKey: key.toPem() }
  }

  /**
   * Takes a stream that another peer exported.
   * @throws KairoError `ERR_INVALID_INPUT` for a key that is none, `ERR_NAME_TAKEN` when the name, the stream or its secret is here already,
   * `ERR_LIMIT`.
   */
  import({ name, title, streamKey, privateKey }: ExportedStream): OwnedStream {
    let key: StreamKey
    try {
      key = streamKeyFromPem(privateKey)
    } catch (cause) {
      throw new KairoError('ERR_INVALID_INPUT', 'the private key cannot be read', { cause })
    }
    const same = this.list().find((stream) => stream.key.id === key.id)
    if (same !== undefined || this.bySecret(streamKey) !== undefined) {
      throw new KairoError('ERR_NAME_TAKEN', 'this peer already has this stream or its stream key')
    }
    const stream: OwnedStream = { name, title, streamKey, key, builtIn: false }
    this.#keep(stream)
    return stream
  }

  #keep(stream: OwnedStream): void {
    const { name, title, streamKey, key, builtIn } = stream
    if (this.#streams.size >= streamKeyLimits.streamsMax) {
      throw new KairoError('ERR_LIMIT', `a peer owns at most ${streamKeyLimits.streamsMax} streams`)
    }
    if (this.#streams.has(name)) {
      throw new KairoError('ERR_NAME_TAKEN', `this peer already has a stream named ${name}`)
    }
    const content: z.input<typeof fileSchema> = {
      ...{ version: 1, title, streamKey, builtIn },
      privateKey: key.toPem(),
    }
    replaceFile(join(this.#directory, `${name}.json`), `${JSON.stringify(content, null, 2)}\n`)
    this.#add(stream)
  }

  /**
   * Forgets a stream and its keys for good.
   * @throws KairoError `ERR_NOT_FOUND`.
   */
  remove(name: string): void {
    const stream = this.#streams.get(name)
    if (stream === undefined) throw new KairoError('ERR_NOT_FOUND', `no stream named ${name} here`)
    rmSync(join(this.#directory, `${stream.name}.json`))
    this.#streams.delete(name)
    this.#bySecret.delete(secretHash(stream.streamKey))
  }

  #add(stream: OwnedStream): void {
    this.#streams.set(stream.name, stream)
    this.#bySecret.set(secretHash(stream.streamKey), stream)
  }
}

function secretHash(secret: string): string {
  return createHash('sha256').update(secret).digest('base64')
}

function readStreamFile(path: string, name: string): OwnedStream {
  const parsed = fileSchema.safeParse(parseJson(readFileSync(path, 'utf8')))
  if (!parsed.success || !STREAM_NAME_PATTERN.test(name)) {
    throw new KairoError(
      'ERR_CONFIG',
      `the stream file ${path} is damaged; restore it from a backup, or delete it to give the stream up`,
    )
  }
  const { title, streamKey, privateKey, builtIn } = parsed.data
  return { name, title, streamKey, key: streamKeyFromPem(privateKey), builtIn }
}
