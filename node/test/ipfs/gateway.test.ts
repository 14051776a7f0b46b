/** The trustless gateway over HTTP, rule by rule (https://specs.ipfs.tech/http-gateways/trustless-gateway/). */
import { test } from 'tap'
import { ipfsRoutes, ipfsStreamRoutes } from '../../src/api/ipfs.ts'
import { pinSchema, pinsSchema } from '../../src/api/schemas-ipfs.ts'
import { digestOf } from '../../src/content/digest.ts'
import { KairoError } from '../../src/errors.ts'
import { codecs, parseCid } from '../../src/ipfs/block-name.ts'
import { readCar } from '../../src/ipfs/car/car-reader.ts'
import { entityLinks } from '../../src/ipfs/dag/entity.ts'
import { decodePbNode } from '../../src/ipfs/dag/pb-node.ts'
import { startTestServer, stopTestServer } from '../support/http-exchange.ts'
import { httpRequest } from '../support/http-get.ts'
import { cidOfDigest } from '../support/ipfs-cid.ts'
import { folderOf, gathered, ipfsRoom, noise, pieces } from '../support/ipfs-room.ts'

const RAW = { accept: 'application/vnd.ipld.raw' }
const CAR = { accept: 'application/vnd.ipld.car' }

test('the gateway', async (t) => {
  const room = await ipfsRoom(t)
  const { ipfs } = room
  await ipfs.pins.start()
  const started = await startTestServer({
    routes: ipfsRoutes({ ipfs }),
    streamRoutes: ipfsStreamRoutes({ ipfs }),
    authenticators: { operator: ({ bearer }) => bearer === 'right' },
  })
  t.teardown(() => stopTestServer(started))
  const url = `http://127.0.0.1:${started.port}`
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    httpRequest(`${url}${path}`, { method, headers })
  const bytes = noise(1_000_000)
  const files = { 'a.bin': bytes, 'b/c d.txt': Buffer.from('c'), 'twin.bin': bytes }
  const { cid } = await ipfs.trees.addTar(folderOf(files), { name: 'site' })
  const root = decodePbNode(await ipfs.sources.local.get(parseCid(cid), {}))
  const file = root.links.find(({ name }) => name === 'a.bin')?.cid
  if (file === undefined) throw new Error('the file is there')
  const leaves = entityLinks(decodePbNode(await ipfs.sources.local.get(file, {})), undefined)
  const leaf = leaves[0]?.cid.toString()
  const carOf = async (path: string, headers: Record<string, string> = CAR) => {
    const answer = await ask(path, headers)
    const { roots, blocks } = await readCar(pieces(answer.body))
    const names: string[] = []
    for await (const block of blocks) {
      t.equal(digestOf(block.bytes), Buffer.from(block.cid.multihash.digest).toString('hex'))
      names.push(block.cid.toString())
    }
    return { answer, names, roots: roots.map(String) }
  }

  t.test('a raw block, by format and by Accept, with all its headers', async (t) => {
    for (const answer of [await ask(`/ipfs/${leaf}?format=raw`), await ask(`/ipfs/${leaf}`, RAW)]) {
      t.equal(answer.status, 200)
      t.ok(answer.body.equals(bytes.subarray(0, 262_144)))
      t.match(answer.headers, {
        'content-type': 'application/vnd.ipld.raw',
        'content-length': '262144',
        etag: `"${leaf}.raw"`,
        'cache-control': 'public, max-age=29030400, immutable',
        'x-content-type-options': 'nosniff',
        'x-ipfs-path': `/ipfs/${leaf}`,
        'x-ipfs-roots': leaf,
        'content-disposition': new RegExp(`^attachment; filename="${leaf}.bin"`),
      })
    }
  })
  t.test('a format that Accept chose is named by Content-Location', async (t) => {
    const location = async (path: string, headers: Record<string, string>) =>
      (await ask(`/ipfs/${path}`, headers)).headers['content-location']
    t.equal(await location(`${leaf}`, RAW), `/ipfs/${leaf}?format=raw`)
    t.equal(await location(`${leaf}?format=raw`, RAW), undefined)
    t.equal(
      await location(`${cid}/b?dag-scope=block`, CAR),
      `/ipfs/${cid}/b?dag-scope=block&format=car`,
    )
    const ordered = { accept: 'application/vnd.ipld.car; version=1; order=dfs; dups=y; q=0.9' }
    t.equal(
      await location(`${cid}?car-dups=n`, ordered),
      `/ipfs/${cid}?car-dups=n&format=car&car-version=1&car-order=dfs`,
    )
    t.equal(await location(`${file}`, {}), undefined, 'the file itself')
  })
  t.test('CARs have no ranges', async (t) => {
    const whole = await ask(`/ipfs/${cid}?format=car`, { range: 'bytes=0-9' })
    t.match(whole, { status: 200, headers: { 'accept-ranges': 'none' } })
  })
  t.test('304 for a block that the client has', async (t) => {
    const answer = await ask(`/ipfs/${leaf}?format=raw`, { 'if-none-match': `"${leaf}.raw"` })
    t.equal(answer.status, 304)
    const car = await ask(`/ipfs/${cid}?format=car`)
    const again = await ask(`/ipfs/${cid}?format=car`, {
      'if-none-match': String(car.headers.etag),
    })
    t.equal(again.status, 304)
    const other = await ask(`/ipfs/${cid}?format=car&dag-scope=block`, {
      'if-none-match': String(car.headers.etag),
    })
    t.equal(other.status, 200, 'what is in the CAR is in its tag')
  })
  t.test('HEAD has the headers and no body', async (t) => {
    const answer = await ask(`/ipfs/${leaf}?format=raw`, {}, 'HEAD')
    t.match(answer, { status: 200, headers: { 'content-length': '262144' } })
    t.equal(answer.body.byteLength, 0)
    t.equal((await ask(`/ipfs/${cid}?format=car`, {}, 'HEAD')).status, 200)
  })
  t.test('the whole tree as a CAR, each block once and depth first', async (t) => {
    const { answer, names, roots } = await carOf(`/ipfs/${cid}`)
    t.equal(
      answer.headers['content-type'],
      'application/vnd.ipld.car; version=1; order=dfs; dups=n',
    )
    t.match(answer.headers.etag, /^W\/"bafy.+\.car\..+"$/)
    t.same(roots, [cid])
    t.equal(names.length, 1 + 5 + 2)
    t.same(names.slice(0, 3), [cid, file.toString(), leaf])
    t.equal(new Set(names).size, names.length)
  })
  t.test('dups=y gives a block each time', async (t) => {
    const { answer, names } = await carOf(`/ipfs/${cid}`, {
      accept: 'application/vnd.ipld.car; version=1; order=dfs; dups=y',
    })
    t.match(answer.headers['content-type'], /dups=y/)
    t.equal(names.length, 1 + 5 + 2 + 5)
    t.equal((await carOf(`/ipfs/${cid}?car-dups=y`)).names.length, names.length)
  })
  t.test('dag-scope block, entity and all below a path', async (t) => {
    const at = `/ipfs/${cid}/a.bin?format=car`
    t.same((await carOf(`${at}&dag-scope=block`)).names, [cid, file.toString()])
    t.equal((await carOf(`${at}&dag-scope=entity`)).names.length, 6)
    t.same((await carOf(`/ipfs/${cid}?format=car&dag-scope=entity`)).names, [cid])
    const { answer } = await carOf(`/ipfs/${cid}/b/c%20d.txt?format=car`)
    t.equal(answer.headers['x-ipfs-path'], `/ipfs/${cid}/b/c%20d.txt`)
    t.equal(String(answer.headers['x-ipfs-roots']).split(',').length, 3)
  })
  t.test('entity-bytes gives the blocks of a range and no others', async (t) => {
    const at = `/ipfs/${file}?format=car&entity-bytes=`
    const chunk = (index: number) => leaves[index]?.cid.toString()
    t.same((await carOf(`${at}0:0`)).names, [file.toString(), chunk(0)])
    t.same((await carOf(`${at}262143:262144`)).names, [file.toString(), chunk(0), chunk(1)])
    t.same((await carOf(`${at}262144:262145`)).names, [file.toString(), chunk(1)])
    t.same((await carOf(`${at}-10:*`)).names, [file.toString(), chunk(3)])
    t.equal((await carOf(`${at}0:*`)).names.length, 5)
    t.same((await carOf(`${at}900000:9000000`)).names, [file.toString(), chunk(3)])
    t.same(
      (await carOf(`${at}900000:-900000`)).names,
      [file.toString()],
      'no bytes: the root alone',
    )
    t.equal((await ask(`${at}10:5`)).status, 400)
    t.equal((await ask(`${at}-5:-10`)).status, 400)
    t.equal((await ask(`${at}1000000:*`)).status, 400)
    t.same((await carOf(`/ipfs/${cid}?format=car&entity-bytes=0:5`)).names, [cid], 'a folder')
  })
  t.test('a CAR proves that a path leads nowhere', async (t) => {
    const inFolder = await carOf(`/ipfs/${cid}/b/none?format=car`)
    t.match(inFolder.answer, { status: 200, headers: { 'content-type': /dups=n/ } })
    const [folder, inner] = String(inFolder.answer.headers['x-ipfs-roots']).split(',')
    t.same(inFolder.names, [folder, inner])
    t.equal(folder, cid)
    const below = await carOf(`/ipfs/${cid}/a.bin/none?format=car&dag-scope=entity`)
    t.same(below.names, [cid, file.toString()], 'a file has nothing below it')
    const again = { 'if-none-match': String(below.answer.headers.etag) }
    const path = `/ipfs/${cid}/a.bin/none?format=car`
    t.equal((await ask(`${path}&dag-scope=entity`, again)).status, 304)
    t.equal((await ask(path, again)).status, 200)
  })
  t.test('the probe bafkqaaa', async (t) => {
    const raw = await ask('/ipfs/bafkqaaa?format=raw')
    t.match(raw, { status: 200, headers: { 'content-length': '0' } })
    const car = await carOf('/ipfs/bafkqaaa?format=car')
    t.same([car.names, car.roots], [[], ['bafkqaaa']])
    t.equal((await ask('/ipfs/bafkqaaa', RAW, 'HEAD')).status, 200)
  })
  t.test('400, 404, 406 and 412', async (t) => {
    const status = async (path: string, headers = {}) => (await ask(path, headers)).status
    const missing = cidOfDigest(digestOf(Buffer.from('missing')), codecs.raw).toString()
    t.equal(await status(`/ipfs/${missing}?format=raw`), 404)
    t.equal(await status(`/ipfs/${missing}?format=car`), 404)
    t.equal(await status(`/ipfs/${cid}/none`), 404)
    t.equal(await status('/ipfs/nonsense?format=raw'), 400)
    t.equal(await status(`/ipfs/${cid}/a.bin?format=raw`), 400, 'blocks have no paths')
    t.equal(await status(`/ipfs/${cid}?format=car&dag-scope=more`), 400)
    t.equal(await status(`/ipfs/${cid}?format=car&entity-bytes=a:b`), 400)
    t.equal(await status(`/ipfs/${cid}?format=car&car-version=2`), 400)
    t.equal(await status(`/ipfs/${cid}?format=tar`), 406)
    t.equal(await status(`/ipfs/${file}`, { 'service-worker': 'script' }), 400)
    t.equal(await status(`/ipfs/${cid}`, { accept: 'text/html' }), 406)
    t.equal(await status(`/ipfs/${cid}`, { accept: 'application/vnd.ipld.car;version=2' }), 406)
    t.equal(await status(`/ipfs/${cid}`), 406, 'a folder is no file')
    const cached = { 'cache-control': 'only-if-cached' }
    t.equal(await status(`/ipfs/${missing}?format=raw`, cached), 412)
    t.equal(await status(`/ipfs/${leaf}?format=raw`, cached), 200)
  })
  t.test('a file by itself is saved and never shown, in ranges too', async (t) => {
    const whole = await ask(`/ipfs/${cid}/a.bin`)
    t.ok(whole.body.equals(bytes))
    t.match(whole.headers, {
      'content-type': 'application/octet-stream',
      'content-disposition': /^attachment; filename="a.bin"/,
      'content-security-policy': /sandbox/,
    })
    const part = await ask(`/ipfs/${cid}/a.bin`, { range: 'bytes=262140-262150' })
    t.equal(part.status, 206)
    t.ok(part.body.equals(bytes.subarray(262_140, 262_151)))
    t.match((await ask(`/ipfs/${file}?filename=x%0Ay.bin`)).headers, {
      'content-disposition': /filename="x_y.bin"/,
    })
  })
  t.test('a tree that is not whole here ends early', async (t) => {
    room.store.delete(digestOf(Buffer.from('c')))
    await t.rejects(ask(`/ipfs/${cid}?format=car`))
  })
  t.test('only the operator adds, lists and removes', async (t) => {
    const operator = { authorization: 'Bearer right' }
    const send = (headers: Record<string, string>) =>
      httpRequest(`${url}/api/ipfs/add?name=n`, { method: 'POST', headers, body: 'hello world' })
    t.equal((await send({})).status, 401)
    t.equal((await ask('/api/ipfs/pins')).status, 401)
    const pin = pinSchema.parse(JSON.parse((await send(operator)).text))
    t.match(pin, { name: 'n', blocks: 1, bytes: 11 })
    const list = pinsSchema.parse(JSON.parse((await ask('/api/ipfs/pins', operator)).text))
    t.match(list, { pins: { length: 2 }, total: 2 })
    const second = (await ask('/api/ipfs/pins?limit=1&skip=1', operator)).text
    t.strictSame(pinsSchema.parse(JSON.parse(second)), { pins: list.pins.slice(1), total: 2 })
    t.equal((await ask(`/api/ipfs/pins/${pin.cid}`, operator, 'DELETE')).status, 200)
    t.equal((await ask(`/api/ipfs/pins/${pin.cid}`, operator, 'DELETE')).status, 404)
    t.equal((await ask(`/api/ipfs/export/${pin.cid}`)).status, 401)
    const tar = await ask(`/api/ipfs/export/${pin.cid}`, operator)
    t.match(tar, { status: 200, headers: { 'content-type': 'application/x-tar' } })
    t.match(tar.text, /hello world/)
  })
})

test('blocks come from other Kairo peers, and a name that nobody has makes work once', async (t) => {
  const asked: string[] = []
  const block = noise(1_000)
  const there = digestOf(block)
  const { ipfs } = await ipfsRoom(t, {
    providers: ['one', 'two', 'three', 'four', 'five', 'six'],
    fetch: async (digest, providers) => {
      asked.push(digest)
      t.equal(providers.length, 4)
      if (digest === there) return block
      throw new KairoError('ERR_NO_PROVIDER', 'nobody')
    },
  })
  const { shared, local } = ipfs.sources
  t.ok(Buffer.from(await shared.get(cidOfDigest(there, codecs.raw), {})).equals(block))
  await t.rejects(local.get(cidOfDigest(there, codecs.raw), {}), { code: 'ERR_NOT_FOUND' })
  const missing = cidOfDigest(digestOf(Buffer.from('?')), codecs.dagPb)
  await t.rejects(shared.get(missing, {}), { code: 'ERR_NOT_FOUND' })
  await t.rejects(shared.get(missing, {}), { code: 'ERR_NOT_FOUND' })
  t.equal(asked.length, 2)
  t.equal((await gathered(pieces(block))).byteLength, 1_000)
})
