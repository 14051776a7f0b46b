/** The core is a pure state machine: it imports nothing but itself and asks nobody for time, chance or bytes. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

const folder = join(import.meta.dirname, '../../src/raft')
const sources = readdirSync(folder).map((name) => ({
  name,
  code: readFileSync(join(folder, name), 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, ''),
}))

test('the core imports nothing but itself', async (t) => {
  const strays = sources.flatMap(({ name, code }) =>
    [...code.matchAll(/from '([^']+)'/g)]
      .map((match) => match[1] as string)
      .filter((specifier) => !/^\.\/[a-z-]+\.ts$/.test(specifier))
      .map((specifier) => `${name} -> ${specifier}`),
  )
  t.ok(sources.length > 20)
  t.strictSame(strays, [])
})

test('the core has no clock, no chance and no way out', async (t) => {
  const impure =
    /(?<![#.\w])(?:Date|performance|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|process|console|fetch|globalThis|await|async|Promise)\b/
  const strays = sources.flatMap(({ name, code }) =>
    code
      // A string may hold any word.
      .replace(/`(?:[^`\\]|\\.)*`|'(?:[^'\\\n]|\\.)*'/g, "''")
      .split('\n')
      .filter((line) => impure.test(line))
      .map((line) => `${name}: ${line.trim()}`),
  )
  t.strictSame(strays, [])
})
