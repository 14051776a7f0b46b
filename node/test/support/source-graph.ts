/** What a TypeScript file imports and exports, and how the files of a folder hang together. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { type SourceText, splitSource } from './source-text.ts'

/** One import, re-export, dynamic import or `new URL(…, import.meta.url)`. */
export interface Import {
  /** As written: a package, or a path. */
  readonly specifier: string
  /** True when nothing of it is left after type stripping. */
  readonly typeOnly: boolean
  /** Names taken from the module; `*` means all of them. */
  readonly names: readonly string[]
}

/** One file. */
export interface SourceFile extends SourceText {
  /** Relative to the scanned root, with `/`. */
  readonly path: string
  readonly imports: readonly Import[]
  /** Names exported by declarations and lists of this file, re-exports included. */
  readonly exports: readonly string[]
  /** Of these, the interfaces and type aliases. */
  readonly exportedTypes: readonly string[]
}

const FROM =
  /\b(import|export)\s+(type\s+)?((?:[\w$]+\s*,?\s*)?(?:\{[^}]*\}|\*(?:\s*as\s+[\w$]+)?)?)\s*\bfrom\s*(['"])/g
const BARE = /\bimport\s*(['"])/g
const DYNAMIC = /\bimport\(\s*(['"])/g
const LOCATED =
  /\bnew\s+URL\(\s*(['"])(?=[^'"]*['"]\s*,\s*import\.meta\.url)|\bimport\.meta\.resolve\(\s*(['"])/g
const DECLARED =
  /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:const|let|function\*?|class|interface|type|enum)\s+([\w$]+)/gm
const DECLARED_TYPE = /^export\s+(?:declare\s+)?(?:interface|type)\s+([\w$]+)/gm
const LISTED = /^export\s+(?:type\s+)?\{([^}]*)\}/gm

/** Reads the files with an extension below a folder; generated code is left out. */
export function readSources(root: string, folder: string, extension = '.ts'): SourceFile[] {
  return listFiles(root, folder)
    .filter((path) => path.endsWith(extension) && !path.includes('/generated/'))
    .map((path) => parseSource(path, readFileSync(join(root, path), 'utf8')))
}

/** Files below a folder, relative to `root`, in order; dependencies and build results are left out. */
export function listFiles(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return []
  const skipped = new Set(['node_modules', 'dist', '.tap', '.git', '.cache'])
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => !skipped.has(entry.name))
    .flatMap((entry) => {
      const path = folder === '.' ? entry.name : `${folder}/${entry.name}`
      return entry.isDirectory() ? listFiles(root, path) : [path]
    })
    .sort()
}

/** Reads one file's text. */
export function parseSource(path: string, raw: string): SourceFile {
  const text = splitSource(raw)
  const exportedTypes = [...text.code.matchAll(DECLARED_TYPE)].map((match) => match[1] as string)
  return { path, ...text, imports: importsOf(text), exports: exportsOf(text), exportedTypes }
}

/** The scanned file that an import names, or undefined for a package or a file outside. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return relative('.', join(dirname(from), specifier))
    .split('\\')
    .join('/')
}

/** The package that an import names: `@scope/name` or `name`; undefined for paths and for Node's own modules. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

/** Cycles among files: each as the paths on it. Edges come from `edgesOf`. */
export function findCycles(
  files: readonly SourceFile[],
  edgesOf: (file: SourceFile) => readonly string[],
): string[][] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const cycles: string[][] = []
  const visit = (path: string, trail: string[]): void => {
    const start = trail.indexOf(path)
    if (start !== -1) cycles.push([...trail.slice(start), path])
    const file = byPath.get(path)
    if (start !== -1 || done.has(path) || file === undefined) return
    for (const next of edgesOf(file)) visit(next, [...trail, path])
    done.add(path)
  }
  for (const file of files) visit(file.path, [])
  return cycles
}

/** Paths reached from the entries along imports of every kind. */
export function reachable(files: readonly SourceFile[], entries: readonly string[]): Set<string> {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const seen = new Set<string>()
  const queue = [...entries]
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const file = byPath.get(path)
    if (seen.has(path) || file === undefined) continue
    seen.add(path)
    for (const { specifier } of file.imports) {
      const target = resolveImport(path, specifier)
      if (target !== undefined) queue.push(target)
    }
  }
  return seen
}

function importsOf(text: SourceText): Import[] {
  const specifierAt = (quoteAt: number): string => {
    const quote = text.raw[quoteAt] as string
    return text.raw.slice(quoteAt + 1, text.raw.indexOf(quote, quoteAt + 1))
  }
  const end = (match: RegExpExecArray): number => match.index + match[0].length - 1
  return [
    ...[...text.code.matchAll(FROM)].map((match) => ({
      specifier: specifierAt(end(match)),
      ...clauseOf(match[2] !== undefined, match[3] ?? ''),
    })),
    ...[...text.code.matchAll(BARE)].map((match) => ({
      specifier: specifierAt(end(match)),
      typeOnly: false,
      names: [],
    })),
    ...[...text.code.matchAll(DYNAMIC), ...text.code.matchAll(LOCATED)].map((match) => ({
      specifier: specifierAt(end(match)),
      typeOnly: false,
      names: ['*'],
    })),
  ]
}

function clauseOf(typeKeyword: boolean, clause: string): Omit<Import, 'specifier'> {
  if (clause.includes('*')) return { typeOnly: typeKeyword, names: ['*'] }
  const listed = splitList(/\{([^}]*)\}/.exec(clause)?.[1] ?? '')
  const names = listed.map((item) => item.replace(/^type\s+/, '').split(/\s+as\s+/)[0] as string)
  const bare = clause
    .replace(/\{[^}]*\}/, '')
    .replace(',', '')
    .trim()
  const allTypes = bare === '' && listed.length > 0 && listed.every((item) => /^type\s/.test(item))
  return { typeOnly: typeKeyword || allTypes, names: bare === '' ? names : [...names, 'default'] }
}

function exportsOf(text: SourceText): string[] {
  const declared = [...text.code.matchAll(DECLARED)].map((match) => match[1] as string)
  const listed = [...text.code.matchAll(LISTED)].flatMap((match) =>
    splitList(match[1] ?? '').map(
      (item) =>
        item
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)
          .at(-1) as string,
    ),
  )
  return [...declared, ...listed]
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
