/** Two peers exchange trees by bitswap over real connections. */
import { test } from 'tap'
import { digestOf } from '../../src/content/digest.ts'
import { codecs, parseCid } from '../../src/ipfs/block-name.ts'
import { resolvePath } from '../../src/ipfs/trees/resolve-path.ts'
import { readFile } from '../../src/ipfs/trees/unixfs-reader.ts'
import { cidOfDigest } from '../support/ipfs-cid.ts'
import { folderOf, gathered, ipfsPeer, noise, pieces } from '../support/ipfs-room.ts'
import { metric } from '../support/stores.ts'

test('a tree is taken from another peer, block by block, and kept', async (t) => {
  const giver = await ipfsPeer(t)
  const taker = await ipfsPeer(t)
  const bytes = noise(1_500_000)
  const { cid, blocks } = await giver.ipfs.trees.addTar(
    folderOf({ 'a.bin': bytes, 'b.txt': Buffer.from('b') }),
    { name: 'site' },
  )
  await taker.ipfs.connect(giver.host.multiaddrs()[0] as string)
  const pin = await taker.ipfs.trees.fetch(parseCid(cid), { name: 'copy' })
  t.match(pin, { cid, blocks })
  const { local } = taker.ipfs.sources
  const file = await resolvePath(local, parseCid(cid), ['a.bin'], {})
  const span = { start: 0, end: bytes.byteLength }
  t.ok((await gathered(readFile(local, file.cid, span, {}))).equals(bytes))
  const got = await metric(taker.registry, 'kairo_ipfs_received_bytes_total')
  t.ok(got >= bytes.byteLength)
  t.equal(await metric(giver.registry, 'kairo_ipfs_served_bytes_total'), got)
})

test('a block that nobody has ends with the signal, and nothing is kept', async (t) => {
  const one = await ipfsPeer(t)
  const two = await ipfsPeer(t)
  await two.ipfs.connect(one.host.multiaddrs()[0] as string)
  const controller = new AbortController()
  const missing = cidOfDigest(digestOf(Buffer.from('nowhere')), codecs.raw)
  const work = two.ipfs.trees.fetch(missing, { name: '', signal: controller.signal })
  controller.abort()
  await t.rejects(work, { code: 'ERR_TIMEOUT' })
  t.equal(two.store.kept.size, 0)
})

test('wants of other hash functions do not keep the others from being answered', async (t) => {
  const giver = await ipfsPeer(t)
  const taker = await ipfsPeer(t)
  const { cid } = await giver.ipfs.trees.addFile(pieces(Buffer.from('here')), { name: '' })
  await taker.ipfs.connect(giver.host.multiaddrs()[0] as string)
  const { CID } = await import('multiformats/cid')
  const odd = Buffer.from(cidOfDigest(digestOf(Buffer.from('x')), codecs.raw).bytes)
  odd[2] = 0x16
  const controller = new AbortController()
  await t.rejects(taker.ipfs.sources.network.get(CID.decode(odd), controller), {
    code: 'ERR_INVALID_INPUT',
  })
  const found = await taker.ipfs.sources.network.get(parseCid(cid), {})
  t.equal(Buffer.from(found).toString(), 'here')
})
