/** `kairo cdn`: what is told apart before a peer is looked for. */
import { test } from 'tap'
import { parseArguments } from '../../src/cli/arguments.ts'
import { cdn } from '../../src/cli/cdn.ts'

const run = (...argv: string[]) => cdn(parseArguments(['cdn', ...argv], {}))

test('wrong usage of kairo cdn', async (t) => {
  for (const argv of [
    [],
    ['nonsense'],
    ['rules', 'more'],
    ['add', 'name', 'host'],
    ['add', 'name', 'host', 'http://o.example', 'novalue'],
    ['remove'],
    ['remove', 'a', 'b'],
  ]) {
    await t.rejects(run(...argv), { code: 'ERR_USAGE' }, argv.join(' ') || 'no words')
  }
})

test('without a running peer there are no rules', async (t) => {
  const home = t.testdir({})
  for (const argv of [['rules'], ['remove', 'x'], ['add', 'x', 'a.example', '/srv']]) {
    await t.rejects(run(...argv, '--home', home), { code: 'ERR_NOT_FOUND' })
  }
})
