// The commands as a user types them, about a running peer and without one: both forms of output, and exit codes, also of real processes.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import {
  configSchema,
  doctorSchema,
  keysSchema,
  statusSchema,
  streamsSchema,
} from '../../src/api/schemas.ts'
import { settingsMarkdown } from '../../src/cli/help.ts'
import { runCliHere } from '../support/cli-here.ts'
import { loopbackArguments, runCliProcess, startPeer } from '../support/peer-process.ts'

test('commands about a running peer', { timeout: 180_000 }, async (t) => {
  const home = t.testdir({})
  const peer = await startPeer(t, home)
  const run = (...args: string[]) => runCliHere([...args, '--home', home])
  const runProcess = (...args: string[]) => runCliProcess([...args, '--home', home])
  const json = async (...args: string[]): Promise<unknown> => {
    const { code, stdout } = await run(...args, '--json')
    t.equal(code, 0, args.join(' '))
    t.equal(stdout.trim().split('\n').length, 1, 'one line')
    return JSON.parse(stdout)
  }

  t.equal(statusSchema.parse(await json('status')).peerId, peer.ready.peerId)
  t.match(await runProcess('status'), { code: 0, stdout: new RegExp(peer.ready.peerId) })
  t.same(streamsSchema.parse(await json('streams')), { streams: [] })
  t.match(await run('streams'), { code: 0, stdout: /No streams/ })
  t.match(await json('keys', 'add', 'stage'), { name: 'stage' })
  t.match(await runProcess('keys', 'add', 'stage'), { code: 1, stderr: /ERR_NAME_TAKEN/ })
  t.match(await run('keys', 'add', 'hall'), { code: 0, stdout: /rtmp:\/\/127\.0\.0\.1/ })
  t.equal(keysSchema.parse(await json('keys')).keys.length, 3)
  t.match(await run('keys'), { code: 0, stdout: /stage/ })
  t.match(await run('keys', 'disconnect', 'stage'), { code: 1, stderr: /ERR_NOT_FOUND/ })
  t.match(await run('keys', 'remove', 'stage'), { code: 0 })
  const file = `${home}/hall.json`
  t.match(await run('keys', 'export', 'nobody', file), { code: 1, stderr: /ERR_NOT_FOUND/ })
  t.same(await json('keys', 'export', 'hall', file), { done: true })
  t.match(await run('keys', 'export', 'hall', file), { code: 1, stderr: /there already/ })
  t.match(await run('keys', 'import', file), { code: 1, stderr: /ERR_NAME_TAKEN/ })
  t.match(await run('keys', 'import', `${home}/none`), { code: 1, stderr: /cannot be read/ })
  t.match(await run('keys', 'import', `${home}/running.json`), { code: 1, stderr: /no exported/ })
  t.match(await run('keys', 'export', 'hall'), { code: 2 })
  t.match(await run('keys', 'import'), { code: 2 })
  t.match(await json('keys', 'remove', 'hall'), { done: true })
  t.match(await run('keys', 'remove'), { code: 2 })
  t.match(await run('keys', 'rename', 'x'), { code: 2 })
  t.match(await runProcess('keys', 'add', 'x', 'y'), { code: 2 })
  t.ok(doctorSchema.parse(await json('doctor')).checks.some(({ name }) => name === 'reachability'))
  t.match(await run('doctor'), { code: 0, stdout: /reachability/ })

  const second = await runCliProcess([...loopbackArguments(home).filter((arg) => arg !== '--json')])
  t.match(second, {
    code: 1,
    stderr: /a peer runs on .* already, at http:\/\/127\.0\.0\.1.*--home/,
  })
  t.match(await run('status'), { code: 0 }, 'the refused one leaves the first as it is')
  t.equal(await peer.end('SIGTERM'), 0)
})

test('a peer whose terminal was closed stops in order', { timeout: 120_000 }, async (t) => {
  const home = t.testdir({})
  const peer = await startPeer(t, home)
  peer.child.stdout?.destroy()
  peer.child.stderr?.destroy()
  t.equal(await peer.end('SIGTERM'), 0)
  t.notOk(existsSync(join(home, 'running.json')))
})

test('commands without a peer', { timeout: 120_000 }, async (t) => {
  const home = join(t.testdir({}), 'home')
  t.match(await runCliProcess(['status', '--home', home]), { code: 1, stderr: /no peer runs/ })
  const failure = await runCliHere(['status', '--home', home, '--json'])
  t.match(JSON.parse(failure.stdout), { code: 'ERR_NOT_FOUND' })
  const settings = [
    '--home',
    home,
    '--http',
    '127.0.0.1:0',
    '--rtmp',
    'off',
    '--listen',
    '/ip4/127.0.0.1/tcp/0',
  ]
  const doctor = await runCliHere(['doctor', ...settings, '--json'])
  t.ok(doctorSchema.parse(JSON.parse(doctor.stdout)).checks.some(({ name }) => name === 'node'))
  t.match(await runCliHere(['doctor', ...settings]), { code: 0, stdout: /no peer runs/ })
  const config = await runCliHere(['config', '--home', home, '--json'])
  t.ok(configSchema.parse(JSON.parse(config.stdout)).settings.some(({ name }) => name === 'home'))
  t.match(await runCliHere(['config', '--part-target-ms', '150']), {
    code: 0,
    stdout: /partTargetMs +150 +flag --part-target-ms/,
  })
})

test('usage', { timeout: 120_000 }, async (t) => {
  t.match(await runCliHere(['--help']), { code: 0, stdout: /kairo up|Usage: / })
  t.match(await runCliHere(['up', '--help']), { code: 0, stdout: /--join/ })
  t.match(await runCliProcess(['--version']), { code: 0, stdout: /\d+\.\d+\.\d+/ })
  t.match(await runCliProcess([]), { code: 2, stdout: /Usage: / })
  t.match(await runCliHere(['keys', '--help']), { code: 0, stdout: /keys disconnect <name>/ })
  t.match(await runCliHere(['toString', '--help']), { code: 2, stderr: /no command toString/ })
  t.match(await runCliHere(['status', 'now']), { code: 2, stderr: /no further words/ })
  t.match(await runCliHere(['keys', 'remove']), { code: 2 }, 'with or without a peer')
  t.match(await runCliHere(['dance']), { code: 2, stderr: /dance/ })
  t.match(await runCliHere(['up', '--colour', 'red']), { code: 2, stderr: /--colour/ })
  for (const [code, ...words] of [
    [2],
    [2, 'dance'],
    [2, 'status', '--colour'],
    [0, '--help'],
    [0, '--version'],
    [0, 'config', '--markdown'],
  ] as const) {
    const result = await runCliHere([...words, '--json'])
    t.equal(result.code, code, words.join(' '))
    t.type(JSON.parse(result.stdout), 'object', 'one JSON value')
  }
  t.match(await runCliHere(['up', '--config', '/nowhere.json']), { code: 2, stderr: /nowhere/ })
})

test('docs/settings.md is what the schema says', async (t) => {
  const file = new URL('../../../docs/settings.md', import.meta.url)
  t.equal(readFileSync(file, 'utf8'), settingsMarkdown(), 'print it anew: kairo config --markdown')
})
