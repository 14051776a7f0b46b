/** A request's path as names of folders and files, for origins that look names up themselves. */

/** `/` before, between and after. */
export interface PathNames {
  /** Percent-decoded once; none is empty, hidden, or holds a separator. */
  readonly names: readonly string[]
  /** True when the path ends with `/`: a folder is meant. */
  readonly isFolder: boolean
}

/** Characters that end or separate names on some system. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const separators = /[/\\\x00-\x1f\x7f]/

/**
 * Reads the path of a target (its query does not count). Undefined for what names nothing: broken percent-encoding or UTF-8, empty
 * names, hidden names.
 */
export function pathNames(target: string, namesMax: number): PathNames | undefined {
  const path = target.split(/[?#]/, 1)[0] as string
  if (!path.startsWith('/')) return undefined
  const isFolder = path.endsWith('/')
  const encoded = path.slice(1, isFolder ? -1 : undefined)
  if (path === '/') return { names: [], isFolder }
  const pieces = encoded.split('/', namesMax + 1)
  if (pieces.length > namesMax) return undefined
  const names: string[] = []
  for (const piece of pieces) {
    const name = decoded(piece)
    if (name === undefined || name === '' || separators.test(name)) return undefined
    if (isHiddenName(name, names.length)) return undefined
    names.push(name)
  }
  return { names, isFolder }
}

/** True for `.`, `..` and hidden files; `.well-known` at the top is for the public by its purpose (RFC 8615). */
export function isHiddenName(name: string, depth: number): boolean {
  return name.startsWith('.') && !(depth === 0 && name === '.well-known')
}

function decoded(piece: string): string | undefined {
  try {
    return decodeURIComponent(piece)
  } catch {
    // Broken percent-encoding, or bytes that are no UTF-8.
    return undefined
  }
}
