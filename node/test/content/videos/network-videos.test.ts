/** Videos of others, played: fetched when they are asked for, from whoever has them, until their owner removes them. */
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { PlayableVideos } from '../../../src/content/videos/playable-videos.ts'
import { videoLimits } from '../../../src/limits/videos.ts'
import { metric } from '../../support/http-exchange.ts'
import { MemoryPresentations } from '../../support/memory-presentations.ts'
import { startVideoPeer, VideoNetwork, type VideoPeer } from '../../support/video-peer.ts'
import { type MadeVideo, makeVideo } from '../../support/videos.ts'

const { signal } = new AbortController()

async function mesh(t: Test) {
  const net = new VideoNetwork(t)
  const folder = t.testdir({})
  const peer = (name: string) =>
    startVideoPeer(net, { directory: join(folder, name), objects: join(folder, `${name}-objects`) })
  const [a, b, c] = [await peer('a'), await peer('b'), await peer('c')]
  a.network.connect(b.network)
  b.network.connect(c.network)
  a.network.connect(c.network)
  const made = makeVideo(a.peerId, 'A film', { segments: 1_030 })
  a.share(made)
  const soon = () => net.clock.pass(videoLimits.announceDelayMs + 1)
  await soon()
  return { net, a, b, c, made, soon }
}

/** Reads some of it, and checks it. */
async function play(t: Test, { player }: VideoPeer, { record, segments, objects }: MadeVideo) {
  const presentation = await player.open(record.id, { signal })
  t.same(presentation.renditions[0]?.segments, segments)
  for (const { digest, initDigest } of [...segments.slice(0, 3), ...segments.slice(-2)]) {
    for (const one of [digest, initDigest]) {
      t.same(await player.read(one, { id: record.id, signal }), objects.get(one))
    }
  }
}

test('a video plays elsewhere, and from copies when its peer is gone', async (t) => {
  const { net, a, b, c, made, soon } = await mesh(t)
  const { id } = made.record
  t.equal(b.player.get(id), undefined, 'nothing is fetched before it is asked for')
  t.equal(b.player.status(id), 'known')
  t.equal(b.player.outline(id)?.storyboard?.count, 6)
  await play(t, b, made)
  t.equal(b.player.status(id), 'copied')
  t.equal(b.player.get(id), await b.player.open(id, { signal }))
  t.same(
    b.player.list().map(({ title }) => title),
    ['A film'],
  )
  await soon()

  await a.kill()
  t.equal(c.player.status(id), 'away')
  await play(t, c, made)
  t.equal(c.player.status(id), 'copied')
  t.equal(await metric(c.registry, 'kairo_videos_opens_total', { outcome: 'ok' }), 1)

  // What nobody has a copy of cannot be had.
  const missing = made.segments[500]?.digest ?? ''
  await t.rejects(c.player.read(missing, { id, signal }), { code: 'ERR_NO_PROVIDER' })
  await b.kill()
  await net.clock.pass(60_000)
  await t.rejects(c.player.read(missing, { id, signal }), { code: 'ERR_NO_PROVIDER' })
})

test('it can be played before it is asked for twice, and by many at once', async (t) => {
  const { b, a, made } = await mesh(t)
  const { id } = made.record
  const opened = await Promise.all(Array.from({ length: 5 }, () => b.player.open(id, { signal })))
  t.equal(new Set(opened).size, 1)
  t.equal(
    await metric(a.registry, 'kairo_fetch_served_total', { code: 'ok' }),
    2 + 4,
    'its list for two, pages for one',
  )
  await t.rejects(b.player.open('nothing', { signal }), { code: 'ERR_NOT_FOUND' })
  await t.rejects(b.player.read('nothing', { id: 'nothing', signal }), { code: 'ERR_NOT_FOUND' })
  await t.rejects(
    b.player
      .open(id, { signal: AbortSignal.abort() })
      .then(() =>
        b.player.read(made.segments[9]?.digest ?? '', { id, signal: AbortSignal.abort() }),
      ),
  )
})

test('a new title is no new video, and other segments are', async (t) => {
  const { a, b, made, soon } = await mesh(t)
  const { id } = made.record
  const before = await b.player.open(id, { signal })
  a.share({ ...made, record: { ...made.record, title: 'Better' } })
  await soon()
  const renamed = b.player.get(id)
  t.equal(renamed?.title, 'Better')
  t.equal(renamed?.renditions, before.renditions, 'segments are known')
  const other = makeVideo(a.peerId, 'Better', { segments: 2 })
  a.share({ ...other, record: { ...other.record, id } })
  await soon()
  t.equal(b.player.get(id), undefined)
  t.equal((await b.player.open(id, { signal })).renditions[0]?.segments.length, 2)
})

test('what its owner removes is gone, copies too, but for what is kept', async (t) => {
  const { a, b, c, made, soon } = await mesh(t)
  const { id } = made.record
  await play(t, b, made)
  const [first, second] = made.segments
  if (first === undefined || second === undefined) return
  await b.store.keep(second.digest, 'operator')
  // This one has copies, and no longer knows of what.
  const [page = ''] = made.record.renditions[0]?.pages ?? []
  const owner = { tenant: a.peerId, stream: id }
  const copy = (digest: string) => made.objects.get(digest) as Buffer
  for (const digest of [page, first.digest]) c.store.put(digest, copy(digest), { owner })
  // And this came here for something else.
  c.store.put(second.digest, copy(second.digest), { owner: { ...owner, stream: 'another' } })
  a.share()
  await soon()
  t.equal(b.player.get(id), undefined)
  await t.rejects(b.player.open(id, { signal }), { code: 'ERR_NOT_FOUND' })
  await t.rejects(b.player.read(first.digest, { id, signal }), { code: 'ERR_NOT_FOUND' })
  t.notOk(b.store.has(first.digest))
  t.ok(b.store.has(second.digest))
  t.notOk(c.store.has(first.digest))
  t.notOk(c.store.has(page))
  t.ok(c.store.has(second.digest), 'a list takes nothing away from others')
})

test('segments that are not what the owner said', async (t) => {
  const { a, b, soon } = await mesh(t)
  const made = makeVideo(a.peerId, 'Two', { segments: 2 })
  const [rendition] = made.record.renditions
  if (rendition === undefined) return
  const { id } = made.record
  a.share({ ...made, record: { ...made.record, renditions: [{ ...rendition, segments: 3 }] } })
  await soon()
  await t.rejects(b.player.open(id, { signal }), { code: 'ERR_VERIFICATION' })
  const junk = Buffer.from('junk')
  const renditions = [{ ...rendition, pages: [digestOf(junk)] }]
  const objects = new Map([...made.objects, [digestOf(junk), junk]])
  a.share({ ...made, objects, record: { ...made.record, renditions } })
  await soon()
  await t.rejects(b.player.open(id, { signal }), { code: 'ERR_PROTOCOL' })
})

test('own videos come first', async (t) => {
  const { b, made } = await mesh(t)
  const { id } = made.record
  const own = new MemoryPresentations()
  const all = new PlayableVideos(own, b.player)
  t.equal(all.get(id), undefined)
  t.equal(all.outline(id)?.durationUs, made.record.durationUs)
  const opened = await all.open(id, { signal })
  t.equal(all.get(id), opened)
  const digest = made.segments[0]?.digest ?? ''
  t.same(await all.read(digest, { id, signal }), made.objects.get(digest))
  t.same(all.peek(digest), made.objects.get(digest))
  const mine = { ...opened, title: 'mine' }
  own.presentations.set(id, mine)
  t.equal(all.get(id), mine)
  t.equal(await all.open(id, { signal }), mine)
  t.equal(all.outline(id), mine)
  t.equal(all.list().length, 2)
  await t.rejects(all.read(digest, { id, signal }), { code: 'ERR_NOT_FOUND' })
})
