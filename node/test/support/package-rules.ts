/** The house rules of a package beside node/: its rooms as data, and who may import and load what. */

/** What a package says of itself. */
export interface PackageRulesInit {
  /** Where it lies, by its path in the repository. */
  readonly folder: string
  /** Files directly in `src`, by what they are. */
  readonly rootFiles: Readonly<Record<string, readonly string[]>>
  /** Rooms that a room may import besides itself, lowest first. A path names one file of a room. */
  readonly mayImport: Readonly<Record<string, readonly string[]>>
  /** What only some rooms may load: what has weight, and what a simulation cannot drive. */
  readonly packageRooms: Readonly<Record<string, readonly string[]>>
  /** Files through which the package is entered. */
  readonly entries: readonly string[]
  /** Files and rooms that may look at the machine's clock and draw numbers: everywhere else both are components. */
  readonly knowTime: readonly string[]
  /** Folders of the repository, besides its own sources, whose imports count as use. */
  readonly users: readonly string[]
}

/** The rules of a package. */
export class PackageRules {
  readonly folder: string
  readonly entries: readonly string[]
  readonly users: readonly string[]
  readonly #init: PackageRulesInit

  constructor(init: PackageRulesInit) {
    this.folder = init.folder
    this.entries = init.entries
    this.users = init.users
    this.#init = init
  }

  /** The room of a file, given its path in `src`; undefined when the house has no place for it. */
  roomOf(path: string): string | undefined {
    const { mayImport, rootFiles } = this.#init
    const [first, ...rest] = path.split('/') as [string, ...string[]]
    if (rest.length > 0) return first in mayImport ? first : undefined
    return Object.entries(rootFiles).find(([, files]) => files.includes(first))?.[0]
  }

  /** True when a file of `room` may import the file at `path` of `target`. */
  allows(room: string, target: string, path: string): boolean {
    const allowed = this.#init.mayImport[room] ?? []
    return room === target || allowed.includes(target) || allowed.includes(path)
  }

  /** Whether a room may load a package or a module of Node's. */
  mayLoad(room: string, specifier: string): boolean {
    return this.#init.packageRooms[specifier]?.includes(room) ?? true
  }

  mayKnowTime(path: string): boolean {
    const { knowTime } = this.#init
    return knowTime.includes(path) || knowTime.includes(this.roomOf(path) ?? '')
  }
}
