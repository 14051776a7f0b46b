/** What peers know of one another's videos: who hears what when, over restarts, and what strangers cannot do. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { encodeSignedList } from '../../../src/content/videos/signed-list.ts'
import { encodeVideoPages } from '../../../src/content/videos/video-pages.ts'
import { VIDEOS_TOPIC } from '../../../src/host/protocols.ts'
import { videoLimits } from '../../../src/limits/videos.ts'
import { newSigner } from '../../support/adverts.ts'
import { metric } from '../../support/http-exchange.ts'
import { startVideoPeer, VideoNetwork, type VideoPeer } from '../../support/video-peer.ts'
import { makeVideo } from '../../support/videos.ts'

const SOON = videoLimits.announceDelayMs + 1

function titles({ videos }: VideoPeer): string[] {
  return videos.newest(100).map(({ video }) => video.title)
}

async function three(t: Test) {
  const net = new VideoNetwork(t)
  const folder = t.testdir({})
  const peer = (name: string, signer?: VideoPeer['signer']) => {
    const directory = join(folder, name)
    return startVideoPeer(net, signer === undefined ? { directory } : { directory, signer })
  }
  const [a, b, c] = [await peer('a'), await peer('b'), await peer('c')]
  return { net, folder, peer, a, b, c }
}

test('videos are heard of by gossip, and by newcomers at once', async (t) => {
  const { net, a, b, c } = await three(t)
  a.network.connect(b.network)
  await net.clock.pass(SOON)
  const [first, second] = [makeVideo(a.peerId, 'first'), makeVideo(a.peerId, 'second')]
  const told: string[] = []
  b.videos.events.on('video:changed', ({ owner, video }) => told.push(`+${video.title} ${owner}`))
  b.videos.events.on('video:removed', ({ video }) => told.push(`-${video.title}`))
  a.share(first)
  await net.clock.pass(SOON)
  t.same(titles(b), ['first'])
  t.same(b.videos.get(first.record.id)?.video, first.record)
  t.same(titles(a), [], "own videos are the library's to list")

  a.share(first, second)
  await net.clock.pass(SOON)
  t.equal(b.videos.count, 2)
  b.network.connect(c.network)
  await net.clock.pass(SOON)
  t.equal(c.videos.count, 2, 'a neighbour of a neighbour')

  const renamed = { ...second, record: { ...second.record, title: 'second, better' } }
  a.share(first, renamed)
  await net.clock.pass(SOON)
  t.ok(titles(b).includes('second, better'))
  a.share(renamed)
  await net.clock.pass(SOON)
  t.same(titles(b), ['second, better'])
  t.equal(b.videos.get(first.record.id), undefined)
  t.equal(told.at(-1)?.startsWith('+') === true ? told.at(-2) : told.at(-1), '-first')
  a.share()
  await net.clock.pass(SOON)
  t.same(titles(b), [], 'the last one is removed too')
})

test('nothing is told that did not change, and a peer without videos is silent', async (t) => {
  const { net, a, b } = await three(t)
  a.network.connect(b.network)
  a.share()
  await net.clock.pass(SOON)
  t.equal(await metric(a.registry, 'kairo_videos_announcements_total'), 0)
  const one = makeVideo(a.peerId, 'one')
  a.share(one)
  await net.clock.pass(SOON)
  a.share(one)
  await net.clock.pass(SOON)
  t.equal(await metric(a.registry, 'kairo_videos_announcements_total'), 1)
  const again = videoLimits.announceAgainMs.length
  await net.clock.pass(100_000)
  t.equal(await metric(a.registry, 'kairo_videos_announcements_total'), 1 + again, 'said again')
  t.equal(
    await metric(b.registry, 'kairo_videos_heard_total', { outcome: 'kept' }),
    1,
    'which is no news',
  )
  await net.clock.pass(videoLimits.announceIntervalMs)
  t.equal(await metric(a.registry, 'kairo_videos_announcements_total'), 2 + again, 'now and then')
  t.same(titles(b), ['one'])
})

test('a list lives on while its owner is away, over restarts, and not for ever', async (t) => {
  const { net, peer, a, b, c } = await three(t)
  a.network.connect(b.network)
  a.share(makeVideo(a.peerId, 'one'))
  await net.clock.pass(SOON)
  await a.kill()
  await net.clock.pass(3 * 24 * 3_600_000)
  t.same(titles(b), ['one'])
  await b.kill()
  const again = await peer('b', b.signer)
  t.same(titles(again), ['one'], 'from disk')
  again.network.connect(c.network)
  await net.clock.pass(SOON)
  t.same(titles(c), ['one'], 'and told on')
  await net.clock.pass(videoLimits.listTtlMs)
  t.same([titles(again), titles(c)], [[], []])
  await again.kill()
  const later = await peer('b', b.signer)
  t.same(titles(later), [])
})

test('a damaged file is asked for again', async (t) => {
  const { net, folder, peer, a, b } = await three(t)
  a.network.connect(b.network)
  a.share(makeVideo(a.peerId, 'one'))
  await net.clock.pass(SOON)
  await b.kill()
  const path = join(folder, 'b', a.peerId)
  const bytes = readFileSync(path)
  bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1
  writeFileSync(path, bytes)
  writeFileSync(join(folder, 'b', 'junk'), 'junk')
  const again = await peer('b', b.signer)
  t.same(titles(again), [])
  t.same(readdirSync(join(folder, 'b')), [])
  again.network.connect(a.network)
  await net.clock.pass(SOON)
  t.same(titles(again), ['one'])
})

test('a peer that comes back says nothing before it knows what it has', async (t) => {
  const { net, peer, a, b } = await three(t)
  a.network.connect(b.network)
  const one = makeVideo(a.peerId, 'one')
  a.share(one)
  await net.clock.pass(SOON)
  await a.kill()
  const again = await peer('a', a.signer)
  again.network.connect(b.network)
  await net.clock.pass(SOON)
  t.same(titles(b), ['one'], 'the library is not open yet')
  again.share()
  await net.clock.pass(SOON)
  t.same(titles(b), [], 'what was removed meanwhile is gone')
})

test('strangers', async (t) => {
  const { net, a, b, c } = await three(t)
  a.network.connect(b.network)
  c.network.connect(b.network)
  const one = makeVideo(a.peerId, 'one')
  a.share(one)
  await net.clock.pass(SOON)
  const { clock } = net
  const say = async (head: Uint8Array): Promise<string | undefined> => {
    c.network.verdicts.length = 0
    await c.network.publish(VIDEOS_TOPIC, head)
    await net.clock.pass(SOON)
    return c.network.verdicts[0]
  }
  const head = (change: object = {}) => {
    const sequence = clock.now() + 1
    return { sequence, expiresAtMs: sequence + 60_000, pages: [] as string[], ...change }
  }
  const asA = { peerId: a.peerId, sign: (text: Uint8Array) => c.signer.sign(text) }
  t.equal(await say(encodeSignedList(asA, head())), 'reject', 'nobody speaks for another')
  t.same(titles(b), ['one'])
  t.equal(await say(Buffer.from('junk')), 'reject')
  const [stranger, another] = [await newSigner(), await newSigner()]
  const early = head({ sequence: clock.now() + videoLimits.clockSkewMsMax + 60_000 })
  early.expiresAtMs = early.sequence + 1
  t.equal(await say(encodeSignedList(stranger, early)), 'ignore', 'from the future')
  const late = { sequence: 1, expiresAtMs: 2, pages: [] }
  t.equal(await say(encodeSignedList(stranger, late)), 'ignore', 'over')

  // A page of another's video, told as one's own.
  const [page = Buffer.alloc(0)] = encodeVideoPages(a.peerId, [one.record]).pages
  c.store.put(digestOf(page), page)
  t.equal(await say(encodeSignedList(stranger, head({ pages: [digestOf(page)] }))), 'accept')
  await net.clock.pass(1_000)
  t.same(b.videos.get(one.record.id)?.owner, a.peerId)
  t.equal(await metric(b.registry, 'kairo_videos_loads_total', { outcome: 'ERR_PROTOCOL' }), 1)

  // A page that nobody has is asked for again, until somebody has it.
  const theirs = makeVideo(another.peerId, 'theirs')
  const [later = Buffer.alloc(0)] = encodeVideoPages(another.peerId, [theirs.record]).pages
  const wanted = encodeSignedList(another, head({ pages: [digestOf(later)] }))
  t.equal(await say(wanted), 'accept')
  t.same(titles(b), ['one'])
  c.store.put(digestOf(later), later)
  await net.clock.pass(60_000)
  t.same(titles(b).sort(), ['one', 'theirs'])
  t.equal(await say(wanted), 'ignore', 'old news')
})

test('there is an end to what others may tell', async (t) => {
  const { net, b, c } = await three(t)
  c.network.connect(b.network)
  const sequence = net.clock.now()
  for (let owner = 0; owner < videoLimits.ownersMax; owner += 1) {
    const signer = await newSigner()
    const head = encodeSignedList(signer, { sequence, expiresAtMs: sequence + 60_000, pages: [] })
    await c.network.publish(VIDEOS_TOPIC, head)
  }
  await net.clock.pass(SOON)
  t.equal(await metric(b.registry, 'kairo_videos_owners'), videoLimits.ownersMax)
  const last = encodeSignedList(await newSigner(), {
    ...{ sequence, expiresAtMs: sequence + 60_000, pages: [] },
  })
  await c.network.publish(VIDEOS_TOPIC, last)
  t.equal(await metric(b.registry, 'kairo_videos_heard_total', { outcome: 'full' }), 1)
})
