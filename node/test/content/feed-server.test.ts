/** Serving feeds: what is refused, where a feed begins, and who is dropped. */
import { test } from 'tap'
import { generateStreamKey } from '../../src/content/stream-key.ts'
import { FEED_PROTOCOL } from '../../src/host/protocols.ts'
import type { PeerStream } from '../../src/host/transport.ts'
import { contentLimits } from '../../src/limits.ts'
import { never, readWindow } from '../support/content-peer.ts'
import { settle } from '../support/manual-clock.ts'
import { frames, keyOf, network, request } from '../support/raw-feed.ts'

test('feed server', async (t) => {
  await t.test('refuses in words what it does not serve', async (t) => {
    const { net, start, clock } = await network()
    const a = await start('a')
    const publisher = a.publish({})
    const publicKey = keyOf(publisher)
    const cases: [object, string][] = [
      [{ publicKey, version: 2 }, 'ERR_PROTOCOL'],
      [{ publicKey, rendition: '../x' }, 'ERR_PROTOCOL'],
      [{ publicKey, rendition: 'none' }, 'ERR_NOT_FOUND'],
      [{ publicKey: publicKey.subarray(1) }, 'ERR_PROTOCOL'],
      [{ publicKey: generateStreamKey().raw }, 'ERR_NOT_FOUND'],
      [{ publicKey, resume: true, afterPart: 100_000 }, 'ERR_PROTOCOL'],
      [{ publicKey, resume: true, afterMsn: 2n ** 60n }, 'ERR_PROTOCOL'],
    ]
    for (const [fields, code] of cases) {
      t.same(await frames(await request(net, 'x', 'a', fields)), [`end ${code}`])
    }
    const junk = await net.peer('x').open('a', FEED_PROTOCOL, { signal: never })
    await junk.write(Buffer.alloc(100, 0xff))
    t.same(await frames(junk), ['end ERR_PROTOCOL'])
    const quiet = await net.peer('x').open('a', FEED_PROTOCOL, { signal: never })
    const refusal = frames(quiet)
    refusal.catch(() => {})
    await clock.pass(contentLimits.feedOpenMsMax)
    await t.rejects(refusal, 'one that asks nothing is cut off')
    publisher.part()
    const chatty = await request(net, 'x', 'a', { publicKey })
    await settle()
    await chatty.write(Buffer.from('more'))
    await clock.pass(10)
    t.match((await frames(chatty)).at(-1), 'end ERR_PROTOCOL')
    const open: PeerStream[] = []
    for (let index = 0; index < contentLimits.feedsPerPeerMax; index += 1) {
      open.push(await request(net, 'y', 'a', { publicKey }))
    }
    await settle()
    t.same(await frames(await request(net, 'y', 'a', { publicKey })), ['end ERR_LIMIT'])
    t.equal(await a.metric('kairo_feed_served'), contentLimits.feedsPerPeerMax)
    for (const stream of open) await stream.close()
    await settle()
    t.equal(await a.metric('kairo_feed_served'), 0)
    t.equal(
      await a.metric('kairo_feed_served_ended_total', { code: 'ok' }),
      contentLimits.feedsPerPeerMax,
    )
    await a.stop()
    t.same(await frames(await request(net, 'x', 'a', { publicKey })), ['end ERR_STOPPED'])
  })

  await t.test('a subscriber that does not read is dropped, and nobody else', async (t) => {
    const { net, start, clock } = await network()
    const a = await start('a')
    const b = await start('b')
    const publisher = a.publish({})
    publisher.part()
    const publicKey = keyOf(publisher)
    const stream = await b.replicas.open('test', { signal: never })
    await stream.rendition('source', { signal: never })
    await request(net, 'slow', 'a', { publicKey })
    await settle()
    t.equal(await a.metric('kairo_feed_served'), 2)
    for (let index = 0; index < 40; index += 1) {
      publisher.part({ bytes: 1024 * 1024 })
      await settle()
    }
    await clock.pass(1_500)
    t.equal(await a.metric('kairo_feed_served_ended_total', { code: 'ERR_LIMIT' }), 1)
    t.equal(await a.metric('kairo_feed_served'), 1)
    t.equal(stream.status, 'following')
    t.ok(
      (await readWindow(stream, 'source')).equals(
        await readWindow(publisher.publication, 'source'),
      ),
    )
    await Promise.all([a.stop(), b.stop()])
    await clock.pass(2_000)
    t.equal(net.openStreams, 0)
  })

  await t.test('one that takes nothing for too long is cut off', async (t) => {
    const { net, start, clock } = await network()
    const a = await start('a')
    const publisher = a.publish({})
    publisher.parts(3, { bytes: 200_000 })
    await request(net, 'slow', 'a', { publicKey: keyOf(publisher) })
    await clock.pass(contentLimits.feedWriteMsMax + 1_000)
    t.equal(await a.metric('kairo_feed_served'), 0)
    await a.stop()
  })

  await t.test('a resumed feed begins after the part that is there', async (t) => {
    const { net, start, clock } = await network()
    const a = await start('a')
    const publisher = a.publish({})
    publisher.parts(15)
    const publicKey = keyOf(publisher)
    const resumed = await request(net, 'x', 'a', {
      publicKey,
      resume: true,
      afterMsn: 1n,
      afterPart: 2,
    })
    t.same(await frames(resumed, 4), ['window', 'object', 'object', 'object'])
    const level = await request(net, 'x', 'a', {
      publicKey,
      resume: true,
      afterMsn: 1n,
      afterPart: 4,
    })
    await clock.pass(contentLimits.feedHeartbeatMs)
    t.same(await frames(level, 2), ['window', 'route'])
    publisher.reconfigure()
    publisher.part()
    await settle()
    t.same(
      await frames(level, 2),
      ['part', 'object'],
      'a new init segment follows the part that names it',
    )
    await a.stop()
  })
})
