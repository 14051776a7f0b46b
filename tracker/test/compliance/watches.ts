/** Watches: every change once, in order, from where one wants. */
import type { WatchBatch } from '../../src/coordination.ts'
import type { ComplianceTest } from './coordination.ts'
import { bytes, describeBatch, put, rejects, remove, takeEvents } from './helpers.ts'

const WRITERS = 4
const WRITES = 40

export const watchTests: readonly ComplianceTest[] = [
  {
    name: 'a watch brings every change after a revision, each revision as one',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const { revision } = await put(keyspace, 'a', '0')
      await put(keyspace, 'a', '1')
      await put(keyspace, 'b', '1')
      await remove(keyspace, 'a')
      await remove(keyspace, 'never')
      await keyspace.transact({
        then: [
          { type: 'put', key: 'c', value: bytes('1') },
          { type: 'delete-prefix', prefix: 'b' },
          { type: 'put', key: 'd', value: bytes('1') },
        ],
      })
      const last = await put(keyspace, 'a', '2')
      const batches = await takeEvents(keyspace.watch('', { after: revision }), 7)
      t.same(batches.map(describeBatch), ['a=1', 'b=1', '-a', 'c=1 -b d=1', 'a=2'])
      const revisions = batches.map((batch) => batch.revision)
      t.same(
        revisions,
        [...new Set(revisions)].sort((a, b) => a - b),
        'in ascending order',
      )
      t.equal(revisions.at(-1), last.revision)
      const event = batches.at(-1)?.events[0]
      t.same(event?.type === 'put' && event.item, await keyspace.get('a'), 'with the whole key')
    },
  },
  {
    name: 'a watch brings what lies under its prefix and nothing else',
    run: async (t, { connect, name }) => {
      const coordination = connect()
      const keyspace = coordination.keyspace(name)
      const { revision } = await put(keyspace, 'start', '0')
      await put(coordination.keyspace(`${name}/`), 'a/other', '1')
      for (const key of ['a', 'a/', 'a/1', 'a0', 'b/1']) await put(keyspace, key, '1')
      await keyspace.transact({ then: [{ type: 'delete-prefix', prefix: '' }] })
      await put(keyspace, 'a/end', '1')
      const batches = await takeEvents(keyspace.watch('a/', { after: revision }), 5)
      const seen = batches.map(describeBatch)
      t.same(seen, ['a/=1', 'a/1=1', '-a/ -a/1', 'a/end=1'])
    },
  },
  {
    name: 'a watch without a revision begins now',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      await put(keyspace, 'before', '1')
      const stop = new AbortController()
      const watch = keyspace.watch('', { signal: stop.signal })
      const first = takeEvents(watch, 1)
      let isOver = false
      first.then(
        () => (isOver = true),
        () => (isOver = true),
      )
      // When it has begun is not told; put until it is seen.
      for (let i = 0; !isOver; i++) await put(keyspace, 'after', String(i))
      const [batch] = await first
      t.match(batch && describeBatch(batch), /^after=\d+$/, 'nothing of before')
      stop.abort()
    },
  },
  {
    name: 'concurrent writers are seen in one order by all, without gap and without repeat',
    run: async (t, { connect, name }) => {
      const spaces = Array.from({ length: WRITERS }, () => connect().keyspace(name))
      const { revision } = await put(connect().keyspace(name), 'start', '0')
      const total = WRITERS * WRITES
      const watches = spaces.map((keyspace) =>
        takeEvents(keyspace.watch('w', { after: revision }), total),
      )
      const done = await Promise.all(
        spaces.map(async (keyspace, writer) => {
          const revisions: number[] = []
          for (let i = 0; i < WRITES; i++) {
            revisions.push((await put(keyspace, `w${writer}`, String(i))).revision)
          }
          return revisions
        }),
      )
      const seen = await Promise.all(watches)
      const [first = []] = seen
      const revisions = first.map((batch) => batch.revision)
      t.same(
        revisions,
        done.flat().sort((a, b) => a - b),
        'every revision once, in order',
      )
      for (const other of seen) {
        t.same(other.map(describeBatch), first.map(describeBatch), 'the same for all')
      }
      for (let writer = 0; writer < WRITERS; writer++) {
        const own = first.map(describeBatch).filter((text) => text.startsWith(`w${writer}=`))
        t.same(
          own,
          Array.from({ length: WRITES }, (_, i) => `w${writer}=${i}`),
        )
      }
    },
  },
  {
    name: 'a watch goes on from any revision that it is given',
    run: async (t, { connect, name }) => {
      const keyspace = connect().keyspace(name)
      const { revision: start } = await put(keyspace, 'k', '0')
      for (let i = 1; i <= 20; i++) await put(keyspace, 'k', String(i))
      let after = start
      const seen: WatchBatch[] = []
      while (seen.length < 20) {
        const count = Math.min(1 + (seen.length % 3), 20 - seen.length)
        seen.push(...(await takeEvents(keyspace.watch('k', { after }), count)))
        after = seen.at(-1)?.revision ?? after
      }
      t.same(
        seen.map(describeBatch),
        Array.from({ length: 20 }, (_, i) => `k=${i + 1}`),
      )
    },
  },
  {
    name: 'a reader that takes its time misses nothing',
    run: async (t, stage) => {
      const keyspace = stage.connect().keyspace(stage.name)
      const { revision } = await put(keyspace, 'k', 'start')
      const padding = 'x'.repeat(20_000)
      const seen: string[] = []
      const watch = keyspace.watch('k', { after: revision })[Symbol.asyncIterator]()
      for (let i = 0; i < 5; i++) await put(keyspace, 'k', `${i}${padding}`)
      const { value } = await watch.next()
      if (value !== undefined) seen.push(describeBatch(value))
      await Promise.all(
        Array.from({ length: 200 }, (_, i) => put(keyspace, `k${i}`, `${i}${padding}`)),
      )
      while (seen.length < 205) {
        const next = await watch.next()
        if (next.done) break
        seen.push(...next.value.events.map((e) => describeBatch({ revision: 0, events: [e] })))
      }
      t.equal(new Set(seen).size, 205)
      t.equal(seen.length, 205)
      await watch.return?.()
    },
  },
  {
    name: 'a watch ends when its signal is aborted, also while it waits',
    run: async (t, stage) => {
      const keyspace = stage.connect().keyspace(stage.name)
      const { revision } = await put(keyspace, 'k', '0')
      const stop = new AbortController()
      const seen: string[] = []
      await put(keyspace, 'k', '1')
      for await (const batch of keyspace.watch('k', { after: revision, signal: stop.signal })) {
        seen.push(describeBatch(batch))
        stage.clock.after(5, () => stop.abort())
      }
      t.same(seen, ['k=1'])
      const never = keyspace.watch('k', { signal: AbortSignal.abort() })
      t.same(await takeEvents(never, 1), [], 'aborted before it began')
    },
  },
  {
    name: 'a watch of changes that are forgotten says so',
    run: async (t, { connect, name, forget }) => {
      const coordination = connect()
      const keyspace = coordination.keyspace(name)
      const { revision } = await put(keyspace, 'k', '0')
      for (let i = 1; i <= 5; i++) await put(keyspace, 'k', String(i))
      await forget(coordination, name)
      const watch = keyspace.watch('k', { after: revision })
      await rejects(t, takeEvents(watch, 1), 'ERR_COMPACTED', 'from before')
      const { revision: now, items } = await keyspace.list('k')
      t.equal(items.length, 1)
      const next = takeEvents(keyspace.watch('k', { after: now }), 1)
      await put(keyspace, 'k', 'next')
      t.same((await next).map(describeBatch), ['k=next'], 'read, then watch from there')
    },
  },
]
