/** A simulated folder whose syncs take time, and that remembers what of each file is durable for certain. */
import type { Clock } from '../../../src/clock.ts'
import {
  type CommitFile,
  type Folder,
  type FolderFile,
  SyncError,
} from '../../../src/wal/folder.ts'
import type { SimulatedFolder } from '../simulated-folder.ts'

/** How long each sync takes. */
export interface DiskPace {
  syncMs: () => number
}

/** The folder. */
export class SlowFolder implements Folder {
  readonly inner: SimulatedFolder
  /** Where the last commit of a file began: what lies before it is known to be durable, whatever a start thinks of the tail. */
  readonly lastCommits = new Map<string, number>()
  readonly #clock: Clock
  readonly #pace: DiskPace

  constructor(inner: SimulatedFolder, clock: Clock, pace: DiskPace) {
    this.inner = inner
    this.#clock = clock
    this.#pace = pace
  }

  list(): Promise<string[]> {
    return this.inner.list()
  }

  async open(name: string): Promise<FolderFile> {
    const file = await this.inner.open(name)
    return this.#slow(file)
  }

  async openToCommit(name: string): Promise<CommitFile> {
    const file = await this.inner.open(name)
    return {
      commit: async (bytes, position) => {
        await file.write(bytes, position)
        this.lastCommits.set(name, position)
        // The power may go between the two.
        await this.#wait()
        await file.sync().catch((error: unknown) => {
          throw new SyncError(error)
        })
      },
      close: () => file.close(),
    }
  }

  async create(name: string): Promise<FolderFile> {
    return this.#slow(await this.inner.create(name))
  }

  async rename(from: string, to: string): Promise<void> {
    await this.inner.rename(from, to)
    this.lastCommits.delete(to)
  }

  remove(name: string): Promise<void> {
    return this.inner.remove(name)
  }

  async sync(): Promise<void> {
    await this.#wait()
    await this.inner.sync()
  }

  #slow(file: FolderFile): FolderFile {
    return {
      size: () => file.size(),
      read: (into, position) => file.read(into, position),
      write: (bytes, position) => file.write(bytes, position),
      truncate: (bytes) => file.truncate(bytes),
      sync: async () => {
        await this.#wait()
        await file.sync()
      },
      close: () => file.close(),
    }
  }

  #wait(): Promise<void> | undefined {
    const ms = this.#pace.syncMs()
    if (ms === 0) return undefined
    return new Promise((resolve) => {
      this.#clock.after(ms, resolve)
    })
  }
}
