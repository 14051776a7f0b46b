/**
 * A folder whose video files are taken into the library as they appear. The user's files are never moved or deleted; a file is
 * taken once it has stopped growing, and remembered by what it is, not by its name.
 */
import { readFileSync } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import { basename, extname, relative, sep } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'
import { Counter, Gauge, type Registry } from 'prom-client'
import { z } from 'zod'
import type { CancelTimer, Clock } from '../clock.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { replaceFile } from '../files.ts'
import { parseJson } from '../json.ts'
import { watchFolderLimits } from '../limits/upload.ts'
import type { Logger } from '../logger.ts'
import { cleanTitle } from './title.ts'
import { titleFromFilename } from './upload/upload-metadata.ts'

/** What the watcher works with. */
export interface WatchFolderComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly library: {
    addFile(file: {
      readonly path: string
      readonly title: string
      readonly mode: 'copy'
    }): Promise<{ readonly id: string }>
  }
}

/** How the watcher is set up. */
export interface WatchFolderInit {
  /** The watched folder; it must exist. */
  readonly directory: string
  /** File that remembers what was taken. */
  readonly stateFile: string
}

/** A file that the library did not take. */
export interface WatchFailure {
  /** Path in the folder. */
  readonly path: string
  readonly code: string
  readonly message: string
}

/** How the folder is doing. */
export interface WatchFolderStatus {
  readonly directory: string
  /** Files that are still growing, or wait for their turn. */
  readonly pending: number
  /** Files taken since the start. */
  readonly taken: number
  /** The newest failures, oldest first. */
  readonly failures: readonly WatchFailure[]
}

interface Pending {
  /** Size and times as last seen. */
  seen: string
  /** Since when they have been like this, monotonic milliseconds. */
  sinceMs: number
  /** Not looked at before this, monotonic milliseconds. */
  notBeforeMs: number
}

/** Names that the library's containers go by; the probe decides what is really in a file. */
const extensions = new Set([
  ...['.mp4', '.m4v', '.mov', '.mkv', '.webm', '.ts', '.m2ts', '.mts', '.flv'],
])
const stateSchema = z.object({ taken: z.array(z.string().max(200)) })

/** Watches one folder with all below it. */
export class WatchFolder {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #library: WatchFolderComponents['library']
  readonly #init: WatchFolderInit
  readonly #pending = new Map<string, Pending>()
  readonly #failures: WatchFailure[] = []
  readonly #files: Counter<'outcome'>
  /** What was taken, oldest first. */
  readonly #remembered = new Set<string>()
  #root = ''
  #taken = 0
  #watcher: FSWatcher | undefined
  #cancelLook: CancelTimer | undefined
  #looking: Promise<void> | undefined
  #stopped = false

  constructor(components: WatchFolderComponents, init: WatchFolderInit) {
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:watch-folder' })
    this.#library = components.library
    this.#init = init
    const registers = [components.registry]
    this.#files = new Counter({
      name: 'kairo_vod_watch_folder_files_total',
      help: 'Files of the watched folder by what became of them.',
      labelNames: ['outcome'],
      registers,
    })
    const pending = this.#pending
    new Gauge({
      name: 'kairo_vod_watch_folder_pending',
      help: 'Files of the watched folder that still grow or wait.',
      registers,
      collect() {
        this.set(pending.size)
      },
    })
  }

  /**
   * Begins with the files that are there.
   * @throws KairoError `ERR_CONFIG` when the folder is not there or is no folder.
   */
  async start(): Promise<void> {
    const { directory } = this.#init
    try {
      this.#root = await realpath(directory)
      if (!(await lstat(this.#root)).isDirectory()) throw new Error('it is no folder')
    } catch (cause) {
      throw new KairoError(
        'ERR_CONFIG',
        `cannot watch the folder ${directory}: ${(cause as Error).message}`,
        { cause },
      )
    }
    this.#load()
    this.#watcher = watch(this.#root, {
      followSymlinks: false,
      depth: watchFolderLimits.depthMax,
      ignored: (path) => path !== this.#root && basename(path).startsWith('.'),
    })
    this.#watcher.on('add', (path) => this.#notice(path))
    this.#watcher.on('change', (path) => this.#notice(path))
    this.#watcher.on('unlink', (path) => this.#pending.delete(path))
    this.#watcher.on('error', (error) => {
      this.#logger.error({ err: error }, 'the watched folder cannot be watched whole')
    })
    this.#lookLater()
  }

  /** Stops watching; a file being taken is finished. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelLook?.()
    await this.#watcher?.close()
    await this.#looking
  }

  /** How it is doing. */
  status(): WatchFolderStatus {
    return {
      directory: this.#init.directory,
      pending: this.#pending.size,
      taken: this.#taken,
      failures: [...this.#failures],
    }
  }

  #notice(path: string): void {
    if (!extensions.has(extname(path).toLowerCase()) || this.#pending.has(path)) return
    if (this.#pending.size >= watchFolderLimits.pendingMax) {
      this.#files.inc({ outcome: 'overflow' })
      return
    }
    this.#pending.set(path, { seen: '', sinceMs: this.#clock.monotonicMs(), notBeforeMs: 0 })
  }

  #lookLater(): void {
    if (this.#stopped) return
    this.#cancelLook = this.#clock.after(watchFolderLimits.pollMs, () => {
      this.#looking = this.#look().catch((error: unknown) => {
        this.#logger.error({ err: error }, 'the watched folder could not be looked at')
      })
      void this.#looking.finally(() => this.#lookLater())
    })
  }

  /** One file after the other: each copy has the disk for itself. */
  async #look(): Promise<void> {
    for (const [path, pending] of this.#pending) {
      if (this.#stopped) return
      if (this.#clock.monotonicMs() < pending.notBeforeMs) continue
      const identity = await this.#identity(path)
      if (identity === undefined || this.#remembered.has(identity)) this.#pending.delete(path)
      else if (identity !== pending.seen) {
        pending.seen = identity
        pending.sinceMs = this.#clock.monotonicMs()
      } else if (this.#clock.monotonicMs() - pending.sinceMs >= watchFolderLimits.stableMs) {
        await this.#take(path, pending)
      }
    }
  }

  /** What a file is, whatever its name; undefined when there is nothing to take. */
  async #identity(path: string): Promise<string | undefined> {
    try {
      // A link may lead out of the folder, and so may a folder that was put in place of another.
      const file = await lstat(path, { bigint: true })
      const isInside = `${await realpath(path)}`.startsWith(this.#root + sep)
      if (!file.isFile() || file.size === 0n || !isInside) return undefined
      return `${file.dev}:${file.ino}:${file.size}:${file.mtimeNs}`
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      this.#fail(path, error)
      return undefined
    }
  }

  async #take(path: string, pending: Pending): Promise<void> {
    const title = cleanTitle(titleFromFilename(basename(path)), 'Untitled')
    try {
      const { id } = await this.#library.addFile({ path, title, mode: 'copy' })
      this.#taken += 1
      this.#files.inc({ outcome: 'taken' })
      this.#logger.info({ path, video: id }, 'took a file of the watched folder')
    } catch (error) {
      this.#fail(path, error)
      // Room may come; a file that is no video stays one, until it changes.
      if (isKairoError(error, 'ERR_STORAGE') || isKairoError(error, 'ERR_LIMIT')) {
        pending.notBeforeMs = this.#clock.monotonicMs() + watchFolderLimits.retryMs
        return
      }
    }
    this.#remember(pending.seen)
    this.#pending.delete(path)
  }

  #fail(path: string, error: unknown): void {
    const code = isKairoError(error) ? error.code : 'ERR_STORAGE'
    const name = relative(this.#root, path)
    const known = this.#failures.findIndex((failure) => failure.path === name)
    if (known >= 0) this.#failures.splice(known, 1)
    this.#failures.push({ path: name, code, message: (error as Error).message })
    if (this.#failures.length > watchFolderLimits.failuresMax) this.#failures.shift()
    this.#files.inc({ outcome: 'failed' })
    this.#logger.warn({ err: error, path }, 'a file of the watched folder was not taken')
  }

  #remember(identity: string): void {
    this.#remembered.add(identity)
    const [oldest] = this.#remembered
    if (this.#remembered.size > watchFolderLimits.takenMax && oldest !== undefined) {
      this.#remembered.delete(oldest)
      this.#files.inc({ outcome: 'forgotten' })
    }
    try {
      replaceFile(this.#init.stateFile, JSON.stringify({ taken: [...this.#remembered] }))
    } catch (error) {
      this.#logger.error({ err: error }, 'what was taken from the watched folder is not noted')
    }
  }

  #load(): void {
    let text: string
    try {
      text = readFileSync(this.#init.stateFile, 'utf8')
    } catch (error) {
      // The first start.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw new KairoError('ERR_STORAGE', 'what was taken from the watched folder cannot be read', {
        cause: error,
      })
    }
    const parsed = stateSchema.safeParse(parseJson(text))
    if (!parsed.success) {
      this.#logger.warn({}, 'the memory of the watched folder was damaged; files are taken again')
    }
    for (const identity of parsed.data?.taken ?? []) this.#remembered.add(identity)
  }
}
