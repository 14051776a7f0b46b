/** Uploads a file to the running peer by tus; called again for the same file, it goes on where it was cut off. */
import { createReadStream, readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { Upload } from 'tus-js-client'
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import { replaceFile } from '../files.ts'
import { parseJson } from '../json.ts'
import type { PeerClient } from './client.ts'

/** What is uploaded, and who is told how far it is. */
export interface FileUpload {
  readonly path: string
  /** Undefined leaves it to the file's name. */
  readonly title: string | undefined
  /** Home folder of the peer, where it is noted which upload goes on. */
  readonly home: string
  readonly onProgress: (sentBytes: number, totalBytes: number) => void
}

const RETRY_DELAYS_MS = [0, 500, 2_000, 5_000, 10_000]
/** Uploads that are remembered for going on. */
const REMEMBERED_MAX = 20
const memorySchema = z.record(z.string(), z.url())

/**
 * The id of the video that the file has become.
 * @throws KairoError `ERR_NOT_FOUND` for a missing file, `ERR_STORAGE` and others with the words of the peer.
 */
export async function uploadFile(client: PeerClient, file: FileUpload): Promise<string> {
  const path = resolve(file.path)
  const { size, mtimeMs } = await fileFacts(path)
  const memory = new UploadMemory(join(file.home, 'vod-add.json'), `${path}:${size}:${mtimeMs}`)
  const known = memory.url(client.url)
  const { promise, resolve: done, reject } = Promise.withResolvers<string>()
  const upload = new Upload(createReadStream(path) as unknown as Buffer, {
    endpoint: new URL('/api/uploads', client.url).href,
    uploadSize: size,
    retryDelays: RETRY_DELAYS_MS,
    headers: { ...client.authorization },
    metadata: {
      filename: basename(path),
      ...(file.title === undefined ? {} : { title: file.title }),
    },
    ...(known === undefined ? {} : { uploadUrl: known }),
    onUploadUrlAvailable: () => memory.remember(upload.url),
    onProgress: file.onProgress,
    onError: (error) => reject(uploadError(error)),
    onSuccess: ({ lastResponse }) => {
      memory.remember(null)
      done(lastResponse.getHeader('Kairo-Video') ?? '')
    },
  })
  upload.start()
  return await promise
}

async function fileFacts(path: string): Promise<{ size: number; mtimeMs: number }> {
  try {
    const facts = await stat(path)
    if (facts.isFile()) return facts
  } catch (cause) {
    throw new KairoError('ERR_NOT_FOUND', `cannot read ${path}`, { cause })
  }
  throw new KairoError('ERR_INVALID_INPUT', `${path} is no file`)
}

/** The peer's own words where it answered, else those of the connection. */
function uploadError(error: Error): KairoError {
  const response = (error as { originalResponse?: { getBody(): string } | null }).originalResponse
  const problem = parseJson(response?.getBody() ?? '') as
    | { code?: string; detail?: string }
    | undefined
  return new KairoError(
    (problem?.code ?? 'ERR_TIMEOUT') as 'ERR_TIMEOUT',
    problem?.detail ?? `the upload broke off: ${error.message}; the same command goes on with it`,
    { cause: error },
  )
}

/** Where uploads that were cut off go on, by the file that they are of. */
class UploadMemory {
  readonly #path: string
  readonly #key: string

  constructor(path: string, key: string) {
    this.#path = path
    this.#key = key
  }

  /** The upload of this file at the peer, on whatever port it listens now. */
  url(peer: string): string | undefined {
    const known = this.#read()[this.#key]
    return known === undefined ? undefined : new URL(new URL(known).pathname, peer).href
  }

  remember(url: string | null): void {
    const { [this.#key]: _, ...others } = this.#read()
    const kept = Object.entries(others).slice(1 - REMEMBERED_MAX)
    const next = url === null ? kept : [...kept, [this.#key, url]]
    replaceFile(this.#path, JSON.stringify(Object.fromEntries(next)))
  }

  #read(): Record<string, string> {
    try {
      const parsed = memorySchema.safeParse(parseJson(readFileSync(this.#path, 'utf8')))
      return parsed.success ? parsed.data : {}
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
      throw error
    }
  }
}
