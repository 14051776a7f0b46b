// The doctor's findings about a machine, healthy and not.

import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { loadSettings } from '../../src/config/load.ts'
import {
  checkDisk,
  checkEncoders,
  checkHome,
  checkNode,
  checkPorts,
} from '../../src/doctor/machine.ts'

test('node', async (t) => {
  t.equal(checkNode('24.21.0').status, 'ok')
  t.equal(checkNode('26.0.0').status, 'ok')
  t.match(checkNode('20.20.2'), { status: 'fail', hint: /npm start/ })
})

test('home', async (t) => {
  const home = t.testdir({ inner: {} })
  chmodSync(home, 0o700)
  t.match(checkHome(home), { status: 'ok', detail: /private/ })
  chmodSync(home, 0o755)
  t.match(checkHome(home), { status: 'warn', hint: `chmod 700 ${home}` })
  t.match(checkHome(join(home, 'not', 'yet')), { status: 'ok', detail: /will be created/ })
  t.match(checkHome('/proc/1/nowhere'), { status: process.getuid?.() === 0 ? /ok|fail/ : 'fail' })
})

test('disk', async (t) => {
  const home = t.testdir({})
  const sizes = { diskBytesMax: 1, vodBytesMax: 2 ** 30 }
  t.match(checkDisk(join(home, 'later'), sizes), { name: 'disk', detail: /MiB free/ })
  t.match(checkDisk('/proc', sizes), { status: 'fail', hint: /--disk-bytes-max/ })
})

test('ports', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const { settings } = loadSettings({
    flags: {
      http: `127.0.0.1:${port}`,
      rtmp: 'off',
      listen: ['/ip4/127.0.0.1/tcp/0', '/dns4/x/tcp/1'],
    },
    env: {},
  })
  t.match(await checkPorts(settings, () => true), [
    { name: 'port http', status: 'fail', hint: /--http/ },
    { name: 'port listen', status: 'ok', detail: 'any free port' },
  ])
  t.match(await checkPorts(settings, () => false), [{ name: 'port http', status: 'warn' }, {}])
  const free = loadSettings({ flags: { http: '127.0.0.1:0', rtmp: 'off' }, env: {} })
  t.match((await checkPorts(free.settings, () => false))[0], { status: 'ok' })
})

test('encoders', (t) => {
  const software = (ok: boolean) =>
    ['libx264', 'aac'].map((name) => ({ name, kind: 'software' as const, ok }))
  t.match(checkEncoders(software(true)), {
    status: 'ok',
    detail: 'working: libx264, aac; not here: none',
  })
  t.match(checkEncoders(software(false)), { status: 'warn', hint: /node-av/ })
  t.match(checkEncoders(undefined), { status: 'ok', detail: 'being tried' })
  t.end()
})
