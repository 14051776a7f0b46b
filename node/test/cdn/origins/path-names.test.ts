/** Paths as names: properties that hold for every target. */
import { equal, ok } from 'node:assert/strict'
import { posix } from 'node:path'
import fc from 'fast-check'
import { test } from 'tap'
import { pathNames } from '../../../src/cdn/origins/path-names.ts'

const piece = fc.oneof(
  fc.constantFrom(
    '..',
    '.',
    '%2e',
    '%2E.',
    '%2f',
    '%5c',
    '\\',
    ';',
    '?',
    '#',
    '%00',
    '%',
    '//',
    '%c0%af',
  ),
  fc.string({ maxLength: 8 }),
  fc.webPath(),
)
const target = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('/')}`)

test('no target names anything outside, or anything hidden', async () => {
  fc.assert(
    fc.property(target, (text) => {
      const path = pathNames(text, 64)
      if (path === undefined) return
      const joined = posix.join('/root', ...path.names)
      ok(joined === '/root' || joined.startsWith('/root/'))
      equal(joined.split('/').length, path.names.length + 2)
      ok(!path.names.some((name) => /[/\\\0]/.test(name)))
      ok(
        !path.names.some(
          (name, at) => name.startsWith('.') && !(at === 0 && name === '.well-known'),
        ),
      )
      ok(path.names.length <= 64)
    }),
    { numRuns: 2_000 },
  )
})

test('what is encoded comes back as it was', async () => {
  const name = fc
    .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
    .filter((text) => !/[/\\\p{Cc}]|^\./u.test(text) && text.isWellFormed())
  fc.assert(
    fc.property(fc.array(name, { maxLength: 8 }), fc.boolean(), (names, isFolder) => {
      const text = `/${names.map(encodeURIComponent).join('/')}${isFolder && names.length > 0 ? '/' : ''}`
      const path = pathNames(text, 8)
      return JSON.stringify(path?.names) === JSON.stringify(names)
    }),
  )
})
