// What pages have to load, built in memory as it is for a release, stays within the budget; and what is built still has the names that others know.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { buildBundle, bundles } from '../vite.config.ts'

const budget: Record<string, { gzipBytesMax: number }> = JSON.parse(
  readFileSync(new URL('../size-budget.json', import.meta.url), 'utf8'),
)
/** Of the API, the wire, and browsers' objects. */
const outerNames = ['injectMixin', 'getConfigForHlsJs', 'withinMs', 'onSegmentLoaded', 'saveData']

test('the bundle is within its budget', async (t) => {
  // The largest; what the others are within is looked at when they are built.
  const bundle = bundles[2]
  const code = await buildBundle(bundle, false)
  const bytes = gzipSync(code, { level: 9 }).byteLength
  const max = budget[bundle.file]?.gzipBytesMax ?? 0
  t.ok(bytes <= max, `${bytes} bytes gzip, at most ${max}`)
  for (const name of outerNames) t.ok(code.includes(name), `${name} stays`)
  t.notOk(/schedulerLimits|edgeWaitMs/.test(code), 'limits are numbers')
  t.notOk(/(^|;|})import\b/.test(code), 'nothing is imported')
  const made = new Function(`${code}; return Kairo`)() as Record<string, unknown>
  t.same(Object.keys(made).sort(), ['HlsJsP2PEngine', 'KairoEngine'])
})
