/** `kairo ipfs` against a real HTTP server with the room behind it. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { ipfsRoutes, ipfsStreamRoutes } from '../../src/api/ipfs.ts'
import { ipfs } from '../../src/cli/ipfs.ts'
import { commandAt } from '../support/command-at.ts'
import { startTestServer, stopTestServer } from '../support/http-exchange.ts'
import { ipfsRoom, noise } from '../support/ipfs-room.ts'

test('kairo ipfs', async (t) => {
  const folder = t.testdir({
    home: {},
    room: {},
    site: { 'index.html': '<p>hello', '.hidden': 'no', deep: { empty: {}, 'b.txt': 'b' } },
  })
  const bytes = noise(400_000)
  writeFileSync(join(folder, 'site', 'a.bin'), bytes)
  const room = await ipfsRoom(t, { directory: join(folder, 'room') })
  await room.ipfs.pins.start()
  const started = await startTestServer({
    routes: ipfsRoutes(room),
    streamRoutes: ipfsStreamRoutes(room),
    authenticators: { operator: ({ bearer }) => bearer === 'right' },
  })
  t.teardown(() => stopTestServer(started))
  const home = join(folder, 'home')
  const run = commandAt(t, { home, url: `http://127.0.0.1:${started.port}` }, 'ipfs', ipfs)

  t.match(await run(), { code: 0, text: 'No trees are kept yet.\n' })
  const { cid } = JSON.parse((await run('add', join(folder, 'site'), '--json')).text)
  t.match(cid, /^bafybei/)
  t.match(await run('pins'), { code: 0, text: new RegExp(`${cid} .*site`) })
  const copy = join(folder, 'copy')
  t.match(await run('get', cid, copy), { code: 0, text: /3 files/ })
  t.ok(readFileSync(join(copy, 'a.bin')).equals(bytes))
  t.equal(readFileSync(join(copy, 'deep', 'b.txt'), 'utf8'), 'b')
  t.throws(() => readFileSync(join(copy, '.hidden')))
  await t.rejects(run('get', cid, copy), { code: 'ERR_NAME_TAKEN' })
  const one = join(folder, 'one.bin')
  t.match(await run('get', `/ipfs/${cid}/a.bin`, one), { code: 0, text: /1 file\)/ })
  t.ok(readFileSync(one).equals(bytes))
  await t.rejects(run('get', `${cid}/none`, join(folder, 'x')), { code: 'ERR_NOT_FOUND' })

  const car = await fetch(`http://127.0.0.1:${started.port}/ipfs/${cid}?format=car`)
  const carFile = join(folder, 'site.car')
  writeFileSync(carFile, Buffer.from(await car.arrayBuffer()))
  t.equal(JSON.parse((await run('add', carFile, '--json')).text).cid, cid)
  t.match(await run('pin', cid), { code: 0, text: new RegExp(cid) })
  t.match(await run('unpin', cid), { code: 0, text: /kept no longer/ })
  await t.rejects(run('unpin', cid), { code: 'ERR_NOT_FOUND' })
  t.equal(room.store.kept.size, 0)

  mkdirSync(join(folder, 'nothing'))
  await t.rejects(run('add', join(folder, 'missing')), { code: 'ERR_NOT_FOUND' })
  for (const wrong of [['fly'], ['add'], ['get'], ['pins', 'x'], ['add', 'x', '--peer', 'y']]) {
    await t.rejects(run(...wrong), { code: 'ERR_USAGE' })
  }
})
