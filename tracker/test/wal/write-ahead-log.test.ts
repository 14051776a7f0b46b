/** The write-ahead log: what is kept, group commit, segments that come and go. */
import { test } from 'tap'
import { openDiskFolder } from '../../src/wal/disk-folder.ts'
import { textOf } from '../support/log-model.ts'
import { entriesFrom, openLog, smallSegmentBytes } from '../support/log-stage.ts'
import { SimulatedFolder } from '../support/simulated-folder.ts'

const noDraw = () => 0

test('an empty folder becomes an empty log', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  const { log, groups, tornBytes } = await openLog(folder)
  t.equal(groups.size, 0)
  t.equal(tornBytes, 0)
  await log.sync()
  await log.close()
  t.ok(folder.names().includes('000000000001.wal'))
})

test('what several groups append is there after a restart', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  const { log } = await openLog(folder)
  const hardState = { term: 2, vote: 3, commit: 1 }
  t.equal(log.append({ group: 1, hardState, entries: entriesFrom(1, 3, 1) }), true)
  log.append({ group: 2 ** 32 - 1, entries: entriesFrom(1, 2, 2 ** 40, 0) })
  log.append({ group: 1, entries: entriesFrom(3, 2, 2) })
  log.append({
    group: 7,
    snapshot: { index: 50, term: 4 },
    hardState: { term: 4, vote: 0, commit: 50 },
  })
  await log.sync()
  log.append({ group: 9, hardState: { term: 1, vote: 1, commit: 0 } })
  log.remove(9)
  log.remove(10)
  log.compact(1, { index: 1, term: 1 })
  await log.close()
  const { groups } = await openLog(folder)
  const expected = new Map([
    [
      1,
      {
        ...{ hardState, snapshot: { index: 1, term: 1 } },
        entries: [...entriesFrom(2, 1, 1), ...entriesFrom(3, 2, 2)],
      },
    ],
    [
      2 ** 32 - 1,
      {
        ...{ hardState: { term: 0, vote: 0, commit: 0 }, snapshot: { index: 0, term: 0 } },
        entries: entriesFrom(1, 2, 2 ** 40, 0),
      },
    ],
    [
      7,
      {
        ...{ hardState: { term: 4, vote: 0, commit: 50 }, snapshot: { index: 50, term: 4 } },
        entries: [],
      },
    ],
  ])
  t.equal(textOf(groups), textOf(expected))
})

test('calls at the same time share a sync, and the next batch gathers meanwhile', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  const { log } = await openLog(folder)
  const before = log.counters.syncs
  let next = 1
  const put = async () => {
    log.append({ group: 1, entries: entriesFrom(next++, 1) })
    await log.sync()
  }
  await Promise.all(Array.from({ length: 50 }, put))
  t.equal(log.counters.syncs, before + 1)
  const first = put()
  await new Promise((resolve) => process.nextTick(resolve))
  const later = Array.from({ length: 50 }, put)
  await Promise.all([first, ...later])
  t.equal(log.counters.syncs, before + 3)
  await log.close()
})

test('a sync waits for what was appended before it, even when another one writes it', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  const { log } = await openLog(folder)
  const order: string[] = []
  folder.interfere = (call) => {
    if (call === 'sync') order.push('disk')
    return undefined
  }
  log.append({ group: 1, entries: entriesFrom(1, 1) })
  const first = log.sync().then(() => order.push('first'))
  await new Promise((resolve) => process.nextTick(resolve))
  const second = log.sync().then(() => order.push('second'))
  await Promise.all([first, second])
  t.strictSame(order, ['disk', 'first', 'second'])
  await log.sync()
  t.equal(order.length, 3, 'nothing to do, nothing done')
  await log.close()
})

test('segments follow one another, and go when all snapshots have passed them', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  const { log } = await openLog(folder)
  const half = smallSegmentBytes / 8
  let next = 1
  const fill = async (appends: number) => {
    for (let count = 0; count < appends; count++) {
      log.append({
        group: 1,
        hardState: { term: 1, vote: 1, commit: next - 1 },
        entries: entriesFrom(next, 1, 1, half),
      })
      next += 1
      await log.sync()
    }
  }
  log.append({ group: 2, hardState: { term: 1, vote: 1, commit: 0 }, entries: entriesFrom(1, 1) })
  await fill(30)
  t.ok(log.segmentCount > 3, `${log.segmentCount} segments`)
  t.strictSame(log.pinning().sort(), [1, 2])
  log.compact(1, { index: next - 2, term: 1 })
  await log.sync()
  t.strictSame(log.pinning(), [2], 'a quiet group holds the oldest')
  t.ok(log.segmentCount > 3)
  log.append({ group: 2, hardState: { term: 1, vote: 1, commit: 1 } })
  log.compact(2, { index: 1, term: 1 })
  await log.sync()
  t.ok(log.segmentCount <= 2, `${log.segmentCount} segments`)
  t.strictSame(log.pinning(), [])
  await fill(20)
  log.compact(1, { index: next - 2, term: 1 })
  await log.close()
  t.equal(folder.names().filter((name) => name.startsWith('spare')).length, 1)
  t.ok(log.counters.released > 2)
  const { groups } = await openLog(folder)
  t.equal(groups.get(1)?.entries.length, 1)
  t.strictSame(groups.get(2)?.snapshot, { index: 1, term: 1 })
  t.strictSame(groups.get(2)?.hardState, { term: 1, vote: 1, commit: 1 })
})

test('an append larger than a record is kept whole', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  const { log } = await openLog(folder)
  const entries = entriesFrom(1, 40, 3, 4000)
  log.append({ group: 1, hardState: { term: 3, vote: 1, commit: 40 }, entries })
  await log.close()
  const { groups } = await openLog(folder)
  const hardState = { term: 3, vote: 1, commit: 40 }
  const expected = new Map([[1, { hardState, snapshot: { index: 0, term: 0 }, entries }]])
  t.equal(textOf(groups), textOf(expected))
})

test('what is too large is refused and changes nothing', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  const { log } = await openLog(folder)
  t.throws(() => log.append({ group: 1, entries: entriesFrom(1, 1, 1, smallSegmentBytes) }), {
    code: 'ERR_WAL_TOO_LARGE',
  })
  log.append({ group: 1, entries: entriesFrom(1, 1) })
  await log.close()
  const { groups } = await openLog(folder)
  t.equal(groups.get(1)?.entries.length, 1)
})

test('what waits for the disk is bounded', async (t) => {
  const folder = await openDiskFolder(t.testdir())
  const { log } = await openLog(folder, { segmentBytes: 16 * 1024 * 1024 })
  const million = 1024 * 1024
  let next = 1
  const answers: boolean[] = []
  const fill = () => {
    for (;;) {
      answers.push(log.append({ group: 1, entries: entriesFrom(next, 1, 1, million) }))
      next += 1
    }
  }
  t.throws(fill, { code: 'ERR_WAL_OVERFLOW' })
  t.equal(answers.length, 63)
  t.equal(answers.indexOf(false), 15, 'asked to wait long before')
  await log.sync()
  log.append({ group: 1, entries: entriesFrom(next, 1, 1, million) })
  await log.close()
  const { groups } = await openLog(folder, { segmentBytes: 16 * 1024 * 1024 })
  t.equal(groups.get(1)?.entries.length, next)
})

test('a driver that breaks the rules is stopped', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  const { log } = await openLog(folder)
  log.append({ group: 1, hardState: { term: 5, vote: 0, commit: 0 }, entries: entriesFrom(1, 5) })
  for (const broken of [
    { group: 1, entries: entriesFrom(7, 1) },
    { group: -1, entries: entriesFrom(1, 1) },
    { group: 1, hardState: { term: 4, vote: 0, commit: 0 } },
    { group: 1, entries: [...entriesFrom(6, 1), ...entriesFrom(8, 1)] },
  ])
    t.throws(() => log.append(broken), { code: 'ERR_ASSERTION' })
  t.throws(() => log.compact(1, { index: 6, term: 1 }), { code: 'ERR_ASSERTION' })
  t.throws(() => log.compact(8, { index: 1, term: 1 }), { code: 'ERR_ASSERTION' })
  await log.close()
  const { groups } = await openLog(folder)
  t.equal(groups.get(1)?.entries.length, 5, 'and nothing of it is in the log')
})

test('a closed log says so', async (t) => {
  const { log } = await openLog(new SimulatedFolder(noDraw))
  await log.close()
  await log.close()
  t.throws(() => log.append({ group: 1 }), { code: 'ERR_WAL_CLOSED' })
  await t.rejects(log.sync(), { code: 'ERR_WAL_CLOSED' })
})

test('the log of somebody else is refused', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  const { log } = await openLog(folder)
  await log.close()
  await t.rejects(openLog(folder, { owner: new Uint8Array([1]) }), {
    code: 'ERR_WAL_FOREIGN',
    file: '000000000001.wal',
  })
})

test('settings may change between runs', async (t) => {
  const folder = new SimulatedFolder(noDraw)
  let next = 1
  for (const segmentBytes of [65536, 262144, 131072]) {
    const { log, groups } = await openLog(folder, { segmentBytes })
    t.equal(groups.get(1)?.entries.length ?? 0, next - 1)
    for (let count = 0; count < 50; count++) {
      log.append({ group: 1, entries: entriesFrom(next++, 1, 1, 8000) })
      await log.sync()
    }
    await log.close()
  }
})
