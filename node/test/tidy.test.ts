/**
 * The house rules that no linter here knows: file length, layers, cycles, dead files and exports, dead links, names in
 * their place, limits in use, generated code in step with its source. A failure names the file and the rule.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'tap'
import { allowsImport, mythicNames, roomOf, roomsOfPackage } from './support/house-rules.ts'
import {
  findCycles,
  listFiles,
  packageOf,
  reachable,
  readSources,
  resolveImport,
  type SourceFile,
} from './support/source-graph.ts'

const LINES_MAX = 500
const root = join(import.meta.dirname, '../..')
const sourceRoot = join(root, 'node/src')

const sources = readSources(sourceRoot, '.')
const byPath = new Map(sources.map((file) => [file.path, file]))
/** Everything written by hand in TypeScript or plain JavaScript, by its path in the repository. */
const written = [
  'node/src',
  'node/test',
  'node/web',
  'tracker',
  'client-lib',
  'bench',
  'scripts',
].flatMap((folder) =>
  ['.ts', '.tsx', '.mjs', '.js'].flatMap((extension) => readSources(root, folder, extension)),
)

const targetsOf = (file: SourceFile, typesToo: boolean): string[] =>
  file.imports
    .filter((entry) => typesToo || !entry.typeOnly)
    .map((entry) => resolveImport(file.path, entry.specifier))
    .filter((path) => path !== undefined && byPath.has(path)) as string[]

test('no file is longer than the limit', async (t) => {
  const long = written
    .map((file) => ({ path: file.path, lines: file.raw.split('\n').length - 1 }))
    .filter((file) => file.lines > LINES_MAX)
  t.strictSame(long, [])
})

test('every file starts by saying what it is for', async (t) => {
  const silent = written.filter(
    (file) => !/^(?:#![^\n]*\n)?\s*\/[/*]/.test(file.raw) && !file.path.endsWith('.d.ts'),
  )
  t.strictSame(
    silent.map((file) => file.path),
    [],
  )
})

test('every file of node/src has a room', async (t) => {
  t.strictSame(
    sources.filter((file) => roomOf(file.path) === undefined).map((file) => file.path),
    [],
  )
})

test('imports go down the house', async (t) => {
  const upward = sources.flatMap((file) =>
    targetsOf(file, true)
      .filter((target) => {
        const [from, to] = [roomOf(file.path), roomOf(target)]
        return from !== undefined && to !== undefined && !allowsImport(from, to, target)
      })
      .map((target) => `${file.path} -> ${target}`),
  )
  t.strictSame(upward, [])
})

test('a path that is imported exists', async (t) => {
  const missing = sources.flatMap((file) =>
    file.imports
      .map(({ specifier }) => resolveImport(file.path, specifier))
      .filter((path) => path !== undefined && !existsSync(join(sourceRoot, path)))
      .map((path) => `${file.path} -> ${path}`),
  )
  t.strictSame(missing, [])
})

test('packages with weight stay in their rooms', async (t) => {
  const strays = sources.flatMap((file) =>
    file.imports
      .map(({ specifier }) => packageOf(specifier))
      .filter((name) => {
        const rooms = name === undefined ? undefined : roomsOfPackage(name)
        return rooms !== undefined && !rooms.includes(roomOf(file.path) ?? '')
      })
      .map((name) => `${file.path} -> ${name}`),
  )
  t.strictSame(strays, [])
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
    (cycle) => new Set(cycle.map(roomOf)).size > 1,
  )
  t.strictSame(
    across.map((cycle) => cycle.join(' -> ')),
    [],
    'types across rooms',
  )
})

test('every file of node/src is reached from an entry', async (t) => {
  const web = readSources(root, 'node/web').flatMap((file) =>
    file.imports
      .map(({ specifier }) => resolveImport(file.path, specifier))
      .filter((path) => path?.startsWith('node/src/'))
      .map((path) => (path as string).slice('node/src/'.length)),
  )
  const alive = reachable(sources, ['index.ts', 'cli.ts', ...web])
  t.strictSame(
    sources.map((file) => file.path).filter((path) => !alive.has(path)),
    [],
  )
})

test('every export is used outside its file', async (t) => {
  const used = new Map<string, Set<string>>()
  const users = [
    ...sources,
    ...readSources(root, 'node/web').map((file) => ({ ...file, path: `../${file.path.slice(5)}` })),
  ]
  for (const file of users) {
    for (const { specifier, names } of file.imports) {
      // The pages are seen from node/src, and name its files by the way back.
      const target = resolveImport(file.path, specifier)?.replace(/^\.\.\/src\//, '')
      if (target === undefined) continue
      const known = used.get(target) ?? new Set()
      for (const name of names) known.add(name)
      used.set(target, known)
    }
  }
  // A type that other lines of its file name is part of what that file offers: a caller may want to write it down.
  const isNamedAtHome = (file: SourceFile, name: string): boolean =>
    file.exportedTypes.includes(name) &&
    [...file.code.matchAll(new RegExp(`(?<![\\w$])${name}(?![\\w$])`, 'g'))].length > 1
  const dead = sources
    .filter((file) => file.path !== 'index.ts')
    .flatMap((file) => {
      const names = used.get(file.path) ?? new Set()
      return names.has('*')
        ? []
        : file.exports
            .filter((name) => !names.has(name) && !isNamedAtHome(file, name))
            .map((name) => `${file.path}: ${name}`)
    })
  t.strictSame(dead, [])
})

test('links in the documents lead somewhere', async (t) => {
  const documents = listFiles(root, '.').filter((path) => path.endsWith('.md'))
  const dead = documents.flatMap((path) => {
    const text = readFileSync(join(root, path), 'utf8').replace(/```[\s\S]*?```/g, '')
    return [...text.matchAll(/\]\(([^)\s#]+)(?:#[^)\s]*)?\)/g)]
      .map((match) => match[1] as string)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => !existsSync(join(root, dirname(path), link)))
      .map((link) => `${path} -> ${link}`)
  })
  t.strictSame(dead, [])
})

test('product names name a surface, never a mechanism', async (t) => {
  const pattern = new RegExp(`(?:${mythicNames.join('|')})`, 'i')
  const surface = /^node\/(?:src\/api|web)\/|^node\/test\/(?:api\/|support\/house-rules\.ts$)/
  const strays = written.filter((file) => !surface.test(file.path) && pattern.test(file.raw))
  t.strictSame(
    strays.map((file) => file.path),
    [],
  )
})

test('nothing is left for later', async (t) => {
  const marks = new RegExp(`\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'XXX', 'HACK'].join('|')})\\b`)
  const left = written.filter((file) => marks.test(file.comments))
  t.strictSame(
    left.map((file) => file.path),
    [],
  )
})

test('every limit is used', async (t) => {
  const isLimits = ({ path }: SourceFile): boolean =>
    path === 'limits.ts' || path.startsWith('limits/')
  const limits = sources.filter(isLimits).map((file) => file.code)
  const others = sources.filter((file) => !isLimits(file)).map((file) => file.code)
  const groups = /^export const (\w+) = \{([\s\S]*?)^\}/gm
  const unused = [...limits.join('\n').matchAll(groups)].flatMap(([, group, body]) =>
    [...(body as string).matchAll(/^ {2}(\w+):/gm)]
      .map((match) => match[1] as string)
      .filter((name) => !others.some((code) => new RegExp(`\\b${name}\\b`).test(code)))
      .map((name) => `${group}.${name}`),
  )
  t.strictSame(unused, [])
})

test('generated code is what its source gives', async (t) => {
  const output = mkdtempSync(join(tmpdir(), 'kairo-tidy-'))
  t.teardown(() => rmSync(output, { recursive: true, force: true }))
  const buf = spawnSync(join(root, 'node_modules/.bin/buf'), ['generate', '-o', output], {
    cwd: join(root, 'node'),
    env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` },
    encoding: 'utf8',
  })
  t.equal(buf.status, 0, buf.stderr)
  const folder = 'src/protocol/generated'
  const fresh = listFiles(output, folder)
  t.strictSame(listFiles(join(root, 'node'), folder), fresh, 'the same files')
  for (const path of fresh) {
    t.ok(
      readFileSync(join(root, 'node', path)).equals(readFileSync(join(output, path))),
      `${path} is up to date`,
    )
  }
})
