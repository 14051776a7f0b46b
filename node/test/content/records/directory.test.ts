/**
 * The directory over a network in memory with a clock that tests move, and once over real hosts.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { type Clock, systemClock } from '../../../src/clock.ts'
import { Directory, type DirectoryComponents } from '../../../src/content/records/directory.ts'
import { RecordTable } from '../../../src/content/records/record-table.ts'
import { encodeSignedRecord } from '../../../src/content/records/stream-record.ts'
import type { StreamRecord } from '../../../src/content/stream.ts'
import { generateStreamKey } from '../../../src/content/stream-key.ts'
import { RECORDS_PROTOCOL, RECORDS_TOPIC } from '../../../src/host/protocols.ts'
import { contentLimits, recordLimits } from '../../../src/limits.ts'
import { silentLogger } from '../../../src/logger.ts'
import { RecordListSchema } from '../../../src/protocol/generated/records_pb.js'
import { startHost } from '../../support/hosts.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { type MemoryPeer, memoryNetwork } from '../../support/memory-network.ts'
import { recordFields } from '../../support/records.ts'
import { until } from '../../support/until.ts'

const PEER_A = '12D3KooWLxFaUbhMrtHhjXCsmqGHch9ZLdTFRNHXJiwF3xCWpUap'
const PEER_B = '12D3KooWN9JWaoZ7W4HVewsr8dvuxBbADbo8vyXYNMvXFSaXwsPV'

async function startDirectory(
  t: Test,
  peer: MemoryPeer,
  clock: Clock,
): Promise<{ directory: Directory; registry: Registry }> {
  const registry = new Registry()
  const components = { clock, logger: silentLogger, registry }
  const directory = new Directory({ ...components, gossip: peer, transport: peer, peers: peer })
  await directory.start()
  t.teardown(() => directory.stop())
  return { directory, registry }
}

async function pair(t: Test) {
  const makePeer = memoryNetwork()
  const clock = new ManualClock()
  const [peerA, peerB] = [makePeer(PEER_A), makePeer(PEER_B)]
  const { directory: a } = await startDirectory(t, peerA, clock)
  const { directory: b, registry } = await startDirectory(t, peerB, clock)
  return { clock, peerA, peerB, a, b, registry }
}

test('a joining peer lists the streams at once, and keeps them while they are announced', async (t) => {
  const { clock, peerA, peerB, a, b } = await pair(t)
  const key = generateStreamKey()
  const published = a.publishOwn(key, recordFields())
  t.equal(published.originPeer, PEER_A)
  t.same(b.list(), [])
  peerA.connect(peerB)
  await settle()
  t.same(b.list(), [published], 'by asking')
  await clock.pass(60_000)
  t.equal(b.list().length, 1, 'by gossip')
  t.ok((b.get(key.id)?.sequence ?? 0) > published.sequence)
  t.ok(peerA.verdicts.every((verdict) => verdict === 'accept'))
  await a.stop()
  const removed: string[] = []
  b.events.on('record:removed', ({ id }) => removed.push(id))
  await clock.pass(recordLimits.recordTtlMs + 1)
  t.same(b.list(), [], 'what is announced no more is forgotten')
  t.same(removed, [key.id])
})

test('changes are told, refreshes are not', async (t) => {
  const { clock, peerA, peerB, a, b } = await pair(t)
  peerA.connect(peerB)
  const told: string[] = []
  b.events.on('record:changed', ({ title, state }) => told.push(`${title} ${state}`))
  const key = generateStreamKey()
  a.publishOwn(key, recordFields({ title: 'one' }))
  await clock.pass(30_000)
  a.publishOwn(key, recordFields({ title: 'two' }))
  await settle()
  a.withdraw(key.id)
  await settle()
  t.same(told, ['one live', 'two live', 'two ended'])
  t.equal(b.get(key.id)?.state, 'ended')
  t.equal(a.get(key.id)?.state, 'ended')
  a.withdraw(key.id)
  await clock.pass(recordLimits.recordTtlMs + 1)
  t.same([a.list(), b.list()], [[], []], 'an ended stream is announced no more')
})

test('names', async (t) => {
  const { peerA, peerB, a, b, clock } = await pair(t)
  peerA.connect(peerB)
  const [own, live, ended, late] = [1, 2, 3, 4].map(generateStreamKey)
  if (!own || !live || !ended || !late) throw new Error('not reached')
  a.publishOwn(late, recordFields({ startedAtMs: 3_000 }))
  a.publishOwn(live, recordFields({ startedAtMs: 2_000 }))
  a.publishOwn(ended, recordFields({ startedAtMs: 1_000 }))
  a.withdraw(ended.id)
  await settle()
  t.equal(b.resolve('test')?.id, late.id, 'live before ended, then the one first heard of')
  t.equal(b.resolve(late.id)?.id, late.id, 'by id')
  t.equal(b.resolve('nothing'), undefined)
  t.equal(b.resolve(generateStreamKey().id), undefined)
  const mine = b.publishOwn(own, recordFields({ startedAtMs: 9_000 }))
  t.equal(b.resolve('test')?.id, own.id, 'own streams first')
  await settle()
  t.equal(a.resolve('test')?.id, late.id)
  t.equal(b.uniqueName(mine), 'test')
  t.equal(a.uniqueName(mine), own.id)
  for (const record of [...a.list(), ...b.list()]) {
    t.equal(b.resolve(b.uniqueName(record))?.id, record.id)
  }
  b.publishOwn(own, recordFields({ alias: 'renamed' }))
  t.equal(b.resolve('renamed')?.id, own.id)
  t.equal(b.resolve('test')?.id, late.id, 'the old name is free')
  const same = [generateStreamKey(), generateStreamKey()]
  for (const key of same) a.publishOwn(key, recordFields({ alias: 'same' }))
  await clock.pass(0)
  t.equal(a.resolve('same')?.id, same[0]?.id)
  const thief = generateStreamKey()
  b.publishOwn(thief, recordFields({ alias: 'same', startedAtMs: 0 }))
  a.publishOwn(same[0] ?? thief, recordFields({ alias: 'same', title: 'Refreshed' }))
  await clock.pass(0)
  t.equal(a.resolve('same')?.id, same[0]?.id, 'a newcomer cannot take a name by its own words')
})

test('records of strangers are judged', async (t) => {
  const { peerA, peerB, b, registry, clock } = await pair(t)
  peerA.connect(peerB)
  const key = generateStreamKey()
  const record: StreamRecord = {
    ...recordFields(),
    id: key.id,
    originPeer: PEER_A,
    sequence: clock.now(),
    expiresAtMs: clock.now() + 20_000,
  }
  const shifted = (ms: number): StreamRecord => ({
    ...record,
    sequence: record.sequence + ms,
    expiresAtMs: record.expiresAtMs + ms,
  })
  const skew = recordLimits.clockSkewMsMax
  const forged = encodeSignedRecord(key, record)
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
  const cases: [string, Uint8Array, string][] = [
    ['junk', Buffer.from('junk'), 'reject'],
    ['a wrong signature', forged, 'reject'],
    ['from long ago', encodeSignedRecord(key, shifted(-skew - 20_000)), 'ignore'],
    ['from the far future', encodeSignedRecord(key, shifted(skew + 1)), 'ignore'],
    ['from a clock behind ours', encodeSignedRecord(key, shifted(-skew)), 'accept'],
    ['new', encodeSignedRecord(key, record), 'accept'],
    ['the same again', encodeSignedRecord(key, record), 'ignore'],
    ['an older one', encodeSignedRecord(key, shifted(-1)), 'ignore'],
    ['from a clock ahead of ours', encodeSignedRecord(key, shifted(skew)), 'accept'],
  ]
  for (const [name, bytes, verdict] of cases) {
    peerA.verdicts.length = 0
    await peerA.publish(RECORDS_TOPIC, bytes)
    t.same(peerA.verdicts, [verdict], name)
  }
  t.equal(b.get(key.id)?.sequence, record.sequence + skew)
  await clock.pass(20_000)
  t.equal(b.get(key.id), undefined, 'its life is counted on the clock here')
  const text = await registry.metrics()
  t.match(text, 'kairo_directory_heard_total{outcome="ERR_VERIFICATION"} 1')
  t.match(text, 'kairo_directory_records 0')
})

test('a publisher whose clock went back announces above what is known', async (t) => {
  const { peerA, peerB, a, b, clock } = await pair(t)
  const key = generateStreamKey()
  const aheadSequence = clock.now() + 100_000
  const ahead = encodeSignedRecord(key, {
    ...recordFields({ title: 'before the restart' }),
    id: key.id,
    originPeer: PEER_A,
    sequence: aheadSequence,
    expiresAtMs: clock.now() + 120_000,
  })
  peerA.connect(peerB)
  await peerA.publish(RECORDS_TOPIC, ahead)
  t.equal(b.get(key.id)?.title, 'before the restart')
  a.publishOwn(key, recordFields({ title: 'after the restart' }))
  t.equal(b.get(key.id)?.title, 'before the restart')
  await peerB.publish(RECORDS_TOPIC, ahead)
  t.equal(a.get(key.id)?.title, 'after the restart', 'an own record is not replaced')
  await clock.pass(recordLimits.announceIntervalMs)
  t.equal(b.get(key.id)?.title, 'after the restart')
  const { sequence } = a.publishOwn(key, recordFields())
  t.ok(sequence > aheadSequence)
})

test('streams published before the start are announced at the start', async (t) => {
  const makePeer = memoryNetwork()
  const [peerA, peerB] = [makePeer(PEER_A), makePeer(PEER_B)]
  peerA.connect(peerB)
  const clock = new ManualClock()
  const { directory: b } = await startDirectory(t, peerB, clock)
  const components = { clock, logger: silentLogger, registry: new Registry() }
  const a = new Directory({ ...components, gossip: peerA, transport: peerA, peers: peerA })
  const key = generateStreamKey()
  a.publishOwn(key, recordFields())
  t.same(b.list(), [])
  await a.start()
  t.teardown(() => a.stop())
  t.equal(b.list().length, 1)
  t.throws(() => a.publishOwn(key, recordFields({ alias: 'No' })), { code: 'ERR_INVALID_INPUT' })
})

test('the number of own records is bounded', async (t) => {
  const { a, b, peerA, peerB } = await pair(t)
  for (let index = 0; index < recordLimits.ownRecordsMax; index++) {
    a.publishOwn(generateStreamKey(), recordFields())
  }
  t.throws(() => a.publishOwn(generateStreamKey(), recordFields()), { code: 'ERR_LIMIT' })
  peerA.connect(peerB)
  await until(() => b.list().length === recordLimits.ownRecordsMax, 'all of them by asking')
})

test('the number of records is bounded: streams that are there stay, new ones wait for room', async (t) => {
  const clock = new ManualClock()
  const removed: string[] = []
  const table = new RecordTable(clock, ({ id }) => removed.push(id))
  const put = (id: string, lifeMs: number): void => {
    const record = {
      ...recordFields({ alias: `alias-${id}` }),
      id,
      originPeer: PEER_A,
      sequence: 1,
      expiresAtMs: 1 + lifeMs,
    }
    table.put({ record, bytes: new Uint8Array() })
  }
  put('long', 2_000)
  put('short', 1_000)
  for (let index = 2; index < contentLimits.recordsMax; index++) put(`${index}`, 3_000)
  t.ok(table.isFull)
  clock.advance(1_000)
  t.same(removed, ['short'])
  t.same(table.byAlias('alias-short'), [])
  t.notOk(table.isFull)
  clock.advance(1_000)
  t.same(removed, ['short', 'long'])
  put('2', 5_000)
  clock.advance(1_000)
  t.same(
    table.entries().map(({ record }) => record.id),
    ['2'],
    'a refresh gives a new life',
  )
  table.stop()
})

test('a neighbour that invents streams does not push out the real ones', async (t) => {
  const { clock, peerA, peerB, a, b } = await pair(t)
  const real = generateStreamKey()
  a.publishOwn(real, recordFields({ alias: 'real' }))
  peerA.connect(peerB)
  await settle()
  const now = Math.floor(clock.now())
  const invent = (): Uint8Array => {
    const key = generateStreamKey()
    const life = { sequence: now, expiresAtMs: now + recordLimits.recordTtlMsMax }
    const fields = recordFields({ alias: 'invented' })
    return encodeSignedRecord(key, { ...fields, ...life, id: key.id, originPeer: PEER_A })
  }
  for (let count = 0; count < contentLimits.recordsMax + 100; count++) {
    await peerA.publish(RECORDS_TOPIC, invent())
  }
  t.equal(b.list().length, contentLimits.recordsMax)
  await clock.pass(30_000)
  t.match(b.get(real.id), { alias: 'real', state: 'live' }, 'refreshed while the table is full')
  const own = generateStreamKey()
  b.publishOwn(own, recordFields({ alias: 'own' }))
  t.ok(b.get(own.id), 'an own stream is always listed')
})

test('an answer that is too long, broken or never comes changes nothing', async (t) => {
  const makePeer = memoryNetwork()
  const clock = new ManualClock()
  const peer = makePeer(PEER_A)
  const { directory } = await startDirectory(t, peer, clock)
  const bad = makePeer('long')
  await bad.handle(RECORDS_PROTOCOL, async (stream) => {
    for (let index = 0; index < 9; index++) await stream.write(Buffer.alloc(1024 * 1024))
  })
  const junk = makePeer('junk')
  await junk.handle(RECORDS_PROTOCOL, (stream) => stream.write(Buffer.from('junk')))
  const strange = makePeer('strange')
  await strange.handle(RECORDS_PROTOCOL, (stream) =>
    stream.write(toBinary(RecordListSchema, create(RecordListSchema, { records: [{}, {}] }))),
  )
  const silent = makePeer('silent')
  await silent.handle(RECORDS_PROTOCOL, () => new Promise(() => {}))
  const deaf = makePeer('deaf')
  for (const other of [bad, junk, strange, silent, deaf]) peer.connect(other)
  await clock.pass(recordLimits.recordListTimeoutMs)
  t.same(directory.list(), [])
})

test('over real hosts', async (t) => {
  const hostA = await startHost(t)
  const hostB = await startHost(t)
  const directoryOf = async (host: typeof hostA): Promise<Directory> => {
    const components: DirectoryComponents = {
      clock: systemClock,
      logger: silentLogger,
      registry: new Registry(),
      gossip: host.gossip,
      transport: host,
      peers: host,
    }
    const directory = new Directory(components)
    await directory.start()
    t.teardown(() => directory.stop())
    return directory
  }
  const [a, b] = [await directoryOf(hostA), await directoryOf(hostB)]
  const [first, second] = [generateStreamKey(), generateStreamKey()]
  a.publishOwn(first, recordFields({ alias: 'first' }))
  b.publishOwn(second, recordFields({ alias: 'second' }))
  await hostB.dial(hostA.multiaddrs(), { signal: AbortSignal.timeout(60_000) })
  await until(() => b.resolve('first') !== undefined, 'the first at B')
  await until(() => a.resolve('second') !== undefined, 'the second at A')
  await until(() => {
    a.publishOwn(first, recordFields({ alias: 'renamed' }))
    return b.resolve('renamed') !== undefined
  }, 'a change by gossip')
})

test('of two peers that publish one stream the one that came to own it later holds, whatever the clocks say', async (t) => {
  const { clock, peerA, peerB, a, b } = await pair(t)
  const key = generateStreamKey()
  const rivals: StreamRecord[] = []
  a.events.on('record:rival', (record) => rivals.push(record))
  a.publishOwn(key, recordFields({ token: { term: 2, index: 9 } }))
  peerA.connect(peerB)
  await settle()
  t.equal(b.get(key.id)?.originPeer, PEER_A)
  // Its clock is behind, and it is the owner by now.
  const second = {
    ...recordFields({ token: { term: 3, index: 4 } }),
    ...{ id: key.id, originPeer: PEER_B, sequence: clock.now() - 2_000 },
    expiresAtMs: clock.now() + 10_000,
  }
  await peerB.publish(RECORDS_TOPIC, encodeSignedRecord(key, second))
  await settle()
  t.equal(rivals[0]?.originPeer, PEER_B)
  t.equal(a.get(key.id)?.originPeer, PEER_A, 'what is announced here is decided here')
  a.yieldOwn(key.id)
  await settle()
  t.same(a.get(key.id)?.token, { term: 3, index: 4 }, 'known at once')
  t.equal(a.get(key.id)?.originPeer, PEER_B)
  await clock.pass(recordLimits.announceIntervalMs)
  t.equal(a.get(key.id)?.originPeer, PEER_B, 'and no longer announced')
})

test('another peer owns a stream while its record is live and has a token', async (t) => {
  const { peerA, peerB, a, b } = await pair(t)
  peerA.connect(peerB)
  const key = generateStreamKey()
  t.equal(b.ownerElsewhere(key.id), undefined, 'nobody heard of it')
  a.publishOwn(key, recordFields())
  await settle()
  t.ok(b.get(key.id))
  t.equal(b.ownerElsewhere(key.id), undefined, 'no region has said so')
  a.publishOwn(key, recordFields({ token: { term: 2, index: 9 } }))
  await settle()
  t.equal(b.ownerElsewhere(key.id), PEER_A)
  t.equal(a.ownerElsewhere(key.id), undefined)
  a.withdraw(key.id)
  await settle()
  t.equal(b.get(key.id)?.state, 'ended')
  t.equal(b.ownerElsewhere(key.id), undefined)
})
