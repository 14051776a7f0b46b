// Settings: their order of precedence, their origins, and the messages for wrong ones.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { formatAddress, localHost, parseAddress } from '../../src/config/address.ts'
import { loadSettings, settingsFixed } from '../../src/config/load.ts'
import { shownSetting } from '../../src/config/schema.ts'
import { isKairoError } from '../../src/errors.ts'

function failure(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (isKairoError(error, 'ERR_CONFIG')) return error.message
    throw error
  }
  throw new Error('expected ERR_CONFIG')
}

test('a flag beats a variable, a variable beats the file, the file beats the default', async (t) => {
  const file = join(t.testdir({}), 'kairo.json')
  writeFileSync(
    file,
    JSON.stringify({ partTargetMs: 100, segmentTargetMs: 1000, windowSegments: 20 }),
  )
  const { settings, origins } = loadSettings({
    flags: { partTargetMs: '300' },
    env: { KAIRO_PART_TARGET_MS: '150', KAIRO_SEGMENT_TARGET_MS: '1500' },
    configFile: file,
  })
  t.match(settings, {
    partTargetMs: 300,
    segmentTargetMs: 1500,
    windowSegments: 20,
    takeover: 'reject',
  })
  t.equal(origins.partTargetMs, 'flag --part-target-ms')
  t.equal(origins.segmentTargetMs, 'environment KAIRO_SEGMENT_TARGET_MS')
  t.equal(origins.windowSegments, `file ${file}`)
  t.equal(origins.takeover, 'default')
})

test('lists come from repeated flags or comma-separated variables', async (t) => {
  const { settings } = loadSettings({
    flags: { join: ['/ip4/192.0.2.1/tcp/1', 'http://192.0.2.2:8080'] },
    env: { CORS_ORIGINS: 'https://a.example, https://b.example' },
  })
  t.same(settings.join, ['/ip4/192.0.2.1/tcp/1', 'http://192.0.2.2:8080'])
  t.same(settings.corsOrigins, ['https://a.example', 'https://b.example'])
})

test('booleans are read in the usual spellings and nothing else', async (t) => {
  for (const text of ['1', 'true', 'YES', 'on']) {
    t.equal(loadSettings({ flags: {}, env: { KAIRO_MDNS: text } }).settings.mdns, true)
  }
  for (const text of ['0', 'false', 'No', 'off']) {
    t.equal(loadSettings({ flags: {}, env: { KAIRO_MDNS: text } }).settings.mdns, false)
  }
  t.match(
    failure(() => loadSettings({ flags: {}, env: { KAIRO_MDNS: 'perhaps' } })),
    /mdns \(environment KAIRO_MDNS\)/,
  )
})

test('the test stream is on by default, off for who joins, and always as told', async (t) => {
  t.equal(loadSettings({ flags: {}, env: {} }).settings.testStream, true)
  const joining = loadSettings({ flags: { join: ['http://192.0.2.1:1'] }, env: {} })
  t.equal(joining.settings.testStream, false)
  t.equal(joining.origins.testStream, 'default when joining')
  t.equal(settingsFixed(joining)('testStream'), false)
  t.equal(settingsFixed(joining)('join'), true)
  const told = loadSettings({ flags: { join: ['http://192.0.2.1:1'], testStream: true }, env: {} })
  t.equal(told.settings.testStream, true)
})

test('an origin takes every path, so pages and API stand apart and no test stream runs', async (t) => {
  const { settings, origins } = loadSettings({
    flags: { origin: 'http://192.0.2.1' },
    env: {},
  })
  t.match(settings, { adminHttp: '127.0.0.1:0', testStream: false })
  t.equal(origins.adminHttp, 'default with an origin')
  const chosen = { origin: 'http://192.0.2.1', adminHttp: '127.0.0.1:81', testStream: true }
  t.match(loadSettings({ flags: chosen, env: {} }).settings, chosen)
  const fails = (flags: Record<string, string>, words: RegExp): unknown =>
    t.throws(() => loadSettings({ flags, env: {} }), { code: 'ERR_CONFIG', message: words })
  fails({ origin: 'http://192.0.2.1', adminHttp: 'same' }, /--admin-http/)
  fails({ dns: '127.0.0.1:53' }, /--dns-zone/)
  fails({ location: '95,13' }, /latitudes/)
  t.equal(
    loadSettings({ flags: { location: '-33.9,151.2' }, env: {} }).settings.location,
    '-33.9,151.2',
  )
})

test('every wrong setting is named with its origin', async (t) => {
  const message = failure(() =>
    loadSettings({ flags: { http: 'nonsense' }, env: { KAIRO_WINDOW_SEGMENTS: 'many' } }),
  )
  t.match(message, /http \(flag --http\): expected host:port/)
  t.match(message, /windowSegments \(environment KAIRO_WINDOW_SEGMENTS\)/)
  t.match(
    failure(() => loadSettings({ flags: { partTargetMs: '1500' }, env: {} })),
    /at most half of segmentTargetMs/,
  )
})

test('a configuration file must exist, be JSON, hold an object, and only known settings', async (t) => {
  const folder = t.testdir({
    'broken.json': '{',
    'list.json': '[]',
    'unknown.json': '{"htpp": ":8080"}',
  })
  const load = (name: string): string =>
    failure(() => loadSettings({ flags: {}, env: {}, configFile: join(folder, name) }))
  t.match(load('absent.json'), /cannot read the configuration file/)
  t.match(load('broken.json'), /not valid JSON/)
  t.match(load('list.json'), /one JSON object/)
  t.match(load('unknown.json'), /htpp/)
})

test('addresses are read and written, IPv6 with brackets', async (t) => {
  t.same(parseAddress('127.0.0.1:80'), { host: '127.0.0.1', port: 80 })
  t.same(parseAddress('[::1]:0'), { host: '::1', port: 0 })
  t.same(parseAddress(':8080'), { host: '0.0.0.0', port: 8080 })
  for (const bad of ['', '80', 'host', 'host:', 'a b:1', '::1:80', 'host:70000', 'x:1/y']) {
    t.equal(parseAddress(bad), undefined, bad)
  }
  t.equal(formatAddress({ host: '::1', port: 5 }), '[::1]:5')
  t.equal(formatAddress({ host: 'kairo.example', port: 5 }), 'kairo.example:5')
  t.equal(localHost('0.0.0.0'), '127.0.0.1')
  t.equal(localHost('::'), '::1')
  t.equal(localHost('192.0.2.1'), '192.0.2.1')
})

test('of a secret is shown only whether there is one', async (t) => {
  const { settings } = loadSettings({
    flags: { webhookSecret: 'the key of every signature', partTargetMs: '300' },
    env: {},
  })
  t.equal(shownSetting(settings, 'webhookSecret'), '(set)')
  t.equal(shownSetting(settings, 'srtPassphrase'), '')
  t.equal(shownSetting(settings, 'partTargetMs'), 300)
})
