/**
 * A stream whose key two peers hold: each shows what the one publishes whose record holds, whatever it was told first, and whatever it
 * has left of its own.
 */
import { test } from 'tap'
import { generateStreamKey } from '../../../src/content/stream-key.ts'
import {
  type ContentPeer,
  MemorySequence,
  never,
  REPLICA_IDLE_MS,
  sourceInfo,
  TestPublisher,
} from '../../support/content-peer.ts'
import { network } from '../../support/raw-feed.ts'

async function twoPeers() {
  const { start, clock, directory } = await network()
  const [a, b] = (await Promise.all(['a', 'b'].map(start))) as [ContentPeer, ContentPeer]
  const key = generateStreamKey()
  const stop = () => Promise.all([a, b].map((peer) => peer.stop()))
  return { a, b, clock, directory, key, stop }
}

test('a peer that comes back, or is given a key, shows what another peer publishes already', async (t) => {
  const { a, b, key, stop } = await twoPeers()
  const publisher = b.publish({ key })
  publisher.parts(25)
  const own = a.prepare({ key })
  t.equal(a.replicas.get('test'), undefined)
  t.equal(a.replicas.get(key.id), undefined)
  t.equal(a.replicas.served(key.id), undefined, 'nor is an empty one passed on')
  const stream = await a.replicas.open('test', { signal: never })
  const rendition = await stream.rendition('source', { signal: never })
  t.equal(rendition.entries.length, 25)
  t.equal(stream.sourcePeer, 'b')
  t.equal(a.replicas.get('test'), stream)
  t.equal(a.replicas.served(key.id), stream)
  t.not(stream, own)
  await stop()
})

test('a key that comes while its stream is watched here sends no viewer away', async (t) => {
  const { a, b, key, stop } = await twoPeers()
  const publisher = b.publish({ key })
  publisher.parts(5)
  const stream = await a.replicas.open('test', { signal: never })
  const rendition = await stream.rendition('source', { signal: never })
  a.prepare({ key })
  const next = rendition.wait(0, 5, { signal: never })
  publisher.part()
  await next
  t.equal(a.replicas.get('test'), stream)
  await stop()
})

test('a stream that goes from peer to peer is shown where it is', async (t) => {
  const { a, b, key, clock, directory, stop } = await twoPeers()
  const atA = a.publish({ key })
  atA.parts(15)
  atA.publication.end()
  t.equal(
    a.replicas.get('test'),
    atA.publication,
    'its end is shown while nobody else publishes it',
  )

  const sequence = new MemorySequence()
  sequence.nextMsn = atA.publication.nextMsn
  const atB = b.publish({ key, sequence })
  atB.parts(15)
  const replica = await a.replicas.open('test', { signal: never })
  const rendition = await replica.rendition('source', { signal: never })
  t.equal(rendition.head.firstMsn, sequence.nextMsn)
  t.ok(directory.providers.get(key.id)?.has('a'))

  atB.publication.end()
  await clock.pass(10)
  t.equal(a.replicas.get('test'), replica, 'the end too is that of the other one')
  t.ok(rendition.head.ended)

  directory.records.delete(key.id)
  t.equal(a.replicas.get('test'), replica, 'whoever watches it goes on when its record has run out')
  await clock.pass(REPLICA_IDLE_MS * 1.5)
  t.equal(a.replicas.get('test'), atA.publication)

  atA.publication.continueFrom(atB.publication.numbers)
  atA.begin()
  atA.parts(5)
  t.equal(a.replicas.get('test'), atA.publication)
  t.equal(a.replicas.served(key.id), atA.publication)
  t.ok(directory.providers.get(key.id)?.has('a'), 'and can be had here')
  await stop()
})

test('who watches a replica here is sent to what is published here instead', async (t) => {
  const { a, b, key, stop } = await twoPeers()
  b.publish({ key }).parts(5)
  const own = a.prepare({ key })
  const replica = await a.replicas.open('test', { signal: never })
  const rendition = await replica.rendition('source', { signal: never })
  const sentAway = t.rejects(rendition.wait(1_000, 0, { signal: never }), { code: 'ERR_STOPPED' })
  new TestPublisher(own, [sourceInfo]).parts(5)
  await sentAway
  t.equal(a.replicas.get('test'), own)
  t.equal(await a.metric('kairo_content_replicas'), 0)
  await stop()
})

test('a stream that went elsewhere has nothing left here, even before it is known where', async (t) => {
  const { a, key, directory, stop } = await twoPeers()
  const { publication } = a.publish({ key })
  directory.records.delete(key.id)
  publication.yield()
  t.equal(a.replicas.get('test'), publication)
  t.same(publication.record.renditions, [])
  t.same(publication.followed(), [])
  await stop()
})
