// Text for people: tables and wrapped definitions.
import { test } from 'tap'
import { formatBytes, formatDefinitions, formatSeconds, formatTable } from '../../src/cli/output.ts'

test('definitions are wrapped beside their names', async (t) => {
  const text = 'Address of the HTTP server: players, pages and metrics.'
  t.same(formatDefinitions([['--http', text]], 40).split('\n'), [
    '--http  Address of the HTTP server:',
    '        players, pages and metrics.',
  ])
  t.equal(formatDefinitions([['--http', text]], 200), `--http  ${text}`)
  t.equal(
    formatDefinitions([['a', 'x'.repeat(60)]], 10),
    `a  ${'x'.repeat(60)}`,
    'a word is never cut',
  )
})

test('tables and figures', async (t) => {
  t.equal(formatTable([['a', 'bb'], ['ccc', 'd'], []]), 'a    bb\nccc  d\n')
  t.same([0, 1536, 5 * 1024 ** 4].map(formatBytes), ['0 B', '1.5 KiB', '5.0 TiB'])
  t.same([59, 61, 3_725, 90_000].map(formatSeconds), ['59s', '1m 1s', '1h 2m', '1d 1h'])
})
