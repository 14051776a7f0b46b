/** Kubo, the reference implementation of IPFS, as the partner: the same CIDs, blocks both ways by bitswap, and our CARs. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Test, test } from 'tap'
import { parseCid } from '../../src/ipfs/block-name.ts'
import { writeCar } from '../../src/ipfs/car/car-writer.ts'
import { walkTree } from '../../src/ipfs/dag/walk.ts'
import { resolvePath } from '../../src/ipfs/trees/resolve-path.ts'
import { readFile } from '../../src/ipfs/trees/unixfs-reader.ts'
import { folderOf, gathered, ipfsPeer, noise, pieces } from '../support/ipfs-room.ts'
import { needs, partnerPath } from '../support/needs.ts'

const run = promisify(execFile)
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

interface Kubo {
  readonly folder: string
  /** Runs a command; its output without the line's end. */
  readonly ask: (...words: string[]) => Promise<string>
  readonly bytes: (...words: string[]) => Promise<Buffer>
}

test('Kubo', { skip: needs('ipfs') }, async (t) => {
  const kubo = await startKubo(t)
  const peer = await ipfsPeer(t)
  const [address] = (await kubo.ask('id', '-f', '<addrs>')).split('\n')
  await peer.ipfs.connect(address as string)
  const bytes = noise(1_500_000)
  const { local, network } = peer.ipfs.sources

  t.test('gives the same file the same CID', async (t) => {
    const path = join(kubo.folder, 'same.bin')
    const content = noise(3_000_000, 5)
    writeFileSync(path, content)
    const ours = await peer.ipfs.trees.addFile(pieces(content), { name: '' })
    t.equal(ours.cid, await kubo.ask('add', '-Q', '--cid-version=1', path))
  })
  t.test('has a folder that we get, byte for byte', async (t) => {
    const path = t.testdir({ site: { 'b.txt': 'b', in: { 'c.txt': 'c' } } })
    writeFileSync(join(path, 'site', 'a.bin'), bytes)
    const cid = await kubo.ask('add', '-Q', '-r', '--cid-version=1', join(path, 'site'))
    await peer.ipfs.trees.fetch(parseCid(cid), { name: 'from Kubo' })
    const file = await resolvePath(local, parseCid(cid), ['a.bin'], {})
    const span = { start: 0, end: bytes.byteLength }
    t.ok((await gathered(readFile(local, file.cid, span, {}))).equals(bytes))
    const again = await peer.ipfs.trees.addTar(
      folderOf({ 'a.bin': bytes, 'b.txt': Buffer.from('b'), 'in/c.txt': Buffer.from('c') }),
      { name: 'ours' },
    )
    t.equal(again.cid, cid, 'the same folder has the same CID')
  })
  t.test('reads a file that we have', async (t) => {
    const content = noise(2_000_000, 6)
    const { cid } = await peer.ipfs.trees.addFile(pieces(content), { name: '' })
    t.ok((await kubo.bytes('cat', cid)).equals(content))
  })
  t.test('imports our CAR', async (t) => {
    const content = noise(600_000, 7)
    const { cid } = await peer.ipfs.trees.addFile(pieces(content), { name: '' })
    const root = parseCid(cid)
    const path = join(kubo.folder, 'ours.car')
    writeFileSync(path, await gathered(writeCar(root, walkTree(network, root, { scope: 'all' }))))
    t.match(await kubo.ask('dag', 'import', path), cid)
    t.ok((await kubo.bytes('cat', '--offline', cid)).equals(content))
  })
})

/** A Kubo without other peers on a free port of 127.0.0.1. */
async function startKubo(t: Test): Promise<Kubo> {
  const folder = t.testdir({})
  const program = partnerPath('ipfs') as string
  const env = { ...process.env, IPFS_PATH: join(folder, 'repo') }
  const bytes = async (...words: string[]): Promise<Buffer> => {
    const options = { env, encoding: 'buffer', maxBuffer: OUTPUT_BYTES_MAX } as const
    return (await run(program, words, options)).stdout
  }
  const ask = async (...words: string[]) => (await bytes(...words)).toString('utf8').trim()
  await ask('init', '--profile', 'test')
  const daemon: ChildProcess = spawn(program, ['daemon'], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.teardown(async () => {
    daemon.kill('SIGTERM')
    if (daemon.exitCode === null) await once(daemon, 'exit')
  })
  const ready = Promise.withResolvers<void>()
  let output = ''
  daemon.stdout?.on('data', (piece: Buffer) => {
    output += piece.toString('utf8')
    if (output.includes('Daemon is ready')) ready.resolve()
  })
  daemon.once('exit', () => ready.reject(new Error(`Kubo ended: ${output}`)))
  await ready.promise
  return { folder, ask, bytes }
}
