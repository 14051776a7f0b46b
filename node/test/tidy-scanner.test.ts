/** The tidy test is only as good as its scanner: what it must see, and what must not fool it. */
import { test } from 'tap'
import { allowsImport, roomOf, roomsOfPackage } from './support/house-rules.ts'
import {
  findCycles,
  packageOf,
  parseSource,
  reachable,
  resolveImport,
} from './support/source-graph.ts'
import { splitSource } from './support/source-text.ts'

test('comments, strings, templates and regular expressions are told apart', async (t) => {
  const source = [
    "const a = 'not // a comment' // but this is",
    'const b = /[/"]\\/x/.test(a) /* and this */',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the source under test.
    'const c = `text ${`inner ${b} "` + fn({ k: 1 })} tail` // last',
    'const d = e / f / g',
  ].join('\n')
  const { code, comments, raw } = splitSource(source)
  t.equal(code.length, raw.length)
  t.equal(comments.length, raw.length)
  t.strictSame(
    comments.split('\n').map((line) => line.trim()),
    ['// but this is', '/* and this */', '// last', ''],
  )
  t.match(code, /fn\(\{ k: 1 \}\)/)
  t.notMatch(code, /inner|text|tail|not/)
  t.match(code, /e \/ f \/ g/)
})

test('imports of every kind are seen, with what they take', async (t) => {
  const file = parseSource(
    'a/b.ts',
    [
      "import def, { one, type Two as Zwei } from './x.ts'",
      "import type { Three } from '../y.ts'",
      "import { type Four, type Five } from 'pkg/sub'",
      "import * as all from '@scope/name/deep'",
      "export { six as seven } from './z.ts'",
      "export * from './w.ts'",
      "import 'side-effect'",
      "const lazy = await import('./lazy.ts')",
      "const child = new URL('./child.ts', import.meta.url)",
      'const text = "import { no } from \'./no.ts\'"',
      "// import { no } from './no.ts'",
      'export const value = 1',
      "export async function from(): Promise<string> { return 'x' }",
    ].join('\n'),
  )
  t.strictSame(
    file.imports.map(({ specifier, typeOnly, names }) => [specifier, typeOnly, names]),
    [
      ['./x.ts', false, ['one', 'Two', 'default']],
      ['../y.ts', true, ['Three']],
      ['pkg/sub', true, ['Four', 'Five']],
      ['@scope/name/deep', false, ['*']],
      ['./z.ts', false, ['six']],
      ['./w.ts', false, ['*']],
      ['side-effect', false, []],
      ['./lazy.ts', false, ['*']],
      ['./child.ts', false, ['*']],
    ],
  )
  t.strictSame([...file.exports].sort(), ['from', 'seven', 'value'])
})

test('paths and packages resolve', async (t) => {
  t.equal(resolveImport('a/b.ts', '../y.ts'), 'y.ts')
  t.equal(resolveImport('a/b.ts', './c/d.ts'), 'a/c/d.ts')
  t.equal(resolveImport('a/b.ts', 'libp2p'), undefined)
  t.equal(packageOf('@scope/name/deep'), '@scope/name')
  t.equal(packageOf('pkg/sub'), 'pkg')
  t.equal(packageOf('node:fs'), undefined)
  t.equal(packageOf('./x.ts'), undefined)
})

test('cycles and dead files are found', async (t) => {
  const files = [
    parseSource('a.ts', "import './b.ts'"),
    parseSource('b.ts', "import './c.ts'"),
    parseSource('c.ts', "import './b.ts'"),
    parseSource('d.ts', "import './a.ts'"),
  ]
  const edges = (file: (typeof files)[number]): string[] =>
    file.imports.map((entry) => resolveImport(file.path, entry.specifier) as string)
  t.strictSame(findCycles(files, edges), [['b.ts', 'c.ts', 'b.ts']])
  t.strictSame([...reachable(files, ['a.ts'])].sort(), ['a.ts', 'b.ts', 'c.ts'])
})

test('the layers say no where they must', async (t) => {
  t.equal(roomOf('errors.ts'), 'shared')
  t.equal(roomOf('media/cmaf/box.ts'), 'media')
  t.equal(roomOf('cellar/box.ts'), undefined)
  t.equal(roomOf('stray.ts'), undefined)
  t.ok(allowsImport('api', 'delivery', 'delivery/hls.ts'))
  t.ok(allowsImport('media', 'content', 'content/stream.ts'))
  t.notOk(allowsImport('media', 'content', 'content/store/store.ts'))
  t.notOk(allowsImport('content', 'delivery', 'delivery/hls.ts'))
  t.notOk(allowsImport('delivery', 'api', 'api/routes.ts'))
  t.notOk(allowsImport('http', 'content', 'content/stream.ts'))
  t.strictSame(roomsOfPackage('@libp2p/tcp'), ['host'])
  t.equal(roomsOfPackage('zod'), undefined)
})
