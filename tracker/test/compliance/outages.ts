/** What callers are told when the engine is away, and what goes on when it is back. */
import type { ComplianceTest } from './coordination.ts'
import { describeBatch, put, rejects, takeEvents, textOf } from './helpers.ts'

const reason = new Error('the caller has lost interest')

export const outageTests: readonly ComplianceTest[] = [
  {
    name: 'without the engine calls end in time, and go on when it is back',
    run: async (t, stage) => {
      const coordination = stage.connect()
      const keyspace = coordination.keyspace(stage.name)
      const lease = await keyspace.grantLease(60_000)
      const { revision } = await put(keyspace, 'k', '0', lease)
      const watch = takeEvents(keyspace.watch('k', { after: revision }), 2)
      await put(keyspace, 'k', '1', lease)
      const bringBack = await stage.takeAway()
      const options = { timeoutMs: 700 }
      const asked = stage.clock.monotonicMs()
      const away = 'ERR_UNAVAILABLE'
      await Promise.all([
        rejects(t, keyspace.get('k', options), away, 'get'),
        rejects(t, keyspace.list('', options), away, 'list'),
        rejects(t, keyspace.renewLease(lease, options), away, 'renew'),
        rejects(t, keyspace.grantLease(5_000, options), away, 'grant'),
        rejects(
          t,
          keyspace.transact({ then: [{ type: 'delete', key: 'other' }] }, options),
          [away, 'ERR_UNKNOWN_OUTCOME'],
          'transact',
        ),
      ])
      const took = stage.clock.monotonicMs() - asked
      t.ok(took < 5_000, `given up after ${Math.round(took)} ms`)
      // A call that is under way while the engine comes back is done.
      const patient = keyspace.get('k', { timeoutMs: 30_000 })
      await bringBack()
      t.equal(textOf(await patient), '1')
      await put(keyspace, 'k', '2', lease)
      t.same((await watch).map(describeBatch), ['k=1', 'k=2'], 'the watch missed nothing')
      await keyspace.renewLease(lease)
      t.equal((await keyspace.get('k'))?.leaseId, lease, 'the lease outlived it')
    },
  },
  {
    name: 'a call whose signal is aborted is given up at once',
    run: async (t, stage) => {
      const keyspace = stage.connect().keyspace(stage.name)
      await put(keyspace, 'k', '0')
      const aborted = AbortSignal.abort(reason)
      await t.rejects(keyspace.get('k', { signal: aborted }), reason)
      await t.rejects(keyspace.list('', { signal: aborted }), reason)
      await t.rejects(keyspace.transact({ then: [] }, { signal: aborted }), reason)
      await t.rejects(keyspace.grantLease(5_000, { signal: aborted }), reason)
      const bringBack = await stage.takeAway()
      const stop = new AbortController()
      const { signal } = stop
      const calls = [
        keyspace.get('k', { signal }),
        keyspace.transact({ then: [{ type: 'delete', key: 'k' }] }, { signal }),
        keyspace.renewLease('12345', { signal }),
      ].map((call) => call.then(String, (error: unknown) => error))
      stop.abort(reason)
      for (const outcome of await Promise.all(calls)) t.equal(outcome, reason)
      await bringBack()
      await keyspace.get('k')
    },
  },
  {
    name: 'stopping ends calls and watches, and refuses new ones',
    run: async (t, stage) => {
      const coordination = stage.connect()
      const keyspace = coordination.keyspace(stage.name)
      const { revision } = await put(keyspace, 'k', '0')
      const watch = takeEvents(keyspace.watch('k', { after: revision }), 2)
      await put(keyspace, 'k', '1')
      const bringBack = await stage.takeAway()
      const call = keyspace.get('k', { timeoutMs: 60_000 })
      const ended = Promise.all([
        rejects(t, call, 'ERR_STOPPED', 'a call under way'),
        rejects(t, watch, 'ERR_STOPPED', 'a watch'),
      ])
      await coordination.stop()
      await ended
      await bringBack()
      await rejects(t, keyspace.get('k'), 'ERR_STOPPED', 'get')
      await rejects(t, keyspace.transact({ then: [] }), 'ERR_STOPPED', 'transact')
      await rejects(t, takeEvents(keyspace.watch('k'), 1), 'ERR_STOPPED', 'watch')
      await coordination.stop()
      await stage.connect().keyspace(stage.name).get('k')
    },
  },
]
