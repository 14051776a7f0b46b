/** A replica that can be rewound: nothing of it is shown before it is known how far, and old segments are fetched by digest. */
import { test } from 'tap'
import { digestOf } from '../../../src/content/digest.ts'
import { ContentPeer, never, SharedDirectory } from '../../support/content-peer.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { MemoryNet } from '../../support/memory-transport.ts'

test('rewinding a replica', async (t) => {
  const clock = new ManualClock()
  const net = new MemoryNet({ clock, latencyMs: 0 })
  const shared = { clock, net, directory: new SharedDirectory() }
  const old = Buffer.from('an old segment')
  const word = Promise.withResolvers<void>()
  const calls: string[] = []
  const dvr = {
    prepare: async (_stream: string, name: string, live: () => object | undefined) => {
      calls.push(`${name} ${live() === undefined ? 'unknown' : 'followed'}`)
      await word.promise
    },
    has: (_stream: string, digest: string) => digest === digestOf(old),
    forget: (stream: string) => void calls.push(`forget ${stream}`),
  }
  const a = await new ContentPeer('a', shared).start()
  const b = await new ContentPeer('b', { ...shared, dvr }).start()
  const publisher = a.publish({})
  publisher.parts(25)
  a.store.put(digestOf(old), old)
  const stream = await b.replicas.open('test', { signal: never })

  let isShown = false
  const first = stream.rendition('source', { signal: never }).then((rendition) => {
    isShown = true
    return rendition
  })
  await clock.pass(10)
  t.same(calls, ['source followed'])
  t.equal(stream.status, 'following')
  t.same([isShown, stream.followed().length], [false, 0])
  word.resolve()
  const rendition = await first
  t.same(stream.followed(), [rendition])
  t.equal(await stream.rendition('source', { signal: never }), rendition)
  t.equal(calls.length, 1, 'asked once')

  t.same(await stream.read(digestOf(old), { signal: never }), old)
  const other = digestOf(Buffer.from('never in the stream'))
  await t.rejects(stream.read(other, { signal: never }), { code: 'ERR_NOT_FOUND' })
  await b.stop()
  t.equal(calls.at(-1), `forget ${stream.record.id}`)
  await a.stop()
})
