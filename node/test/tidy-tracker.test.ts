/**
 * The house rules of the tracker's package that no linter here knows: rooms, layers, cycles, dead files and exports, and that nothing in it
 * knows the time or chance by itself. How long files are and how they begin is tidy.test.ts's matter. A failure names the file and the rule.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import {
  findCycles,
  reachable,
  readSources,
  resolveImport,
  type SourceFile,
} from './support/source-graph.ts'
import {
  mayKnowTime,
  trackerAllows,
  trackerEntries,
  trackerMayLoad,
  trackerRoomOf,
} from './support/tracker-rules.ts'

const root = join(import.meta.dirname, '../..')
const sourceRoot = join(root, 'tracker/src')
const sources = readSources(sourceRoot, '.')
const byPath = new Map(sources.map((file) => [file.path, file]))

const targetsOf = (file: SourceFile, typesToo: boolean): string[] =>
  file.imports
    .filter((entry) => typesToo || !entry.typeOnly)
    .map((entry) => resolveImport(file.path, entry.specifier))
    .filter((path) => path !== undefined && byPath.has(path)) as string[]

test('every file of tracker/src has a room, and what it imports exists', async (t) => {
  const homeless = sources.filter((file) => trackerRoomOf(file.path) === undefined)
  t.strictSame(
    homeless.map((file) => file.path),
    [],
  )
  const missing = sources.flatMap((file) =>
    file.imports
      .map(({ specifier }) => resolveImport(file.path, specifier))
      .filter((path) => path !== undefined && !existsSync(join(sourceRoot, path)))
      .map((path) => `${file.path} -> ${path}`),
  )
  t.strictSame(missing, [])
})

test('imports go down the house, and never out of the package', async (t) => {
  const upward = sources.flatMap((file) =>
    targetsOf(file, true)
      .filter((target) => {
        const [from, to] = [trackerRoomOf(file.path), trackerRoomOf(target)]
        return from !== undefined && to !== undefined && !trackerAllows(from, to, target)
      })
      .map((target) => `${file.path} -> ${target}`),
  )
  t.strictSame(upward, [])
  const outside = sources.flatMap((file) =>
    file.imports
      .filter(({ specifier }) => resolveImport(file.path, specifier)?.startsWith('..'))
      .map(({ specifier }) => `${file.path} -> ${specifier}`),
  )
  t.strictSame(outside, [])
})

test('what only some rooms may load stays there', async (t) => {
  const strays = sources.flatMap((file) =>
    file.imports
      .filter(({ specifier }) => !trackerMayLoad(trackerRoomOf(file.path) ?? '', specifier))
      .map(({ specifier }) => `${file.path} -> ${specifier}`),
  )
  t.strictSame(strays, [])
})

test('time and chance are components, so that a simulation drives them', async (t) => {
  const own = /\b(?:Date\.now|performance\.now|Math\.random|setTimeout|setInterval|setImmediate)\b/
  const strays = sources.filter(({ path, code }) => !mayKnowTime(path) && own.test(code))
  t.strictSame(
    strays.map((file) => file.path),
    [],
  )
})

test('no file imports itself by a detour', async (t) => {
  const running = findCycles(sources, (file) => targetsOf(file, false))
  t.strictSame(
    running.map((cycle) => cycle.join(' -> ')),
    [],
    'values',
  )
  // Types may refer to one another inside a room, never across rooms.
  const across = findCycles(sources, (file) => targetsOf(file, true)).filter(
    (cycle) => new Set(cycle.map(trackerRoomOf)).size > 1,
  )
  t.strictSame(
    across.map((cycle) => cycle.join(' -> ')),
    [],
    'types across rooms',
  )
})

test('every file of tracker/src is reached from an entry', async (t) => {
  const alive = reachable(sources, trackerEntries)
  t.strictSame(
    sources.map((file) => file.path).filter((path) => !alive.has(path)),
    [],
  )
})

/** Names that files of a folder take from each file of tracker/src, by its path there. */
function takenBy(files: readonly SourceFile[]): (path: string) => ReadonlySet<string> {
  const taken = new Map<string, Set<string>>()
  for (const { path, imports } of files) {
    for (const { specifier, names } of imports) {
      const target = resolveImport(path, specifier)
      if (target?.startsWith('tracker/src/') !== true) continue
      const known = taken.get(target) ?? new Set()
      for (const name of names) known.add(name)
      taken.set(target, known)
    }
  }
  return (path) => taken.get(`tracker/src/${path}`) ?? new Set()
}

test('every export is used outside its file, or there and by its tests', async (t) => {
  const byProgram = takenBy(['tracker/src', 'bench'].flatMap((folder) => readSources(root, folder)))
  const byTests = takenBy(readSources(root, 'tracker/test'))
  const usesAtHome = ({ code }: SourceFile, name: string): number =>
    [...code.matchAll(new RegExp(`(?<![\\w$])${name}(?![\\w$])`, 'g'))].length
  // What its own file uses may be looked at by tests; a type that it names is part of what it offers, for a caller may want to write it down.
  const isFine = (file: SourceFile, name: string): boolean =>
    byProgram(file.path).has(name) ||
    (usesAtHome(file, name) > 1 &&
      (['*', name].some((one) => byTests(file.path).has(one)) || file.exportedTypes.includes(name)))
  const dead = sources
    .filter(({ path }) => !trackerEntries.includes(path) && !byProgram(path).has('*'))
    .flatMap((file) =>
      file.exports.filter((name) => !isFine(file, name)).map((name) => `${file.path}: ${name}`),
    )
  t.strictSame(dead, [])
})

test('every limit is used', async (t) => {
  const isLimits = ({ path }: SourceFile): boolean => /(?:^|[/-])limits\.ts$/.test(path)
  const limits = sources.filter(isLimits)
  const groups = /^export const (\w+) = \{([\s\S]*?)^\}/gm
  const unused = limits.flatMap(({ code }) =>
    [...code.matchAll(groups)].flatMap(([, group, body]) =>
      [...(body as string).matchAll(/^ {2}(\w+):/gm)]
        .map((match) => match[1] as string)
        .filter((name) => {
          const uses = new RegExp(`\\b${name}\\b`, 'g')
          const count = sources.reduce((sum, file) => sum + [...file.code.matchAll(uses)].length, 0)
          return count < 2
        })
        .map((name) => `${group}.${name}`),
    ),
  )
  t.strictSame(unused, [])
})
