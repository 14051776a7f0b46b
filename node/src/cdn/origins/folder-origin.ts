/** A folder of this machine as an origin: files with validators and ranges, `index.html` for folders, nothing outside and nothing hidden. */
import type { BigIntStats } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../clock.ts'
import { abortReason } from '../../deadline.ts'
import { isKairoError, KairoError } from '../../errors.ts'
import { folderOriginLimits as limits } from '../../limits/cdn-origins.ts'
import type { Logger } from '../../logger.ts'
import type { CacheRequest, Fields } from '../message.ts'
import type { Origin, OriginRequestOptions, OriginResponse } from '../origin.ts'
import { formatHttpDate } from '../rules/http-date.ts'
import { Gate } from './gate.ts'
import type { OriginComponents } from './http-origin.ts'
import { judgeFile } from './judge-file.ts'
import { mediaTypeOf } from './media-types.ts'
import { type OpenFile, openBelow } from './open-file.ts'
import type { OriginMetrics } from './origin-metrics.ts'
import { type PathNames, pathNames } from './path-names.ts'
import { methodNotAllowed, plainAnswer } from './plain-answer.ts'

/** Where the files are. */
export interface FolderOriginInit {
  /** Absolute path; may be a link, which is followed anew for each request. */
  readonly path: string
}

/** What a file that cannot be opened is answered with, by the system's code; anything else is the folder's failure. */
const statusOf: Readonly<Record<string, number>> = {
  ENOENT: 404,
  ENOTDIR: 404,
  ELOOP: 404,
  ENAMETOOLONG: 404,
  // A socket, or a device that is not there.
  ENXIO: 404,
  EACCES: 403,
  EPERM: 403,
}

const label = 'folder'

/** An open file and its place among those that may be open. */
interface Held extends OpenFile {
  /** Closes it; once is enough. */
  readonly release: () => void
}

/** Serves files; reads nothing ahead of who takes it. */
export class FolderOrigin implements Origin {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #metrics: OriginMetrics
  readonly #path: string
  readonly #gate: Gate
  readonly #unwatch: () => void
  #closed = false

  constructor(components: OriginComponents, init: FolderOriginInit) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:origin', folder: init.path })
    this.#metrics = components.metrics
    this.#path = init.path
    this.#gate = new Gate(components, {
      insideMax: limits.filesMax,
      waitingMax: limits.waitingMax,
      waitMsMax: limits.waitMsMax,
      onRefused: (reason) => this.#metrics.refused.inc({ origin: label, reason }),
    })
    const gate = this.#gate
    this.#unwatch = this.#metrics.watch(label, {
      get inside() {
        return gate.inside
      },
      get waiting() {
        return gate.waiting
      },
      isOpen: false,
    })
  }

  /** @inheritdoc */
  async fetch(request: CacheRequest, options: OriginRequestOptions): Promise<OriginResponse> {
    const startMs = this.#clock.monotonicMs()
    try {
      const response = await this.#fetch(request, options.signal)
      const result = `${Math.trunc(response.status / 100)}xx`
      this.#metrics.answers.inc({ origin: label, result })
      const seconds = (this.#clock.monotonicMs() - startMs) / 1_000
      this.#metrics.headSeconds.observe({ origin: label }, seconds)
      return response
    } catch (error) {
      const result = isKairoError(error) ? error.code : 'ERR_INTERNAL'
      this.#metrics.answers.inc({ origin: label, result })
      throw error
    }
  }

  /** Files that are being read are read to their end; who waits is turned away. */
  close(): void {
    this.#closed = true
    this.#unwatch()
    this.#gate.refuseWaiting(stopped())
  }

  async #fetch(request: CacheRequest, signal: AbortSignal): Promise<OriginResponse> {
    if (this.#closed) throw stopped()
    const { method } = request
    if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed(method)
    const path = pathNames(request.target, limits.depthMax)
    if (path === undefined) return plainAnswer(method, 404)
    const held = await this.#open(path, signal)
    if (typeof held === 'number') return plainAnswer(method, held)
    let isRead = false
    try {
      if (held.stat.isDirectory() && !path.isFolder) {
        return plainAnswer(method, 301, { location: folderTarget(path, request.target) })
      }
      if (!held.stat.isFile()) return plainAnswer(method, 404)
      const response = this.#answer(method, request, path, held, signal)
      isRead = method === 'GET' && response.status < 300
      return response
    } finally {
      if (!isRead) held.release()
    }
  }

  /** The file, or the status that says why there is none. */
  async #open(path: PathNames, signal: AbortSignal): Promise<Held | number> {
    await this.#gate.enter(signal)
    let isHeld = false
    try {
      const root = await this.#root()
      const file = join(root, ...path.names, ...(path.isFolder ? ['index.html'] : []))
      const opened = await openBelow(root, file)
      if (opened === undefined) return 404
      isHeld = true
      return this.#hold(opened, signal)
    } catch (error) {
      const status = statusOf[(error as NodeJS.ErrnoException).code ?? '']
      if (status !== undefined) return status
      throw fileFailure(error)
    } finally {
      if (!isHeld) this.#gate.leave()
    }
  }

  /** A folder that is gone is a failure, so that what is cached of it lives on; a file that is gone is an answer. */
  async #root(): Promise<string> {
    try {
      return await realpath(this.#path)
    } catch (cause) {
      throw new KairoError('ERR_NO_PROVIDER', 'the folder of the origin cannot be read', { cause })
    }
  }

  #hold(opened: OpenFile, signal: AbortSignal): Held {
    let isReleased = false
    const release = (): void => {
      if (isReleased) return
      isReleased = true
      signal.removeEventListener('abort', release)
      opened.handle
        .close()
        .catch((error: unknown) => this.#logger.warn({ err: error }, 'a file did not close'))
        .finally(() => this.#gate.leave())
    }
    if (signal.aborted) release()
    else signal.addEventListener('abort', release, { once: true })
    return { ...opened, release }
  }

  #answer(
    method: 'GET' | 'HEAD',
    request: CacheRequest,
    path: PathNames,
    held: Held,
    signal: AbortSignal,
  ): OriginResponse {
    const nowMs = this.#clock.now()
    const length = Number(held.stat.size)
    const date = formatHttpDate(nowMs)
    const common = { date, ...validatorFields(held.stat, nowMs), 'accept-ranges': 'bytes' }
    const verdict = judgeFile(request, common, length, nowMs)
    if (verdict.status === 304) return plainAnswer(method, 304, common)
    if (verdict.status === 412) return plainAnswer(method, 412, { date })
    if (verdict.status === 416) {
      return plainAnswer(method, 416, { date, 'content-range': `bytes */${length}` })
    }
    const { status, first, last } = verdict
    const headers = {
      ...common,
      'content-type': mediaTypeOf(path.isFolder ? 'index.html' : (path.names.at(-1) as string)),
      'content-length': String(last - first + 1),
      ...(status === 206 ? { 'content-range': `bytes ${first}-${last}/${length}` } : {}),
    }
    const body = method === 'HEAD' ? nothing() : this.#read(held, first, last, signal)
    return { status, headers, body }
  }

  async *#read(
    held: Held,
    first: number,
    last: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    try {
      let position = first
      while (position <= last) {
        if (signal.aborted) throw abortReason(signal)
        const bytes = Math.min(limits.readBytes, last - position + 1)
        const buffer = Buffer.allocUnsafeSlow(bytes)
        const { bytesRead } = await held.handle.read(buffer, 0, bytes, position)
        if (bytesRead === 0) throw changed()
        position += bytesRead
        // Before the last bytes go out, so that an answer of two versions never ends as if it were whole.
        if (position > last) await refuseChanged(held)
        this.#metrics.bodyBytes.inc({ origin: label }, bytesRead)
        yield buffer.subarray(0, bytesRead)
      }
    } catch (error) {
      throw signal.aborted ? abortReason(signal) : fileFailure(error)
    } finally {
      held.release()
    }
  }
}

/** The validators of a file: a strong tag, unless it may still change within the same tick of its time of change. */
function validatorFields(stat: BigIntStats, nowMs: number): Fields {
  const opaque = `${stat.mtimeNs.toString(36)}-${stat.size.toString(36)}`
  const modifiedMs = Number(stat.mtimeNs / 1_000_000n)
  const isSettled = nowMs - modifiedMs >= limits.settledMs
  return {
    // The weak tag has other words, so that whoever kept the file unsettled asks for it again.
    etag: isSettled ? `"${opaque}"` : `W/"${opaque}-new"`,
    // A change after the time of the answer is no date that a client may be told (RFC 9110 8.8.2.1).
    ...(modifiedMs > nowMs ? {} : { 'last-modified': formatHttpDate(modifiedMs) }),
  }
}

/** The folder's own path, with the slash that makes links in its page work. */
function folderTarget(path: PathNames, target: string): string {
  const mark = target.indexOf('?')
  const query = mark < 0 ? '' : target.slice(mark)
  return `/${path.names.map((name) => `${encodeURIComponent(name)}/`).join('')}${query}`
}

async function refuseChanged({ handle, stat }: OpenFile): Promise<void> {
  const now = await handle.stat({ bigint: true })
  if (now.mtimeNs !== stat.mtimeNs || now.size !== stat.size) throw changed()
}

function changed(): KairoError {
  return new KairoError('ERR_PROTOCOL', 'the file changed while it was read')
}

function stopped(): KairoError {
  return new KairoError('ERR_STOPPED', 'the origin is no longer in use')
}

function fileFailure(error: unknown): KairoError {
  if (isKairoError(error)) return error
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new KairoError('ERR_OVERLOADED', 'too many files are open', { cause: error })
  }
  return new KairoError('ERR_NO_PROVIDER', `the origin's folder cannot be read (${code})`, {
    cause: error,
  })
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
