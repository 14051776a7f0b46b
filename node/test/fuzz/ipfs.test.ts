/** What strangers send to the IPFS room: names, paths, Accept fields, blocks, archives, and trees made to exhaust. */
import fc from 'fast-check'
import { test } from 'tap'
import { digestOf } from '../../src/content/digest.ts'
import { isKairoError } from '../../src/errors.ts'
import { codecs, parseCid, placeOf } from '../../src/ipfs/block-name.ts'
import { readCar } from '../../src/ipfs/car/car-reader.ts'
import { carHead, carSection } from '../../src/ipfs/car/car-section.ts'
import { decodeCbor } from '../../src/ipfs/dag/cbor.ts'
import { decodePbNode } from '../../src/ipfs/dag/pb-node.ts'
import { decodeUnixFs } from '../../src/ipfs/dag/unixfs-node.ts'
import { type BlockReader, walkTree } from '../../src/ipfs/dag/walk.ts'
import { readGatewayRequest } from '../../src/ipfs/gateway/gateway-request.ts'
import { readTar } from '../../src/ipfs/tar/tar-reader.ts'
import { readFile } from '../../src/ipfs/trees/unixfs-reader.ts'
import { ipfsLimits } from '../../src/limits/ipfs.ts'
import { parseOrRefuse } from '../support/fuzz.ts'
import { cidOfDigest } from '../support/ipfs-cid.ts'
import { folderOf, gathered, pieces } from '../support/ipfs-room.ts'

const known = cidOfDigest(digestOf(Buffer.from('x')), codecs.raw)

/** What a stream of entries or blocks does with bytes: it ends, or refuses in the agreed way. */
async function endOrRefuse(work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isKairoError(error)) throw error
  }
}

test('names, paths and Accept fields', async () => {
  const part = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.constantFrom(known.toString(), 'bafkqaaa', 'Qm', 'k51', '..', '%', '%zz', '%2F', '\\'),
  )
  const accept = fc.oneof(
    fc.string(),
    fc.constantFrom('application/vnd.ipld.car;q=', 'application/vnd.ipld.raw;;=', ',,;', '*/*;q=0'),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), fc.string(), accept, (path, query, field) => {
      parseOrRefuse(() => readGatewayRequest(`/ipfs/${path.join('/')}?${query}`, { accept: field }))
      parseOrRefuse(() => placeOf(parseCid(path[0] ?? '')))
    }),
  )
})

test('blocks', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      parseOrRefuse(() => decodePbNode(bytes))
      parseOrRefuse(() => decodeUnixFs(bytes))
      parseOrRefuse(() => decodeCbor(bytes))
    }),
  )
})

test('archives, whole ones with some bytes changed too', async () => {
  const car = Buffer.concat([
    carHead(known),
    ...carSection({ cid: known, bytes: Buffer.from('x') }),
  ])
  const tar = await gathered(folderOf({ 'a/b.txt': Buffer.from('b'), ['x'.repeat(150)]: car }))
  const readAll = async (kind: string, bytes: Uint8Array): Promise<void> => {
    if (kind === 'car') {
      for await (const _ of (await readCar(pieces(bytes, 7))).blocks);
    } else for await (const entry of readTar(pieces(bytes, 100))) await gathered(entry.content())
  }
  const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('car', 'tar'), changes, fc.nat(), async (kind, list, cut) => {
      const bytes = Buffer.from(kind === 'car' ? car : tar)
      for (const [at, value] of list) bytes[at % bytes.byteLength] = value
      await endOrRefuse(() => readAll(kind, bytes.subarray(0, cut % (bytes.byteLength + 1))))
      await endOrRefuse(() => readAll(kind, bytes))
    }),
  )
})

test('trees made to exhaust end with an error', async (t) => {
  const blocks = new Map<string, Buffer>()
  const reader: BlockReader = {
    get: async (cid) => {
      const bytes = blocks.get(cid.toString())
      if (bytes === undefined) throw new Error('every block of these trees is there')
      return bytes
    },
  }
  const add = (bytes: Buffer, codec: number) => {
    const cid = cidOfDigest(digestOf(bytes), codec)
    blocks.set(cid.toString(), bytes)
    return cid
  }
  const field = (number: number, bytes: Uint8Array) =>
    Buffer.concat([Buffer.from([number * 8 + 2]), varint(bytes.byteLength), bytes])
  const link = (cid: typeof known) => field(2, field(1, cid.bytes))
  const walk = async (root: typeof known, duplicates: boolean) => {
    let count = 0
    for await (const _ of walkTree(reader, root, { scope: 'all', duplicates, blocksMax: 1_000 }))
      count += 1
    return count
  }

  let deep = add(Buffer.from('leaf'), codecs.raw)
  for (let depth = 0; depth <= ipfsLimits.treeDepthMax; depth += 1) {
    deep = add(link(deep), codecs.dagPb)
  }
  await t.rejects(walk(deep, false), { code: 'ERR_LIMIT' }, 'too deep')

  let twins = add(Buffer.from('twin'), codecs.raw)
  for (let depth = 0; depth < 40; depth += 1) {
    twins = add(Buffer.concat([link(twins), link(twins)]), codecs.dagPb)
  }
  t.equal(await walk(twins, false), 41, 'each block once')
  await t.rejects(walk(twins, true), { code: 'ERR_LIMIT' }, 'two to the 40 with duplicates')

  // A file that claims a petabyte in one leaf of four bytes.
  const leaf = add(Buffer.from('tiny'), codecs.raw)
  const petabyte = varint(2 ** 50)
  const data = Buffer.concat([
    ...[Buffer.from([0x08, 2, 0x18]), petabyte, Buffer.from([0x20]), petabyte],
  ])
  const liar = add(Buffer.concat([link(leaf), field(1, data)]), codecs.dagPb)
  const span = { start: 0, end: 2 ** 50 }
  await t.rejects(gathered(readFile(reader, liar, span, {})), { code: 'ERR_PROTOCOL' })
  const damaged = add(Buffer.from('no protobuf'), codecs.dagPb)
  await t.rejects(walk(damaged, false), { code: 'ERR_PROTOCOL' })
})

function varint(value: number): Buffer {
  const bytes: number[] = []
  let left = value
  while (left >= 0x80) {
    bytes.push((left % 0x80) | 0x80)
    left = Math.floor(left / 0x80)
  }
  return Buffer.from([...bytes, left])
}
