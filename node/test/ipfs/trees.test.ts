/** Import, export and pins over a real store. */
import { readdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { digestOf } from '../../src/content/digest.ts'
import { keepersIn } from '../../src/content/store/keepers.ts'
import { codecs, parseCid } from '../../src/ipfs/block-name.ts'
import { carHead, carSection } from '../../src/ipfs/car/car-section.ts'
import { writeCar } from '../../src/ipfs/car/car-writer.ts'
import { walkTree } from '../../src/ipfs/dag/walk.ts'
import { readTar } from '../../src/ipfs/tar/tar-reader.ts'
import { writeTar } from '../../src/ipfs/tar/tar-writer.ts'
import { resolvePath } from '../../src/ipfs/trees/resolve-path.ts'
import { treeEntries } from '../../src/ipfs/trees/tree-entries.ts'
import { readFile } from '../../src/ipfs/trees/unixfs-reader.ts'
import { cidOfDigest } from '../support/ipfs-cid.ts'
import { folderOf, gathered, type IpfsRoom, ipfsRoom, noise, pieces } from '../support/ipfs-room.ts'

const named = { name: 'test' }

async function exported({ ipfs }: IpfsRoom, cid: string): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {}
  const archive = writeTar(treeEntries(ipfs.sources.local, parseCid(cid), 'root', {}))
  for await (const { type, names, content } of readTar(archive)) {
    if (type === 'file') files[names.slice(1).join('/')] = await gathered(content())
  }
  return files
}

test('files have the CIDs that `ipfs add --cid-version=1` gives them', async (t) => {
  const { ipfs } = await ipfsRoom(t)
  await ipfs.pins.start()
  const add = async (bytes: Buffer) => (await ipfs.trees.addFile(pieces(bytes), named)).cid
  // The names that IPFS's own documentation and specifications give.
  t.equal(
    await add(Buffer.from('hello world')),
    'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e',
  )
  t.equal(
    await add(Buffer.alloc(0)),
    'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
    'an empty file',
  )
  t.match(await add(noise(262_144)), /^bafkrei/, 'one chunk is a raw block')
  t.match(await add(noise(262_145)), /^bafybei/, 'more are a tree')
})

test('a file comes out as it went in, whole and in part', async (t) => {
  const { ipfs } = await ipfsRoom(t)
  await ipfs.pins.start()
  const bytes = noise(1_000_000)
  const { cid, blocks } = await ipfs.trees.addFile(pieces(bytes, 7_777), named)
  t.equal(blocks, 5)
  const read = (start: number, end: number) =>
    gathered(readFile(ipfs.sources.local, parseCid(cid), { start, end }, {}))
  t.ok((await read(0, bytes.byteLength)).equals(bytes))
  t.ok((await read(262_100, 600_000)).equals(bytes.subarray(262_100, 600_000)))
  t.ok((await read(999_999, 1_000_000)).equals(bytes.subarray(999_999)))
})

test('folders: nested, with long names, and with a thousand entries', async (t) => {
  const room = await ipfsRoom(t)
  await room.ipfs.pins.start()
  const files: Record<string, Buffer> = {
    'a.txt': Buffer.from('a'),
    'deep/er/b.txt': Buffer.from('b'),
    [`${'long'.repeat(40)}/ü.txt`]: noise(300_000),
  }
  const small = await room.ipfs.trees.addTar(folderOf(files), named)
  t.same(await exported(room, small.cid), files)
  const at = async (cid: string, path: string) =>
    (await resolvePath(room.ipfs.sources.local, parseCid(cid), path.split('/'), {})).cid
  const b = await at(small.cid, 'deep/er/b.txt')
  t.equal((await room.ipfs.sources.local.get(b, {})).toString(), 'b')
  await t.rejects(at(small.cid, 'deep/none'), { code: 'ERR_NOT_FOUND' })
  await t.rejects(at(small.cid, 'a.txt/below'), { code: 'ERR_NOT_FOUND' })

  // Beyond 256 KiB of links a folder is a hash trie.
  const many: Record<string, Buffer> = {}
  const padding = 'x'.repeat(230)
  for (let index = 0; index < 1_050; index += 1) {
    many[`${padding}-${index}`] = Buffer.from(`${index}`)
  }
  const sharded = await room.ipfs.trees.addTar(folderOf(many), named)
  t.equal(Object.keys(await exported(room, sharded.cid)).length, 1_050)
  const found = await at(sharded.cid, `${padding}-1034`)
  t.equal((await room.ipfs.sources.local.get(found, {})).toString(), '1034')
  await t.rejects(at(sharded.cid, 'none'), { code: 'ERR_NOT_FOUND' })
})

test('an archive without one folder around it gets one', async (t) => {
  const room = await ipfsRoom(t)
  await room.ipfs.pins.start()
  async function* two() {
    for (const name of ['x', 'y']) {
      yield {
        type: 'file' as const,
        path: name,
        bytes: 1,
        content: () => pieces(Buffer.from(name)),
      }
    }
  }
  const { cid } = await room.ipfs.trees.addTar(writeTar(two()), named)
  t.same(Object.keys(await exported(room, cid)), ['x', 'y'])
  await t.rejects(room.ipfs.trees.addTar(pieces(Buffer.alloc(1_024)), named), {
    code: 'ERR_INVALID_INPUT',
  })
})

test('blocks that trees share go with the last of them, also over a restart', async (t) => {
  const directory = t.testdir({})
  const room = await ipfsRoom(t, { directory })
  await room.ipfs.pins.start()
  const shared = noise(262_144, 3)
  const one = await room.ipfs.trees.addFile(pieces(shared), { name: 'one' })
  const two = await room.ipfs.trees.addFile(pieces(Buffer.concat([shared, noise(1_000, 4)])), {
    name: 'two',
  })
  const digest = digestOf(shared)
  await room.ipfs.pins.remove(one.cid)
  t.ok(room.store.kept.has(digest))
  await t.rejects(room.ipfs.pins.remove(one.cid), { code: 'ERR_NOT_FOUND' })
  await room.store.stop()

  const again = await ipfsRoom(t, { directory })
  await again.ipfs.pins.start()
  t.match(again.ipfs.pins.list(), [{ cid: two.cid, name: 'two', blocks: 3 }])
  t.ok(again.store.kept.has(digest))
  await again.ipfs.pins.remove(two.cid)
  t.equal(again.store.kept.size, 0)
  t.equal(again.ipfs.pins.list().length, 0)
})

test('a block that the operator keeps stays when its tree goes, over a restart and a crash', async (t) => {
  const directory = t.testdir({})
  const room = await ipfsRoom(t, { directory })
  await room.ipfs.pins.start()
  const shared = noise(262_144, 3)
  const digest = digestOf(shared)
  const { cid } = await room.ipfs.trees.addFile(pieces(Buffer.concat([shared, shared])), named)
  await room.store.keep(digest, 'operator')
  await room.ipfs.pins.remove(cid)
  t.same([...room.store.kept.keys()], [digest])
  await room.store.stop()

  const next = await ipfsRoom(t, { directory })
  await next.ipfs.pins.start()
  t.same([...next.store.kept.keys()], [digest])
  // As a crash leaves it, of an import or of a removal: a block that is kept, and no tree.
  const half = next.ipfs.pins.open()
  await half.add(digest, shared.byteLength)
  const last = await ipfsRoom(t, { directory })
  t.same(keepersIn(last.store.kept.get(digest) ?? 0), ['operator', 'ipfs'])
  await last.ipfs.pins.start()
  t.same(keepersIn(last.store.kept.get(digest) ?? 0), ['operator'])
  await last.store.release(digest, 'operator')
  t.equal(last.store.kept.size, 0)
})

test('a tree that is saved while another goes loses no block, nor does one that is added twice at once', async (t) => {
  const room = await ipfsRoom(t)
  await room.ipfs.pins.start()
  const [shared, own] = [noise(262_144, 3), noise(262_144, 4)]
  const old = await room.ipfs.trees.addFile(pieces(Buffer.concat([own, shared])), named)
  const released: string[] = []
  const saved = Promise.withResolvers<void>()
  const writer = room.ipfs.pins.open()
  await writer.add(digestOf(shared), shared.byteLength)
  const release = room.store.release.bind(room.store)
  room.store.release = async (digest, keeper) => {
    if (released.push(digest) === 1) saved.resolve(writer.commit('another', '').then(() => {}))
    await release(digest, keeper)
  }
  await room.ipfs.pins.remove(old.cid)
  await saved.promise
  t.notOk(released.includes(digestOf(shared)))
  t.ok(room.store.kept.has(digestOf(shared)))
  const again = Array.from({ length: 4 }, () => room.ipfs.trees.addFile(pieces(own), named))
  t.equal(new Set((await Promise.all(again)).map(({ cid }) => cid)).size, 1)
  t.equal(room.ipfs.pins.list().length, 2)
})

test('an import that fails leaves nothing kept', async (t) => {
  const directory = t.testdir({})
  const room = await ipfsRoom(t, { directory })
  await room.ipfs.pins.start()
  async function* failing() {
    yield noise(600_000)
    throw new Error('the client left')
  }
  await t.rejects(room.ipfs.trees.addFile(failing(), named), { message: 'the client left' })
  t.equal(room.store.kept.size, 0)
  t.same(await readdir(join(directory, 'pins')), [])
})

test('pins make good what the store forgot, and let nothing go on account of one that is damaged', async (t) => {
  const directory = t.testdir({})
  const room = await ipfsRoom(t, { directory })
  await room.ipfs.pins.start()
  const { cid, blocks } = await room.ipfs.trees.addFile(pieces(noise(600_000)), named)
  await room.store.stop()
  await rm(join(directory, 'content', 'catalog'))
  const second = await ipfsRoom(t, { directory })
  t.equal(second.store.kept.size, 0)
  await second.ipfs.pins.start()
  t.equal(second.store.kept.size, blocks)
  await second.store.stop()

  await truncate(join(directory, 'pins', `${cid}.pin`), 150)
  const third = await ipfsRoom(t, { directory })
  await third.ipfs.pins.start()
  t.equal(third.ipfs.pins.list().length, 0)
  t.equal(third.store.kept.size, blocks, 'the file may come back from a backup')
})

test('a store without room refuses, and keeps nothing of the tree', async (t) => {
  const room = await ipfsRoom(t, { store: { diskBytesMax: 600_000 } })
  await room.ipfs.pins.start()
  await t.rejects(room.ipfs.trees.addFile(pieces(noise(2_000_000)), named), {
    code: 'ERR_STORAGE',
  })
  t.equal(room.store.kept.size, 0)
})

test('CARs', async (t) => {
  const one = await ipfsRoom(t)
  const two = await ipfsRoom(t)
  await one.ipfs.pins.start()
  await two.ipfs.pins.start()
  const files = { 'a.bin': noise(700_000), 'b/c.txt': Buffer.from('c') }
  const { cid } = await one.ipfs.trees.addTar(folderOf(files), named)
  const root = parseCid(cid)
  const car = await gathered(
    writeCar(root, walkTree(one.ipfs.sources.local, root, { scope: 'all' })),
  )

  t.test('travel', async (t) => {
    const pin = await two.ipfs.trees.addCar(pieces(car, 1_000), named)
    t.equal(pin.cid, cid)
    t.same(await exported(two, cid), files)
    await two.ipfs.pins.remove(cid)
  })
  t.test('with a changed block are refused', async (t) => {
    const bad = Buffer.from(car)
    bad[bad.byteLength - 10] = (bad[bad.byteLength - 10] as number) ^ 1
    await t.rejects(two.ipfs.trees.addCar(pieces(bad), named), { code: 'ERR_VERIFICATION' })
    t.equal(two.store.kept.size, 0)
  })
  t.test('that lack blocks are refused', async (t) => {
    const empty = await ipfsRoom(t)
    await empty.ipfs.pins.start()
    const bytes = await one.ipfs.sources.local.get(root, {})
    const half = Buffer.concat([carHead(root), ...carSection({ cid: root, bytes })])
    await t.rejects(empty.ipfs.trees.addCar(pieces(half), named), { code: 'ERR_INVALID_INPUT' })
    t.equal(empty.store.kept.size, 0)
  })
  t.test('cut off, huge in their claims, or none at all are refused', async (t) => {
    const add = (bytes: Buffer) => two.ipfs.trees.addCar(pieces(bytes), named)
    await t.rejects(add(car.subarray(0, 400_000)), { code: 'ERR_PROTOCOL' })
    const huge = Buffer.concat([carHead(root), Buffer.from('ffffffffff7f', 'hex')])
    await t.rejects(add(huge), { code: 'ERR_PROTOCOL' })
    await t.rejects(add(Buffer.from('not a car')), { code: 'ERR_PROTOCOL' })
  })
  t.test('of other hash functions are refused clearly', async (t) => {
    const raw = cidOfDigest(digestOf(Buffer.from('x')), codecs.raw)
    const bytes = Buffer.from(raw.bytes)
    bytes[2] = 0x13 // sha2-512
    const { CID } = await import('multiformats/cid')
    const other = CID.decode(bytes)
    const odd = Buffer.concat([
      carHead(other),
      ...carSection({ cid: other, bytes: Buffer.from('x') }),
    ])
    await t.rejects(two.ipfs.trees.addCar(pieces(odd), named), {
      code: 'ERR_INVALID_INPUT',
      message: /sha2-256/,
    })
  })
})
