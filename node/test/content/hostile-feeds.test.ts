/** Providers that send genuine windows of the past, for as long as anybody listens: signatures hold, and nothing goes on. */
import { create } from '@bufbuild/protobuf'
import { test } from 'tap'
import type { IndexWindow } from '../../src/content/index/index-window.ts'
import { FEED_PROTOCOL } from '../../src/host/protocols.ts'
import { contentLimits } from '../../src/limits.ts'
import { encodeFrameHeader } from '../../src/protocol/frame-codec.ts'
import { FeedFrameSchema } from '../../src/protocol/generated/feed_pb.js'
import { type ContentPeer, never } from '../support/content-peer.ts'
import { network } from '../support/raw-feed.ts'

type Network = Awaited<ReturnType<typeof network>>

/** A provider that sends the same window each second. */
async function replayWindow(
  { net, clock }: Network,
  peerId: string,
  window: IndexWindow,
): Promise<void> {
  const { headBytes: head, encodedEntries: entries, signature } = window
  const value = { head, entries, signature, route: [peerId, 'a'], backlogMsn: 1_000n }
  const frame = create(FeedFrameSchema, { body: { case: 'window', value } })
  const bytes = encodeFrameHeader(FeedFrameSchema, frame)
  await net.peer(peerId).handle(FEED_PROTOCOL, async (stream) => {
    for (;;) {
      await stream.write(bytes)
      await new Promise<void>((resolve) => {
        clock.after(1_000, resolve)
      })
    }
  })
}

/** Longer than a feed may be without a new part. */
function idleMs({ head }: IndexWindow): number {
  return (contentLimits.feedIdlePartsMax * head.partTargetUs) / 1_000 + 3_000
}

test('a sender that shows an old window again and again is left for one that goes on', async (t) => {
  const world = await network()
  const { net, start, clock, directory } = world
  const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
  const publisher = a.publish({})
  publisher.parts(5)
  const original = await publisher.publication.rendition('source')
  await replayWindow(world, 'x', original.window)
  const { id } = publisher.publication.record
  directory.providers.set(id, new Set(['x', 'a']))
  const stream = await b.replicas.open('test', { signal: never })
  const rendition = await stream.rendition('source', { signal: never })
  t.equal(stream.sourcePeer, 'x')
  publisher.parts(5)
  t.equal(rendition.entries.length, 5)
  await clock.pass(idleMs(original.window))
  t.equal(stream.sourcePeer, 'a')
  t.equal(rendition.entries.length, 10)
  t.ok((await b.metric('kairo_feed_failures_total', { code: 'ERR_TIMEOUT' })) > 0)
  net.kill('x')
  await b.stop()
})

test('the end of an earlier broadcast does not hide the present one', async (t) => {
  const world = await network()
  const { net, start, clock, directory } = world
  const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
  const publisher = a.publish({})
  publisher.parts(5)
  const original = await publisher.publication.rendition('source')
  publisher.publication.end()
  t.equal(original.head.ended, true)
  await replayWindow(world, 'x', original.window)
  publisher.begin()
  publisher.parts(5)
  const { id, state } = publisher.publication.record
  t.equal(state, 'live')
  directory.providers.set(id, new Set(['x', 'a']))
  const stream = await b.replicas.open('test', { signal: never })
  const rendition = await stream.rendition('source', { signal: never })
  t.equal(rendition.head.ended, true)
  await clock.pass(idleMs(original.window))
  t.equal(stream.sourcePeer, 'a')
  t.equal(rendition.head.ended, false)
  net.kill('x')
  await b.stop()
})
