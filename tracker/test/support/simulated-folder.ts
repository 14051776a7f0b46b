/**
 * A folder that behaves as badly as a file system may. Until a sync, what was written may be on the disk or not, sector
 * by sector and in any order; names likewise. It can lose power, fill up, fail a sync (and then forget what was to be
 * written, as Linux does), and flip bits.
 */
import { type CommitFile, type Folder, type FolderFile, SyncError } from '../../src/wal/folder.ts'

/** What a disk writes at once. */
const SECTOR_BYTES = 512

/** Calls that can be made to fail. */
export type FolderCall =
  | 'list'
  | 'open'
  | 'create'
  | 'rename'
  | 'remove'
  | 'sync-folder'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'

/** Draws a whole number in `[0, below)`. */
export type Draw = (below: number) => number

/** Thrown by the call at which the power goes, and by all after it. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut'
}

/** Decides what becomes of a call: an error to throw, or undefined to let it pass. */
export type Interference = (
  call: FolderCall,
  name: string,
  nth: number,
) => NodeJS.ErrnoException | PowerCut | undefined

/** A file's content: what all see, and what the disk has. */
interface Content {
  seen: Uint8Array
  size: number
  disk: Uint8Array
  diskSize: number
  /** By sector, everything that was written there since the last sync. */
  unsynced: Map<number, Uint8Array[]>
}

/** The folder. */
export class SimulatedFolder implements Folder {
  /** Set to interfere with calls. */
  interfere: Interference = () => undefined
  /** Calls so far. */
  calls = 0
  readonly #draw: Draw
  readonly #names: Map<string, Content>
  #diskNames: Map<string, Content>
  /** Changes of names since the last sync, oldest first. */
  #unsyncedNames: ((names: Map<string, Content>) => void)[] = []
  #isOff = false

  constructor(draw: Draw, names: Map<string, Content> = new Map()) {
    this.#draw = draw
    this.#names = names
    this.#diskNames = new Map(names)
  }

  /** What a machine finds after the power was lost; this folder is of no more use. */
  losePower(options: { flipBits?: boolean } = {}): SimulatedFolder {
    this.#isOff = true
    const names = new Map(this.#diskNames)
    // Names change in a journal: some first ones of the changes are there.
    const kept = this.#draw(this.#unsyncedNames.length + 1)
    for (const change of this.#unsyncedNames.slice(0, kept)) change(names)
    const found = new Map<string, Content>()
    for (const [name, content] of names) found.set(name, this.#surviving(content, options))
    return new SimulatedFolder(this.#draw, found)
  }

  /** What the next process finds after this one was killed: the page cache is still there. */
  handOver(): SimulatedFolder {
    this.#isOff = true
    const next = new SimulatedFolder(this.#draw, this.#names)
    next.#diskNames = this.#diskNames
    next.#unsyncedNames = this.#unsyncedNames
    return next
  }

  /** The bytes of a file as all see them, to look at or to damage; undefined when there is none. */
  bytesOf(name: string): Uint8Array | undefined {
    const content = this.#names.get(name)
    return content?.seen.subarray(0, content.size)
  }

  /** Puts a file there, durably. */
  put(name: string, bytes: Uint8Array): void {
    const content = emptyContent()
    content.seen = bytes.slice()
    content.disk = bytes.slice()
    content.size = bytes.length
    content.diskSize = bytes.length
    this.#names.set(name, content)
    this.#diskNames.set(name, content)
  }

  /** Names of all files. */
  names(): string[] {
    return [...this.#names.keys()].sort()
  }

  async list(): Promise<string[]> {
    this.#call('list', '')
    return [...this.#names.keys()]
  }

  async open(name: string): Promise<FolderFile> {
    this.#call('open', name)
    return this.#file(name, this.#content(name))
  }

  async openToCommit(name: string): Promise<CommitFile> {
    const file = await this.open(name)
    return {
      commit: async (bytes, position) => {
        await file.write(bytes, position)
        await file.sync().catch((error: unknown) => {
          throw new SyncError(error)
        })
      },
      close: () => file.close(),
    }
  }

  async create(name: string): Promise<FolderFile> {
    this.#call('create', name)
    if (this.#names.has(name)) throw systemError('EEXIST')
    const content = emptyContent()
    this.#changeNames((names) => names.set(name, content))
    return this.#file(name, content)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call('rename', from)
    const content = this.#content(from)
    this.#changeNames((names) => {
      names.delete(from)
      names.set(to, content)
    })
  }

  async remove(name: string): Promise<void> {
    this.#call('remove', name)
    this.#content(name)
    this.#changeNames((names) => names.delete(name))
  }

  async sync(): Promise<void> {
    this.#call('sync-folder', '')
    this.#diskNames = new Map(this.#names)
    this.#unsyncedNames = []
  }

  #file(name: string, content: Content): FolderFile {
    return {
      size: async () => content.size,
      read: async (into, position) => {
        this.#call('read', name)
        const bytes = content.seen.subarray(
          position,
          Math.min(content.size, position + into.length),
        )
        into.set(bytes)
        return bytes.length
      },
      write: async (bytes, position) => {
        const error = this.#refusal('write', name)
        // A refused write has done some of its work.
        const done = error === undefined ? bytes.length : this.#draw(bytes.length + 1)
        writeInto(content, bytes.subarray(0, done), position)
        if (error !== undefined) throw error
      },
      truncate: async (bytes) => {
        this.#call('truncate', name)
        content.size = bytes
        content.seen.fill(0, bytes)
      },
      sync: async () => {
        const error = this.#refusal('sync', name)
        if (error instanceof PowerCut) throw error
        if (error !== undefined) {
          // Some sectors made it; the others count as written and are not.
          this.#flushSome(content)
          throw error
        }
        flush(content)
      },
      close: async () => {},
    }
  }

  #content(name: string): Content {
    const content = this.#names.get(name)
    if (content === undefined) throw systemError('ENOENT')
    return content
  }

  #changeNames(change: (names: Map<string, Content>) => void): void {
    change(this.#names)
    this.#unsyncedNames.push(change)
  }

  #call(call: FolderCall, name: string): void {
    const error = this.#refusal(call, name)
    if (error !== undefined) throw error
  }

  #refusal(call: FolderCall, name: string): Error | undefined {
    if (this.#isOff) return new PowerCut('the power is off')
    this.calls += 1
    const error = this.interfere(call, name, this.calls)
    if (error instanceof PowerCut) this.#isOff = true
    return error
  }

  #flushSome(content: Content): void {
    for (const [sector, versions] of content.unsynced) {
      const kept = this.#draw(versions.length + 1)
      if (kept > 0) writeSector(content, sector, versions[kept - 1] as Uint8Array)
    }
    content.unsynced.clear()
  }

  #surviving(content: Content, options: { flipBits?: boolean }): Content {
    const before = options.flipBits ? content.disk.slice() : content.disk
    const sectors = [...content.unsynced.keys()]
    this.#flushSome(content)
    const size = this.#draw(2) === 0 ? content.diskSize : content.size
    const bytes = grown(content.disk, size)
    if (options.flipBits) {
      // Only of what was being written: durable bytes beside it in its sector stay.
      const sector = sectors[this.#draw(sectors.length)] ?? 0
      const at = sector * SECTOR_BYTES + this.#draw(SECTOR_BYTES)
      if (at < size && bytes[at] !== before[at])
        bytes[at] = (bytes[at] as number) ^ (1 << this.#draw(8))
    }
    const found = emptyContent()
    found.seen = bytes.slice(0, Math.max(size, 1))
    found.disk = bytes.slice(0, Math.max(size, 1))
    found.size = size
    found.diskSize = size
    return found
  }
}

/** An error as a file system gives it. */
export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: simulated`), { code })
}

function emptyContent(): Content {
  return {
    ...{ seen: new Uint8Array(0), size: 0, disk: new Uint8Array(0), diskSize: 0 },
    unsynced: new Map(),
  }
}

function writeInto(content: Content, bytes: Uint8Array, position: number): void {
  if (bytes.length === 0) return
  const end = position + bytes.length
  content.seen = grown(content.seen, end)
  content.seen.set(bytes, position)
  content.size = Math.max(content.size, end)
  for (let sector = Math.floor(position / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++) {
    const from = sector * SECTOR_BYTES
    const version = content.seen.slice(from, from + SECTOR_BYTES)
    const versions = content.unsynced.get(sector)
    if (versions === undefined) content.unsynced.set(sector, [version])
    else versions.push(version)
  }
}

function flush(content: Content): void {
  for (const [sector, versions] of content.unsynced)
    writeSector(content, sector, versions.at(-1) as Uint8Array)
  content.unsynced.clear()
  content.diskSize = content.size
}

function writeSector(content: Content, sector: number, bytes: Uint8Array): void {
  const from = sector * SECTOR_BYTES
  content.disk = grown(content.disk, from + bytes.length)
  content.disk.set(bytes, from)
}

/** The same bytes in at least `size` of room. */
function grown(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length >= size) return bytes
  const larger = new Uint8Array(Math.max(size, bytes.length * 2))
  larger.set(bytes)
  return larger
}
