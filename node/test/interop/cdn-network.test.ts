/**
 * Five peers as processes of their own in front of one origin: killed, stopped, cut off, restarted and purged while clients ask all of them.
 * Nothing that a client is answered is mixed of two versions, or from before a purge that the peer had done.
 */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { rankByRendezvous } from '../../src/content/rendezvous.ts'
import { cdnLimits } from '../../src/limits/cdn.ts'
import {
  askAtOnce,
  askSite,
  type CdnPeer,
  cdnArguments,
  isHit,
  purgeAt,
  untilAcquainted,
} from '../support/cdn-peers.ts'
import { CdnWatch } from '../support/cdn-watch.ts'
import { type PeerProcess, startPeer } from '../support/peer-process.ts'
import { needsSmallDisk, smallDisk } from '../support/small-disk.ts'
import { tcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'
import {
  SHARED_TAG,
  SITE_HOST,
  startVersionedOrigin,
  tagOf,
  type VersionedOrigin,
  versionIn,
} from '../support/versioned-origin.ts'

root.setTimeout(300_000)

/** An address at which nobody is: peers find each other by what they join only, so that a proxy is the one way. */
const NOWHERE = '/ip4/127.0.0.1/tcp/1'

const PATHS = ['/page/2000', '/style/9001', '/script/70000', '/picture/400003', '/film/3300007']
const MISSES = 1_000

const SEVERAL = Array.from({ length: 12 }, (_, index) => `/one-of-many-${index}/${50_000 + index}`)
const MANY = Array.from({ length: 24 }, (_, index) => `/large-${index}/${2_000_000 + index}`)

interface Member {
  peer: CdnPeer
  process: PeerProcess
  readonly begin: () => Promise<PeerProcess>
}

interface Network {
  readonly origin: VersionedOrigin
  readonly members: readonly [Member, Member, Member, Member, Member]
  /** Loses the last peer from all others. */
  cut(): void
  mend(): void
}

test('five peers in front of one origin', async (t) => {
  const network = await startNetwork(t)
  await untilAcquainted(network.members.map(({ peer }) => peer))
  await t.test('a thousand misses at once are one request to the origin', async (t) => {
    await missesAtOnce(t, network)
  })
  await t.test(
    'a shield that is stopped holds up nobody, and the origin sees few requests',
    async (t) => {
      await stoppedShield(t, network)
    },
  )
  await t.test('killed, stopped, cut off and purged', async (t) => {
    await faults(t, network)
  })
})

test('a cache outlives its process, however that ended, and what the disk damaged', async (t) => {
  const origin = await startVersionedOrigin()
  t.teardown(() => origin.stop())
  const home = join(t.testdir({}), 'home')
  const begin = () => startPeer(t, home, [...cdnArguments(origin.url), '--peer-https', 'off'])
  const askAll = async ({ ready }: PeerProcess): Promise<boolean[]> => {
    const hits: boolean[] = []
    for (const path of SEVERAL) {
      const answer = await askSite(ready.http, path)
      t.equal(versionIn(path, answer), 1)
      hits.push(isHit(answer))
    }
    return hits
  }
  const requests = () => SEVERAL.map((path) => origin.requests(path))
  const allOf = <Value>(value: Value): Value[] => SEVERAL.map(() => value)

  let peer = await begin()
  t.same(await askAll(peer), allOf(false))
  await peer.end('SIGTERM')
  peer = await begin()
  t.same(await askAll(peer), allOf(true), 'warm after an orderly end')
  await peer.end('SIGKILL')
  peer = await begin()
  t.same(await askAll(peer), allOf(true), 'warm after a crash')
  t.same(requests(), allOf(1))
  await peer.end('SIGTERM')
  t.ok((await damageAll(join(home, 'content', 'objects'))) >= SEVERAL.length)
  peer = await begin()
  await askAll(peer)
  t.same(requests(), allOf(2), 'what is damaged comes anew')
  t.same(await askAll(peer), allOf(true))
})

test('a full disk costs nobody a right answer', { skip: needsSmallDisk() }, async (t) => {
  const origin = await startVersionedOrigin()
  t.teardown(() => origin.stop())
  const disk = smallDisk(24 * 2 ** 20)
  const home = join(disk.directory, 'home')
  const peer = await startPeer(t, home, [
    ...[...cdnArguments(origin.url), '--peer-https', 'off'],
    ...['--memory-bytes-max', String(16 * 2 ** 20)],
  ])
  t.teardown(async () => {
    await peer.end('SIGKILL')
    disk.remove()
  })
  const askAll = async (): Promise<void> => {
    for (const path of MANY) t.equal(versionIn(path, await askSite(peer.ready.http, path)), 1)
  }
  // More than the disk has room for, and more than the RAM; then not a byte is left.
  await askAll()
  const hog = join(disk.directory, 'hog')
  await writeFile(hog, Buffer.alloc(24 * 2 ** 20)).catch(() => undefined)
  await askAll()
  const everything = { by: 'everything' } as const
  await rm(hog)
  await askAll()
  for (const path of MANY) origin.bump(path)
  t.match(await purgeAt(peer.ready, everything), { complete: true })
  for (const path of MANY) t.equal(versionIn(path, await askSite(peer.ready.http, path)), 2)
})

/** Changes one byte of every file below a folder; how many there are. */
async function damageAll(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  for (const { parentPath, name } of files) {
    const bytes = await readFile(join(parentPath, name))
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
    await writeFile(join(parentPath, name), bytes)
  }
  return files.length
}

async function missesAtOnce(t: Test, { origin, members }: Network): Promise<void> {
  const path = '/wanted/20000'
  const { promise, resolve } = Promise.withResolvers<void>()
  origin.gate = promise
  const peers = members.map(({ peer }) => peer)
  const asking = askAtOnce(peers, path, MISSES)
  await until(() => origin.requests(path) > 0, 'a request to the origin')
  resolve()
  const answers = await asking
  origin.gate = undefined
  t.equal(answers.filter((answer) => versionIn(path, answer) === 1).length, MISSES)
  t.equal(origin.requests(path), 1)
}

/** Its connections live, and it says nothing: who asks it goes on to the next one long before they break. */
async function stoppedShield(t: Test, { origin, members }: Network): Promise<void> {
  const everyone = members.map(({ peer }) => peer)
  const { peer: shield, process } = members[3]
  const others = everyone.filter(({ peerId }) => peerId !== shield.peerId)
  // Paths that all agree to ask this very peer for.
  const paths: string[] = []
  for (let index = 0; paths.length < 8; index += 1) {
    const path = `/shielded-${index}/${30_000 + index}`
    if (rankByRendezvous(`http://${SITE_HOST}${path}`, everyone)[0] === shield.peerId)
      paths.push(path)
  }
  const [early = '', ...later] = paths
  for (const { http } of others) t.equal(versionIn(early, await askSite(http, early)), 1)
  t.equal(origin.requests(early), 1)
  process.child.kill('SIGSTOP')
  const asked = later.flatMap((path) =>
    others.flatMap(({ http }) => [ask(http, path), ask(http, path)]),
  )
  for (const { path, answer } of await Promise.all(asked)) t.equal(versionIn(path, answer), 1)
  const requests = later.map((path) => origin.requests(path))
  t.ok(
    requests.every((count) => count >= 1 && count <= 2),
    `${requests} requests to the origin`,
  )
  // What is purged meanwhile it must not serve when it goes on.
  for (const path of paths) origin.bump(path)
  const { complete, peers } = await purgeAt(others[0] as CdnPeer, { by: 'everything' })
  t.equal(complete, false)
  t.match(
    peers.filter(({ status }) => status !== 'done').map(({ peerId }) => peerId),
    [shield.peerId],
  )
  const first = askSite(shield.http, early)
  process.child.kill('SIGCONT')
  t.equal(versionIn(early, await first), 2, 'not even the first answer is from before the purge')
  for (const { http } of everyone) {
    for (const path of paths) t.equal(versionIn(path, await askSite(http, path)), 2)
  }
  await untilAcquainted(everyone)

  async function ask(http: string, path: string) {
    return { path, answer: await askSite(http, path, {}, cdnLimits.shieldHeadTimeoutMs - 2_000) }
  }
}

async function faults(t: Test, { origin, members, cut, mend }: Network): Promise<void> {
  const watch = new CdnWatch(origin, PATHS)
  t.teardown(() => watch.stop())
  const [first, second, killed, stopped, lost] = members
  const everyone = members.map(({ peer }) => peer)
  for (const peer of everyone) watch.watch(peer, 2)
  const [page, style, script, picture, film] = PATHS as [string, string, string, string, string]
  const byUrl = (path: string) => ({ by: 'url', url: `http://${SITE_HOST}${path}` }) as const

  const whole = await watch.purge(first.peer, { by: 'everything' }, PATHS)
  t.equal(whole.complete, true, 'all five have done a purge')
  t.equal(whole.peers.length, members.length)
  await until(() => everyone.every((peer) => watch.tally(peer).hits > 20), 'warm caches')

  await killed.process.end('SIGKILL')
  stopped.process.child.kill('SIGSTOP')
  cut()
  // The one that is stopped does not answer in time; those that are gone may be missed already, and are not waited for then.
  const [atLost, ...missed] = await Promise.all([
    watch.purge(lost.peer, byUrl(style), [style]),
    watch.purge(first.peer, byUrl(page), [page]),
    watch.purge(second.peer, { by: 'tag', tag: tagOf(film) }, [film]),
    watch.purge(second.peer, { by: 'everything' }, PATHS),
  ])
  t.match(atLost.peers[0], { peerId: lost.peer.peerId, status: 'done' })
  for (const { complete, peers } of missed) {
    t.equal(complete, false)
    t.match(
      peers.find(({ peerId }) => peerId === stopped.peer.peerId)?.status,
      /failed|unreachable/,
    )
  }
  watch.isBack(stopped.peer)
  stopped.process.child.kill('SIGCONT')
  await watch.purge(first.peer, { by: 'tag', tag: SHARED_TAG }, PATHS)
  watch.isBack(killed.peer)
  killed.process = await killed.begin()
  const hitsBefore = new Map(everyone.map((peer) => [peer, watch.tally(peer).hits]))
  mend()
  await untilAcquainted(everyone)
  watch.isBack(lost.peer)
  for (const { peer } of [first, second, lost]) {
    await watch.catchUp(peer, `all have done the purges of ${peer.peerId}`)
  }
  await watch.purge(killed.peer, byUrl(script), [script])
  await watch.purge(lost.peer, byUrl(picture), [picture])
  await watch.purge(stopped.peer, { by: 'host', host: SITE_HOST }, PATHS)
  await until(
    () => everyone.every((peer) => watch.tally(peer).hits > (hitsBefore.get(peer) ?? 0) + 20),
    'all answer from their caches again',
  )
  for (const { peer } of [killed, stopped, lost]) {
    await watch.catchUp(peer, `all have done the last purges of ${peer.peerId}`)
  }
  await watch.stop()
  t.same(watch.violations, [])
  for (const peer of everyone) t.comment(peer.peerId.slice(-6), JSON.stringify(watch.tally(peer)))
  for (const peer of everyone) {
    const wanted = PATHS.map((path) => watch.floor(peer, path))
    const versions = PATHS.map(async (path) => versionIn(path, await askSite(peer.http, path)))
    t.same(await Promise.all(versions), wanted, 'every peer serves the newest version')
  }
}

async function startNetwork(t: Test): Promise<Network> {
  const origin = await startVersionedOrigin()
  t.teardown(() => origin.stop())
  const ports = await freePorts(5)
  const proxies = await Promise.all(ports.slice(0, 4).map((port) => tcpProxy(t, port)))
  const folder = t.testdir({})
  const members = await Promise.all(
    ports.map(async (port, index) => {
      const isLost = index === 4
      // Nobody knows the way to the last one, and it knows the others' only through its proxies.
      const known = isLost ? proxies.map((proxy) => proxy.port) : ports.slice(0, 4)
      const joined = known
        .filter((other) => other !== port)
        .map((other) => `/ip4/127.0.0.1/tcp/${other}`)
      const begin = (): Promise<PeerProcess> =>
        startPeer(t, join(folder, String(index)), [
          ...cdnArguments(origin.url),
          ...['--listen', `/ip4/127.0.0.1/tcp/${port}`, '--announce', NOWHERE],
          ...['--peer-https', isLost ? 'off' : '127.0.0.1:0'],
          ...joined.flatMap((address) => ['--join', address]),
        ])
      const process = await begin()
      return { peer: process.ready, process, begin }
    }),
  )
  return {
    origin,
    members: members as unknown as Network['members'],
    cut: () => {
      for (const proxy of proxies) proxy.cut()
    },
    mend: () => {
      for (const proxy of proxies) proxy.mend()
    },
  }
}

/** Ports that nobody has now, below those that systems give away by themselves: peers come back to them, and they must be known before. */
async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = randomInt(20_000, 30_000)
    if (await isFree(port)) ports.add(port)
  }
  return [...ports]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
  } catch {
    return false
  }
  await once(server.close(), 'close')
  return true
}
