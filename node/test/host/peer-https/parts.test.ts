/** Turns, remembered failures and bodies between socket and reader, each by itself. */
import fc from 'fast-check'
import { test } from 'tap'
import { BodyQueue } from '../../../src/host/peer-https/body-queue.ts'
import { checkFields, contentLength } from '../../../src/host/peer-https/head.ts'
import { PeerTurns } from '../../../src/host/peer-https/peer-turns.ts'
import { UnreachablePeers } from '../../../src/host/peer-https/unreachable-peers.ts'
import { peerHttpLimits } from '../../../src/limits/peer-http.ts'
import { never } from '../../support/content-peer.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

test('turns', async (t) => {
  const turns = new PeerTurns({ atOnceMax: 2, waitingMax: 2, peersMax: 2 })
  const first = await turns.take('a', never)
  const second = await turns.take('a', never)
  const order: string[] = []
  const third = turns.take('a', never).then((leave) => {
    order.push('third')
    return leave
  })
  const given = new AbortController()
  const leaving = turns.take('a', given.signal)
  leaving.catch(() => {})
  await t.rejects(turns.take('a', never), { code: 'ERR_LIMIT' }, 'too many wait')
  const other = await turns.take('b', never)
  await t.rejects(turns.take('c', never), { code: 'ERR_LIMIT' }, 'too many peers')
  given.abort()
  await t.rejects(leaving, { code: 'ERR_TIMEOUT' })
  await t.rejects(turns.take('a', given.signal), { code: 'ERR_TIMEOUT' })
  first()
  first()
  const leaveThird = await third
  t.same(order, ['third'])
  const fourth = turns.take('a', never)
  await settle()
  second()
  ;(await fourth)()
  leaveThird()
  other()
  const anew = await turns.take('c', never)
  anew()
})

test('a peer that HTTPS did not reach is remembered for a while', async (t) => {
  const clock = new ManualClock()
  const peers = new UnreachablePeers(clock)
  const endpoint = { addresses: ['192.0.2.1:4443'], certificateDigest: 'aa' }
  t.notOk(peers.has('a', endpoint))
  peers.add('a', endpoint)
  t.ok(peers.has('a', endpoint))
  t.notOk(
    peers.has('a', { ...endpoint, certificateDigest: 'bb' }),
    'a new certificate is a new start',
  )
  peers.add('a', endpoint)
  t.notOk(peers.has('a', { ...endpoint, addresses: ['192.0.2.2:4443'] }))
  peers.add('a', endpoint)
  clock.advance(peerHttpLimits.unreachableMs)
  t.notOk(peers.has('a', endpoint))
  for (let count = 0; count <= peerHttpLimits.unreachablePeersMax; count += 1) {
    peers.add(`p${count}`, endpoint)
  }
  t.notOk(peers.has('p0', endpoint), 'the oldest is forgotten')
  t.ok(peers.has('p1', endpoint))
})

test('a body between socket and reader', async (t) => {
  const make = () => {
    const clock = new ManualClock()
    const calls: string[] = []
    const queue = new BodyQueue(clock, {
      resume: () => calls.push('resume'),
      cancel: (reason) => calls.push(`cancel ${(reason as { code?: string }).code}`),
    })
    return { clock, calls, queue }
  }

  await t.test('backpressure', async (t) => {
    const { queue, calls } = make()
    const half = Buffer.alloc(peerHttpLimits.readQueueBytesMax / 2)
    t.ok(queue.push(half))
    t.notOk(queue.push(half), 'full')
    await queue.next()
    t.same(calls, ['resume'])
    queue.end()
    t.match(await queue.next(), { done: false })
    t.match(await queue.next(), { done: true })
    t.match(await queue.next(), { done: true })
  })

  await t.test('silence while the reader waits, and only then', async (t) => {
    const { queue, calls, clock } = make()
    queue.push(Buffer.of(1))
    clock.advance(1e6)
    t.match(await queue.next(), { done: false })
    const waiting = queue.next()
    waiting.catch(() => {})
    clock.advance(peerHttpLimits.stallMsMax)
    await t.rejects(waiting, { code: 'ERR_TIMEOUT' })
    t.same(calls, ['cancel ERR_TIMEOUT'])
    await t.rejects(queue.next(), { code: 'ERR_TIMEOUT' })
    t.equal(clock.timers, 0)
  })

  await t.test('a reader that leaves, and a source that fails', async (t) => {
    const left = make()
    left.queue.push(Buffer.of(1))
    await left.queue.return()
    await left.queue.return()
    t.same(left.calls, ['cancel ERR_STOPPED'])
    t.notOk(left.queue.push(Buffer.of(2)))
    const failed = make()
    failed.queue.push(Buffer.of(1))
    failed.queue.fail(new Error('broke'))
    failed.queue.fail(new Error('again'))
    failed.queue.end()
    t.match(await failed.queue.next(), { done: false }, 'what came before is read')
    await t.rejects(failed.queue.next(), { message: 'broke' })
    t.same(failed.calls, [])
    const whole = make()
    const waiting = whole.queue.next()
    whole.queue.end()
    whole.queue.fail(new Error('late'))
    t.match(await waiting, { done: true })
    t.equal(whole.clock.timers, 0)
  })
})

test('heads', async (t) => {
  t.same(
    {
      ...checkFields([
        ['a', '1'],
        ['connection', 'close'],
        ['a', '2'],
        ['te', 'x'],
      ]),
    },
    { a: '1, 2' },
  )
  for (const bad of [
    ['A', ''],
    ['a b', ''],
    ['', ''],
    ['a', 'b\nc'],
    ['a', '\u0000'],
    ['a', '€'],
  ]) {
    t.throws(() => checkFields([bad as [string, string]]), { code: 'ERR_INVALID_INPUT' })
  }
  const many = Array.from(
    { length: peerHttpLimits.fieldsMax + 1 },
    (_, index) => [`f${index}`, ''] as [string, string],
  )
  t.throws(() => checkFields(many), { code: 'ERR_LIMIT' })
  t.equal({ ...checkFields([['__proto__', 'x']]) }.constructor, Object)
  t.equal(contentLength({ 'content-length': '12' }), 12)
  t.equal(contentLength({}), undefined)
  t.throws(() => contentLength({ 'content-length': '-1' }), { code: 'ERR_INVALID_INPUT' })
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), fc.string())), (fields) => {
      try {
        for (const [name, value] of Object.entries(checkFields(fields))) {
          if (/[\r\n\0:]/.test(name) || /[\r\n\0]/.test(value)) return false
        }
        return true
      } catch (error) {
        return (error as { name: string }).name === 'KairoError'
      }
    }),
  )
})
