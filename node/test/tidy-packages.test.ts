/**
 * The house rules of the packages beside node/ that no linter here knows: rooms, layers, cycles, dead files and exports, and that nothing in them
 * knows the time or chance by itself. How long files are and how they begin is tidy.test.ts's matter. A failure names the file and the rule.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { clientRules } from './support/client-rules.ts'
import type { PackageRules } from './support/package-rules.ts'
import {
  findCycles,
  reachable,
  readSources,
  resolveImport,
  type SourceFile,
} from './support/source-graph.ts'
import { trackerRules } from './support/tracker-rules.ts'

const root = join(import.meta.dirname, '../..')

for (const rules of [trackerRules, clientRules]) {
  test(rules.folder, (t) => checkPackage(t, rules))
}

async function checkPackage(t: Test, rules: PackageRules): Promise<void> {
  const sourceRoot = join(root, rules.folder, 'src')
  const sources = readSources(sourceRoot, '.')
  const byPath = new Map(sources.map((file) => [file.path, file]))

  const targetsOf = (file: SourceFile, typesToo: boolean): string[] =>
    file.imports
      .filter((entry) => typesToo || !entry.typeOnly)
      .map((entry) => resolveImport(file.path, entry.specifier))
      .filter((path) => path !== undefined && byPath.has(path)) as string[]

  await t.test('every file of src has a room, and what it imports exists', async (t) => {
    const homeless = sources.filter((file) => rules.roomOf(file.path) === undefined)
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

  await t.test('imports go down the house, and never out of the package', async (t) => {
    const upward = sources.flatMap((file) =>
      targetsOf(file, true)
        .filter((target) => {
          const [from, to] = [rules.roomOf(file.path), rules.roomOf(target)]
          return from !== undefined && to !== undefined && !rules.allows(from, to, target)
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

  await t.test('what only some rooms may load stays there', async (t) => {
    const strays = sources.flatMap((file) =>
      file.imports
        .filter(({ specifier }) => !rules.mayLoad(rules.roomOf(file.path) ?? '', specifier))
        .map(({ specifier }) => `${file.path} -> ${specifier}`),
    )
    t.strictSame(strays, [])
  })

  await t.test('time and chance are components, so that a simulation drives them', async (t) => {
    const own =
      /\b(?:Date\.now|performance\.now|Math\.random|setTimeout|setInterval|setImmediate)\b/
    const strays = sources.filter(({ path, code }) => !rules.mayKnowTime(path) && own.test(code))
    t.strictSame(
      strays.map((file) => file.path),
      [],
    )
  })

  await t.test('no file imports itself by a detour', async (t) => {
    const running = findCycles(sources, (file) => targetsOf(file, false))
    t.strictSame(
      running.map((cycle) => cycle.join(' -> ')),
      [],
      'values',
    )
    // Types may refer to one another inside a room, never across rooms.
    const across = findCycles(sources, (file) => targetsOf(file, true)).filter(
      (cycle) => new Set(cycle.map((path) => rules.roomOf(path))).size > 1,
    )
    t.strictSame(
      across.map((cycle) => cycle.join(' -> ')),
      [],
      'types across rooms',
    )
  })

  await t.test('every file of src is reached from an entry', async (t) => {
    const alive = reachable(sources, rules.entries)
    t.strictSame(
      sources.map((file) => file.path).filter((path) => !alive.has(path)),
      [],
    )
  })

  await t.test('every export is used outside its file, or there and by its tests', async (t) => {
    const byProgram = takenBy(
      rules.folder,
      [`${rules.folder}/src`, ...rules.users].flatMap((folder) => readSources(root, folder)),
    )
    const byTests = takenBy(rules.folder, readSources(root, `${rules.folder}/test`))
    const usesAtHome = ({ code }: SourceFile, name: string): number =>
      [...code.matchAll(new RegExp(`(?<![\\w$])${name}(?![\\w$])`, 'g'))].length
    // What its own file uses may be looked at by tests; a type that it names is part of what it offers, for a caller may want to write it down.
    const isFine = (file: SourceFile, name: string): boolean =>
      byProgram(file.path).has(name) ||
      (usesAtHome(file, name) > 1 &&
        (['*', name].some((one) => byTests(file.path).has(one)) ||
          file.exportedTypes.includes(name)))
    const dead = sources
      .filter(({ path }) => !rules.entries.includes(path) && !byProgram(path).has('*'))
      .flatMap((file) =>
        file.exports.filter((name) => !isFine(file, name)).map((name) => `${file.path}: ${name}`),
      )
    t.strictSame(dead, [])
  })

  await t.test('every limit is used', async (t) => {
    const isLimits = ({ path }: SourceFile): boolean => /(?:^|[/-])limits\.ts$/.test(path)
    const limits = sources.filter(isLimits)
    const groups = /^export const (\w+) = \{([\s\S]*?)^\}/gm
    const unused = limits.flatMap(({ code }) =>
      [...code.matchAll(groups)].flatMap(([, group, body]) =>
        [...(body as string).matchAll(/^ {2}(\w+):/gm)]
          .map((match) => match[1] as string)
          .filter((name) => {
            const uses = new RegExp(`\\b${name}\\b`, 'g')
            const count = sources.reduce(
              (sum, file) => sum + [...file.code.matchAll(uses)].length,
              0,
            )
            return count < 2
          })
          .map((name) => `${group}.${name}`),
      ),
    )
    t.strictSame(unused, [])
  })
}

/** Names that files of a folder take from each file of a package's sources, by its path there. */
function takenBy(
  folder: string,
  files: readonly SourceFile[],
): (path: string) => ReadonlySet<string> {
  const taken = new Map<string, Set<string>>()
  for (const { path, imports } of files) {
    for (const { specifier, names } of imports) {
      const target = resolveImport(path, specifier)
      if (target?.startsWith(`${folder}/src/`) !== true) continue
      const known = taken.get(target) ?? new Set()
      for (const name of names) known.add(name)
      taken.set(target, known)
    }
  }
  return (path) => taken.get(`${folder}/src/${path}`) ?? new Set()
}
